package scan

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

func TestUnchanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.scan()
	s.wantRead(3) // the copies are plainly those of this publish: the sources are not read
	before, err := os.Stat(s.req.RecordPath)
	must(t, err)
	for range 2 {
		s.publish()
		again := s.scan()
		s.wantRead(0)
		s.silent()
		if asJSON(t, again) != asJSON(t, first) {
			t.Errorf("got\n%s\nwant\n%s", asJSON(t, again), asJSON(t, first))
		}
	}
	if after, err := os.Stat(s.req.RecordPath); err != nil || !os.SameFile(before, after) {
		t.Errorf("the record was written again: %v", err)
	}
}

// TestChanged changes the publish folder after a scan, in ways that leave size or time as they were. Every list is compared with one that was
// made without a record.
func TestChanged(t *testing.T) {
	at := time.Unix(1700000000, 1)
	move := func(s *site, from, to string) { must(s, os.Rename(s.path(from), s.path(to))) }
	tests := []struct {
		name   string
		change func(s *site)
		read   int
	}{
		{"touched", func(s *site) { now := time.Now(); must(s, os.Chtimes(s.path("x"), now, now)) }, 1},
		{"touched with the time that it has", func(s *site) { must(s, os.Chtimes(s.path("x"), at, at)) }, 1},
		{"edited", func(s *site) { write(s, s.dir, "x", "33333") }, 1},
		{"same size", func(s *site) { write(s, s.dir, "x", "3333") }, 1},
		{"same size and time", func(s *site) { s.put(s.path("x"), "3333", at) }, 1},
		{"older", func(s *site) { s.put(s.path("x"), "333", at.Add(-time.Hour)) }, 1},
		{"another file in its place, same size and time", func(s *site) { s.put(s.path("new"), "3333", at); move(s, "new", "x") }, 1},
		{"two files change places", func(s *site) { move(s, "x", "z"); move(s, "y", "x"); move(s, "z", "y") }, 2},
		{"renamed", func(s *site) { move(s, "x", "z") }, 1},
		{"deleted", func(s *site) { must(s, os.Remove(s.path("x"))) }, 0},
		{"added", func(s *site) { write(s, s.dir, "z", "x") }, 1},
		{"replaced by a link to another", func(s *site) { must(s, os.Remove(s.path("x"))); must(s, os.Symlink("y", s.path("x"))) }, 1},
		{"a hard link to another", func(s *site) { must(s, os.Remove(s.path("x"))); must(s, os.Link(s.path("y"), s.path("x"))) }, 2},
		{"a hard link more", func(s *site) { must(s, os.Link(s.path("x"), s.path("z"))) }, 2},
		{"other rights", func(s *site) { must(s, os.Chmod(s.path("x"), 0o755)) }, 1},
		{"a folder in its place", func(s *site) { must(s, os.Remove(s.path("x"))); write(s, s.dir, "x/f", "1111") }, 1},
	}
	all := together{T: t}
	defer all.Wait()
	for _, tt := range tests {
		all.run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.put(s.path("x"), "1111", at)
			s.put(s.path("y"), "2222", at)
			settle()
			s.scan()
			s.scan()
			s.wantRead(0)
			tt.change(s)
			s.scan()
			s.wantRead(tt.read)
		})
	}
}

// TestYoung has files that may change without a sign of it.
func TestYoung(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	write(t, s.dir, "young", "1")
	s.put(s.path("future"), "1", time.Now().Add(time.Hour))
	s.scan()
	settle()
	s.scan()
	s.wantRead(2)
	s.scan()
	s.wantRead(1) // the clock was set back, or the file comes from one that is ahead
}

