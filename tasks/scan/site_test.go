package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// site is a project with its publish folder, publishing as the SDK does: a copy keeps the time of its source, and a file is copied when it is
// newer than its copy.
type site struct {
	testing.TB
	dir, src string
	req      *Request
	log      bytes.Buffer
	read     int // by the last scan
}

// newSite has a project of the files a.dll, b.json and sub/c.txt, published once. The second file belongs to a package.
func newSite(t testing.TB) *site {
	t.Helper()
	root := t.TempDir()
	s := &site{TB: t, dir: filepath.Join(root, "publish"), src: filepath.Join(root, "src")}
	s.req = request(s.dir)
	s.req.RecordPath = filepath.Join(root, "obj", "scan.record.json")
	s.req.StartedPath = filepath.Join(root, "started")
	for _, name := range []string{"a.dll", "b.json", "sub/c.txt"} {
		write(t, s.src, name, "first "+name)
		s.item(name)
	}
	settle()
	s.publish()
	settle()
	return s
}

func (s *site) path(name string) string   { return filepath.Join(s.dir, filepath.FromSlash(name)) }
func (s *site) source(name string) string { return filepath.Join(s.src, filepath.FromSlash(name)) }

func (s *site) item(name string) {
	s.req.Items = append(s.req.Items, Item{Path: name, SourcePath: s.source(name), Origin: tasks.OriginApp})
}

// publish copies what is newer, and says when it began.
func (s *site) publish() {
	s.Helper()
	if _, err := os.Stat(s.req.StartedPath); err == nil {
		settle()
	}
	must(s, os.WriteFile(s.req.StartedPath, nil, 0o644))
	for _, item := range s.req.Items {
		from, err := os.Stat(item.SourcePath)
		must(s, err)
		if to, err := os.Stat(s.path(item.Path)); err != nil || from.ModTime().After(to.ModTime()) {
			copyAll(s, item.SourcePath, s.path(item.Path))
		}
	}
}

// together runs cases that mostly wait, all at once.
type together struct {
	*testing.T
	sync.WaitGroup
}

func (g *together) run(name string, f func(t *testing.T)) { g.Go(func() { g.T.Run(name, f) }) }

// settle waits until the clock of files has moved. A file whose time was asked for is stamped with the exact time and another with that of the
// last timer interrupt (Linux 6.13, multigrain timestamps), so that of two files the later may seem nearer by one step than it is.
func settle() { time.Sleep(published.Tick + 25*time.Millisecond) }

// copyAll copies a file in place, with its time.
func copyAll(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	fi, err := os.Stat(from)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, data, fi.Mode()))
	must(t, os.Chtimes(to, fi.ModTime(), fi.ModTime()))
}

// put writes a file with a time.
func (s *site) put(path, content string, at time.Time) {
	s.Helper()
	must(s, os.MkdirAll(filepath.Dir(path), 0o755))
	must(s, os.WriteFile(path, []byte(content), 0o644))
	must(s, os.Chtimes(path, at, at))
}

func (s *site) content(name string) string {
	s.Helper()
	data, err := os.ReadFile(s.path(name))
	must(s, err)
	return string(data)
}

// scan scans, and compares the list with one that was made without any knowledge, but for what is left out.
func (s *site) scan(left ...string) *Response {
	s.Helper()
	got, err := s.tryScan()
	must(s, err)
	plain := *s.req
	plain.RecordPath, plain.StartedPath = "", ""
	truth, err := Run(context.Background(), Deps{}, &plain)
	must(s, err)
	skip := map[string]bool{}
	for _, l := range left {
		skip[l] = true
	}
	var want []tasks.FileEntry
	for _, f := range truth.Files {
		if !skip[f.Path] {
			want = append(want, f)
		}
	}
	if a, b := asJSON(s, got.Files), asJSON(s, want); a != b {
		s.Errorf("the list is\n%s\nwant\n%s", a, b)
	}
	return got
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return strings.ReplaceAll(string(data), "},", "},\n")
}

func (s *site) tryScan() (*Response, error) {
	s.Helper()
	s.log.Reset()
	s.read = -1
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "read" {
			s.read = int(a.Value.Int64())
		}
		return a
	}}))
	return Run(context.Background(), Deps{Log: log}, s.req)
}

// says fails unless the log of the last scan has the texts.
func (s *site) says(texts ...string) {
	s.Helper()
	for _, text := range texts {
		if !strings.Contains(s.log.String(), text) {
			s.Errorf("the log does not say %q:\n%s", text, s.log.String())
		}
	}
}

// silent fails if the log of the last scan tells the user of something.
func (s *site) silent() {
	s.Helper()
	if strings.Contains(s.log.String(), "GANTRY") {
		s.Errorf("the log says\n%s", s.log.String())
	}
}

func (s *site) wantRead(n int) {
	s.Helper()
	if s.read != n {
		s.Errorf("%d files were read, want %d\n%s", s.read, n, s.log.String())
	}
}
