package buildcontext

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStore_once: a file is read once by one store, by whatever name, and not again by the next run.
func TestStore_once(t *testing.T) {
	dir := tree(t, "a", "d/b", "d/c", "dl -> d")
	must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "hard")))
	memo := filepath.Join(t.TempDir(), "memo")
	time.Sleep(120 * time.Millisecond) // files of this very moment are not settled: see published.Stat
	s := NewStore(memo)
	first := all(t, s, dir)
	for range 3 {
		c, err := s.Open(filepath.Join(dir, "d"), "")
		must(t, err)
		_, err = c.Files(context.Background(), []Pattern{{Path: "b"}})
		must(t, err)
	}
	if s.Reads() != 3 {
		t.Errorf("%d reads of three files", s.Reads())
	}
	must(t, s.Save())

	s = NewStore(memo)
	if got := all(t, s, dir); s.Reads() != 0 || !cmp.Equal(first, got) {
		t.Errorf("%d reads, %v", s.Reads(), got)
	}
	must(t, s.Save()) // writes nothing: no file was read

	// the same size and time of modification, other bytes
	fi, err := os.Stat(filepath.Join(dir, "d/b"))
	must(t, err)
	write(t, "d/x", dir, "d", "b")
	must(t, os.Chtimes(filepath.Join(dir, "d/b"), fi.ModTime(), fi.ModTime()))
	s = NewStore(memo)
	if got := all(t, s, dir); s.Reads() != 1 || cmp.Equal(first, got) {
		t.Errorf("%d reads, %v", s.Reads(), got)
	}

	data, err := os.ReadFile(memo)
	must(t, err)
	for _, bad := range [][]byte{nil, data[:len(data)-1], append([]byte("x"), data[1:]...), append(data[:len(data):len(data)], 0)} {
		must(t, os.WriteFile(memo, bad, 0o600))
		if s = NewStore(memo); len(s.memo) != 0 {
			t.Errorf("a bad memo of %d bytes was taken", len(bad))
		}
	}
	if err := NewStore("").Save(); err != nil {
		t.Error(err)
	}
}

// TestStore_parallel reads one folder from many goroutines.
func TestStore_parallel(t *testing.T) {
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("d%d/f%d", i%7, i))
	}
	dir := tree(t, names...)
	s := NewStore("")
	c, err := s.Open(dir, "")
	must(t, err)
	errs := make(chan error)
	for i := range 16 {
		go func() {
			_, err := c.Files(context.Background(), []Pattern{{Path: fmt.Sprintf("d%d", i%7)}, {Path: "*"}})
			errs <- err
		}()
	}
	for range 16 {
		must(t, <-errs)
	}
	if s.Reads() != 200 {
		t.Errorf("%d reads of 200 files", s.Reads())
	}
}

func FuzzMemo(f *testing.F) {
	s := NewStore("")
	f.Add(encodeMemo(s.memo))
	f.Add([]byte(memoHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := parseMemo(data)
		if err == nil && string(encodeMemo(files)) != string(data) && len(files) == 0 && len(data) != len(encodeMemo(nil)) {
			t.Errorf("%d files of %d bytes", len(files), len(data))
		}
	})
}

func BenchmarkFiles(b *testing.B) {
	const contexts = 1000
	dir := b.TempDir()
	for i := range contexts {
		for k := range 5 {
			name := filepath.Join(dir, fmt.Sprint(i), "src", fmt.Sprint(k))
			must(b, os.MkdirAll(filepath.Dir(name), 0o755))
			must(b, os.WriteFile(name, []byte(name), 0o644))
		}
	}
	time.Sleep(100 * time.Millisecond)
	memo := filepath.Join(b.TempDir(), "memo")
	all := func(b *testing.B, memo string) {
		s := NewStore(memo)
		for i := range contexts {
			c, err := s.Open(filepath.Join(dir, fmt.Sprint(i)), "")
			must(b, err)
			_, err = c.Files(context.Background(), []Pattern{{Path: "src"}})
			must(b, err)
		}
		must(b, s.Save())
	}
	all(b, memo)
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			all(b, "")
		}
	})
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			all(b, memo)
		}
	})
}