// TestNoRecord has records that are none.
func TestNoRecord(t *testing.T) {
	edit := func(change func([]byte) []byte) func(s *site) {
		return func(s *site) {
			data, err := os.ReadFile(s.req.RecordPath)
			must(s, err)
			if changed := change(bytes.Clone(data)); bytes.Equal(changed, data) {
				s.Fatal("nothing changed")
			} else {
				must(s, os.WriteFile(s.req.RecordPath, changed, 0o644))
			}
		}
	}
	tests := []struct {
		name string
		make func(s *site)
	}{
		{"deleted", func(s *site) { must(s, os.Remove(s.req.RecordPath)) }},
		{"empty", edit(func([]byte) []byte { return nil })},
		{"cut", edit(func(b []byte) []byte { return b[:len(b)-10] })},
		{"garbage behind it", edit(func(b []byte) []byte { return append(b, '{') })},
		{"of another version", edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`"version":1`), []byte(`"version":2`), 1) })},
		{"another field", edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`"named"`), []byte(`"namend"`), 1) })},
		{"of another folder", func(s *site) {
			other := newSite(s)
			other.scan()
			copyAll(s, other.req.RecordPath, s.req.RecordPath)
		}},
		{"of another machine", func(s *site) {
			to := s.path("") + ".new"
			must(s, os.CopyFS(to, os.DirFS(s.dir)))
			must(s, os.RemoveAll(s.dir))
			must(s, os.Rename(to, s.dir))
			for _, item := range s.req.Items {
				fi, err := os.Stat(item.SourcePath)
				must(s, err)
				must(s, os.Chtimes(s.path(item.Path), fi.ModTime(), fi.ModTime()))
			}
		}},
	}
	all := together{T: t}
	defer all.Wait()
	for _, tt := range tests {
		all.run(tt.name, func(t *testing.T) {
			s := newSite(t)
			first := s.scan()
			tt.make(s)
			must(t, os.WriteFile(s.req.StartedPath, nil, 0o644))
			settle()
			if again := s.scan(); asJSON(t, again) != asJSON(t, first) {
				t.Errorf("got %s", asJSON(t, again))
			}
			s.silent()
			if s.read < 3 {
				t.Errorf("%d files were read", s.read)
			}
			s.scan()
			s.wantRead(0)
		})
	}
	t.Run("a folder in its place", func(t *testing.T) {
		s := newSite(t)
		must(t, os.MkdirAll(filepath.Join(s.req.RecordPath, "f"), 0o755))
		s.scan()
		s.says("the record of the publish folder cannot be written")
	})
	t.Run("relative", func(t *testing.T) {
		s := newSite(t)
		out := t.TempDir()
		s.req.RecordPath = "r.json"
		_, err := Run(context.Background(), Deps{OutputDir: out}, s.req)
		must(t, err)
		_, err = os.Stat(filepath.Join(out, "r.json"))
		must(t, err)
	})
}

func TestScansAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.put(s.path("a.dll"), "stale", time.Now().Add(-time.Hour))
	s.publishNothing()
	var wg sync.WaitGroup
	lists := make([]string, 8)
	for i := range lists {
		wg.Go(func() {
			for range 5 {
				r, err := Run(context.Background(), Deps{}, s.req)
				if err != nil {
					t.Error(err)
					return
				}
				lists[i] = asJSON(t, r)
			}
		})
	}
	wg.Wait()
	for _, l := range lists {
		if l != lists[0] || !strings.Contains(l, string(digestOf("first a.dll"))) {
			t.Errorf("got %s", l)
		}
	}
	s.scan()
}

// TestSameListAnywhere compares the lists of equal folders.
func TestSameListAnywhere(t *testing.T) {
	t.Parallel()
	a, b := newSite(t), newSite(t)
	must(t, os.Remove(b.path("a.dll")))
	b.publish()
	if x, y := asJSON(t, a.scan().Files), asJSON(t, b.scan().Files); x != y {
		t.Errorf("got\n%s\nand\n%s", x, y)
	}
}

// TestChangedWhileRead writes to a file for as long as it is read.
func TestChangedWhileRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "big")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(256<<20))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				f.WriteAt([]byte{1}, 0)
			}
		}
	})
	req := request(dir)
	req.RecordPath = filepath.Join(t.TempDir(), "r")
	_, err = Run(context.Background(), Deps{}, req)
	close(stop)
	wg.Wait()
	wantError(t, err, diag.FileChanged, `"big"`, "let no other build")
	if _, err := published.Read(req.RecordPath, dir); err == nil {
		t.Error("a record was written")
	}
}

// BenchmarkUnchanged scans a folder of 400 files with as many sources, in which nothing changed.
func BenchmarkUnchanged(b *testing.B) {
	s := newSite(b)
	for i := range 400 {
		name := filepath.ToSlash(filepath.Join("lib", strings.Repeat("x", 20)+time.Unix(int64(i), 0).UTC().Format("150405")+".dll"))
		write(b, s.src, name, name)
		s.item(name)
	}
	settle()
	s.publish()
	settle()
	s.scan()
	s.scan()
	s.wantRead(0)
	for b.Loop() {
		if _, err := Run(context.Background(), Deps{}, s.req); err != nil {
			b.Fatal(err)
		}
	}
}
