package scan

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

func digestOf(text string) cas.Digest { return cas.DigestOf([]byte(text)) }

// publishNothing begins a publish in which the SDK copies nothing.
func (s *site) publishNothing() {
	s.Helper()
	settle()
	must(s, os.WriteFile(s.req.StartedPath, nil, 0o644))
}

// lower puts an older source in the place of a.dll's, as a lower version of a package or a file that was copied with its time.
func (s *site) lower(content string) {
	s.Helper()
	at := time.Unix(1600000000, 0)
	dir := filepath.Join(s.src, "older")
	s.put(filepath.Join(dir, "a.dll"), content, at)
	s.req.Items[0].SourcePath = filepath.Join(dir, "a.dll")
}

// sign is a target of the user that changes a published file.
func (s *site) sign() { must(s, os.WriteFile(s.path("a.dll"), []byte("signed"), 0o644)) }

// TestStale has copies that differ from their sources. Each begins with a project that was published and scanned.
func TestStale(t *testing.T) {
	const first, older = "first a.dll", "older"
	forget := func(s *site) { must(s, os.Remove(s.req.RecordPath)) }
	tests := []struct {
		name string
		do   func(s *site)
		want string // in the copy of a.dll
		told bool
	}{
		{"a lower version", func(s *site) { s.lower(older); s.publish() }, older, true},
		{"a lower version, nothing recorded", func(s *site) { forget(s); s.lower(older); s.publish() }, older, true},
		{"a lower version, same size", func(s *site) { s.lower("FIRST a.dll"); s.publish() }, "FIRST a.dll", true},
		{"a lower version, same size, nothing recorded", func(s *site) { forget(s); s.lower("FIRST a.dll"); s.publish() }, "FIRST a.dll", true},
		{"a lower version and a chmod of all", func(s *site) {
			s.lower(older)
			s.publish()
			must(s, os.Chmod(s.path("a.dll"), 0o755))
		}, older, true},
		{"the source replaced by an older one", func(s *site) { s.put(s.source("a.dll"), older, time.Unix(1600000000, 0)); s.publish() }, older, true},
		{"the source replaced by one of the same size and time", func(s *site) {
			fi, err := os.Stat(s.source("a.dll"))
			must(s, err)
			s.put(s.source("a.dll"), "FIRST a.dll", fi.ModTime())
			s.publish()
		}, "FIRST a.dll", true},
		{"the copy edited by hand", func(s *site) { s.sign(); s.publish() }, first, true},
		{"the copy deleted", func(s *site) { must(s, os.Remove(s.path("a.dll"))); s.publish() }, first, false},
		{"the source touched", func(s *site) { now := time.Now(); must(s, os.Chtimes(s.source("a.dll"), now, now)); s.publish() }, first, false},
		{"the source edited", func(s *site) { write(s, s.src, "a.dll", "new"); s.publish() }, "new", false},
		{"the copy's time is one of the future", func(s *site) {
			s.put(s.path("a.dll"), "ahead", time.Now().Add(time.Hour))
			s.publish()
		}, first, true},
		{"a hard link to the source", func(s *site) {
			must(s, os.Remove(s.path("a.dll")))
			must(s, os.Link(s.source("a.dll"), s.path("a.dll")))
			s.publish()
		}, first, false},

		{"signed in this publish", func(s *site) { s.publish(); s.sign() }, "signed", false},
		{"signed in this publish, nothing recorded", func(s *site) { forget(s); s.publish(); s.sign() }, "signed", false},
		{"an older file copied over it in this publish", func(s *site) {
			s.put(s.source("own"), "own", time.Unix(1500000000, 0))
			s.publish()
			copyAll(s, s.source("own"), s.path("a.dll"))
		}, "own", false},
		{"signed in an earlier publish", func(s *site) { s.publish(); s.sign(); settle(); s.scan(); s.publish() }, "signed", false},
		{"signed earlier, the source restored anew", func(s *site) {
			s.publish()
			s.sign()
			settle()
			s.scan()
			copyAll(s, s.source("a.dll"), s.source("again"))
			must(s, os.Rename(s.source("again"), s.source("a.dll")))
			s.publish()
		}, "signed", false},
		{"signed in an earlier publish, nothing recorded", func(s *site) { s.sign(); forget(s); s.publish() }, "signed", false},
		{"signed in an earlier publish, a lower version", func(s *site) {
			s.publish()
			s.sign()
			settle()
			s.scan()
			s.lower(older)
			s.publish()
		}, older, true},

		{"named as transformed", func(s *site) { s.req.Transformed = []string{"*.dll"}; s.lower(older); s.publish() }, first, false},
		{"nothing is transformed", func(s *site) { s.req.Transformed = []string{}; s.lower(older); s.publish() }, older, true},
		{"the start is not known", func(s *site) { s.lower(older); s.publish(); s.req.StartedPath = "" }, first, false},
		{"the start is gone", func(s *site) { s.lower(older); s.publish(); must(s, os.Remove(s.req.StartedPath)) }, first, false},
		{"the start is one of the future", func(s *site) {
			s.lower(older)
			s.publish()
			at := time.Now().Add(time.Hour)
			must(s, os.Chtimes(s.req.StartedPath, at, at))
		}, first, false},
		{"the source is gone", func(s *site) { s.publishNothing(); must(s, os.Remove(s.source("a.dll"))) }, first, false},
		{"the source is a folder", func(s *site) { s.req.Items[0].SourcePath = s.src; s.publishNothing() }, first, false},
		{"the source is a link", func(s *site) {
			must(s, os.Symlink("b.json", s.source("link")))
			s.req.Items[0].SourcePath = s.source("link")
			s.publishNothing()
		}, first, false},
		{"the copy is a link", func(s *site) {
			must(s, os.Remove(s.path("a.dll")))
			must(s, os.Symlink("b.json", s.path("a.dll")))
			s.publishNothing()
		}, "first b.json", false},
		{"two items, different sources", func(s *site) {
			s.req.Items = append(s.req.Items, Item{Path: "a.dll", SourcePath: s.source("b.json"), Origin: "app"})
			s.publishNothing()
		}, first, false},
		{"the published file is the source", func(s *site) { s.req.Items[0].SourcePath = s.path("a.dll"); s.sign(); s.publishNothing() }, "signed", false},
	}
	all := together{T: t}
	defer all.Wait()
	for _, tt := range tests {
		all.run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.scan()
			tt.do(s)
			for again := range 2 {
				if again > 0 && !strings.HasPrefix(tt.name, "the start") {
					s.publishNothing()
				}
				s.scan()
				if got := s.content("a.dll"); got != tt.want {
					t.Fatalf("scan %d: the copy is %q, want %q\n%s", again, got, tt.want, s.log.String())
				}
				if tt.told && again == 0 {
					s.says("GANTRY4016", `a.dll`, "GantryTransformedFiles")
				} else {
					s.silent()
				}
			}
			settle()
			s.scan()
			s.scan()
			s.wantRead(0)
		})
	}
}

