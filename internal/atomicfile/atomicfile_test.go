package atomicfile

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWriteIfDifferent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, tc := range []struct {
		content string
		want    bool
	}{{"a", true}, {"a", false}, {"b", true}, {"", true}, {"", false}} {
		old := time.Now().Add(-time.Hour)
		_ = os.Chtimes(path, old, old)
		wrote, err := WriteIfDifferent(path, []byte(tc.content))
		if err != nil || wrote != tc.want {
			t.Fatalf("%q: wrote %v, %v", tc.content, wrote, err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if touched := fi.ModTime().After(old.Add(time.Minute)); touched != tc.want {
			t.Errorf("%q: time changed: %v", tc.content, touched)
		}
	}
}

// A reader sees one of the contents, whole, and nothing is left beside the file.
func TestWrite_concurrent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	contents := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<17)}
	if err := Write(path, []byte(contents[0])); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if err := Write(path, []byte(contents[i%2])); err != nil {
					t.Error(err)
				}
				if got, err := os.ReadFile(path); err != nil || string(got) != contents[0] && string(got) != contents[1] {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files left: %v", entries)
	}
}

func TestWrite_noFolder(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "none", "f"), nil); err == nil {
		t.Error("no error")
	}
}

// TestSweep: what an interrupted run left a day ago goes; what is young, and what only looks like it, stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := map[string]bool{filepath.Base(f.Name()): true, ".a.tar.12": false, ".a.tar.x": true, "a.tar.12": true, ".a.tar.": true, ".b.tar.12": true}
	for name := range want {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if old := time.Now().Add(-2 * forgotten); file != f.Name() {
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := func(name string) bool { return name == "a.tar" }
	Sweep(dir, ours)
	Sweep(filepath.Join(dir, "none"), ours)
	for name, stays := range want {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil != stays {
			t.Errorf("%s: there: %v", name, err == nil)
		}
	}
}