// TestReplaced looks at a copy that was made again: it is as the SDK would have made it, so that the SDK leaves it alone.
func TestReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scan()
	must(t, os.Symlink("a.dll", s.path("z.link")))
	s.lower("older")
	must(t, os.Chmod(s.req.Items[0].SourcePath, 0o750))
	s.publish()
	s.scan()
	from, err := os.Stat(s.req.Items[0].SourcePath)
	must(t, err)
	to, err := os.Stat(s.path("a.dll"))
	must(t, err)
	if !to.ModTime().Equal(from.ModTime()) || to.Mode() != from.Mode() {
		t.Errorf("the copy has %s %s, want %s %s", to.ModTime(), to.Mode(), from.ModTime(), from.Mode())
	}
	if left, _ := filepath.Glob(s.path(unfinishedPrefix + "*")); left != nil {
		t.Errorf("left in the folder: %v", left)
	}
}

// TestWebConfig has the default patterns.
func TestWebConfig(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, name := range []string{"web.config", "x.staticwebassets.endpoints.json", "sub/web.config"} {
		write(t, s.src, name, "source")
		s.item(name)
	}
	s.publish()
	s.scan()
	for _, name := range []string{"web.config", "x.staticwebassets.endpoints.json", "sub/web.config"} {
		write(t, s.dir, name, "transformed")
	}
	s.publishNothing()
	s.scan()
	s.says("sub/web.config")
	if s.content("web.config") != "transformed" || s.content("x.staticwebassets.endpoints.json") != "transformed" || s.content("sub/web.config") != "source" {
		t.Errorf("the wrong file was replaced:\n%s", s.log.String())
	}
}

// TestCannotReplace has a publish folder that may not be written to.
func TestCannotReplace(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		return // scan_linux_test.go has it for root
	}
	s := newSite(t)
	s.cannotReplace()
}

func (s *site) cannotReplace() {
	s.Helper()
	s.scan()
	s.lower("older")
	s.publish()
	must(s, os.Chmod(s.dir, 0o555))
	defer os.Chmod(s.dir, 0o755)
	_, err := s.tryScan()
	wantError(s, err, diag.PublishedCopyStale, `"a.dll"`, "older", "writable", "GantryTransformedFiles")
	if s.content("a.dll") != "first a.dll" {
		s.Error("the copy changed")
	}
}

// TestUnfinished has copies of other scans, one of a scan that was killed.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now, old := s.path(unfinishedPrefix+"1"), s.path("sub/"+unfinishedPrefix+"2")
	write(t, s.dir, unfinishedPrefix+"1", "half")
	s.put(old, "half", time.Now().Add(-2*abandoned))
	if got := paths(s.scan()); got != "a.dll b.json sub sub/c.txt" {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(now); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("it is there: %v", err)
	}
}

// TestWrittenNow has times that no test can give to a file.
func TestWrittenNow(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixNano() }
	started := ago(time.Second)
	source := published.Stat{Size: 1, ModTime: ago(time.Hour), ChangeTime: ago(time.Minute)}
	copied := published.Stat{Size: 1, ModTime: ago(time.Hour), ChangeTime: ago(0), Inode: 1}
	with := func(change func(s *published.Stat)) published.Stat {
		s := copied
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name          string
		stat          published.Stat
		now, verbatim bool
	}{
		{"a copy", copied, true, true},
		{"before the start", with(func(s *published.Stat) { s.ChangeTime = ago(time.Minute) }), false, false},
		{"the clock was set back since", with(func(s *published.Stat) { s.ChangeTime = ago(-time.Hour) }), false, false},
		{"content of the future", with(func(s *published.Stat) { s.ModTime = ago(-time.Hour) }), false, false},
		{"another size", with(func(s *published.Stat) { s.Size = 2 }), true, false},
		{"another time", with(func(s *published.Stat) { s.ModTime++ }), true, false},
	} {
		s := &scanner{started: started}
		f := &found{content: published.Content{Stat: tt.stat}}
		if got := s.writtenNow(f); got != tt.now {
			t.Errorf("%s: written now: %v", tt.name, got)
		}
		if got := s.verbatim(f, source); got != tt.verbatim {
			t.Errorf("%s: verbatim: %v", tt.name, got)
		}
	}
	later := source
	later.ChangeTime = copied.ChangeTime + 1
	if s := (&scanner{started: started}); s.verbatim(&found{content: published.Content{Stat: copied}}, later) {
		t.Error("the source changed after it was copied")
	}
}

// TestKnowledgeStays has scans that are told less: they forget nothing.
func TestKnowledgeStays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.publish()
	s.sign()
	settle()
	s.scan()
	full := *s.req
	s.req.StartedPath = ""
	s.scan()
	s.req.Items = nil
	s.scan()
	s.req = &full
	copyAll(s, s.source("a.dll"), s.source("again"))
	must(t, os.Rename(s.source("again"), s.source("a.dll")))
	s.publish()
	s.scan()
	s.silent()
	if s.content("a.dll") != "signed" {
		t.Error("the signed file was replaced")
	}
	items := s.req.Items
	s.req.Items = nil
	s.scan()
	s.req.Items = items[1:]
	s.scan("a.dll")
}

// TestHardLink does not read a file by two names.
func TestHardLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, os.Remove(s.path("a.dll")))
	must(t, os.Link(s.source("a.dll"), s.path("a.dll")))
	s.publishNothing()
	must(t, os.Remove(s.path("b.json")))
	must(t, os.Remove(s.path("sub/c.txt")))
	s.scan()
	s.wantRead(1)
}
