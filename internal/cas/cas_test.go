package cas

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

const helloDigest = Digest("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")

func TestStore_roundTrip(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "store"))
	if _, err := s.Open(helloDigest); !errors.Is(err, ErrNotFound) {
		t.Errorf("open of nothing: %v", err)
	}
	if _, err := s.Size(helloDigest); !errors.Is(err, ErrNotFound) {
		t.Errorf("size of nothing: %v", err)
	}
	for range 2 { // the second time it is there
		d, err := s.PutBytes([]byte("hello"))
		if err != nil || d != helloDigest {
			t.Fatalf("put: %s, %v", d, err)
		}
	}
	if got, err := s.ReadAll(helloDigest); err != nil || string(got) != "hello" {
		t.Errorf("read: %q, %v", got, err)
	}
	if n, err := s.Size(helloDigest); err != nil || n != 5 {
		t.Errorf("size: %d, %v", n, err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), "ingest")); len(left) != 0 {
		t.Errorf("left in ingest: %v", left)
	}
}

func TestStore_Put(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name, content string
		ctx           context.Context
		want          diag.Code
	}{
		{"right", "hello", t.Context(), ""},
		{"other content", "hellO", t.Context(), diag.DigestMismatch},
		{"cut", "hell", t.Context(), diag.DigestMismatch},
		{"canceled", "hello", canceled, diag.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Open(t.TempDir())
			err := s.Put(tc.ctx, helloDigest, strings.NewReader(tc.content))
			if (err == nil) != (tc.want == "") || err != nil && diag.CodeOf(err) != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if _, e := s.Size(helloDigest); (e == nil) != (err == nil) {
				t.Errorf("blob there: %v", e)
			}
			if left, _ := os.ReadDir(filepath.Join(s.Dir(), "ingest")); len(left) != 0 {
				t.Errorf("left in ingest: %v", left)
			}
		})
	}
}

// Content that rotted is never handed out as whole, and the next run can make it again.
func TestStore_damaged(t *testing.T) {
	for name, damaged := range map[string]string{"flipped": "hellp", "cut": "hel", "empty": "", "longer": "hello!"} {
		t.Run(name, func(t *testing.T) {
			s := Open(t.TempDir())
			if _, err := s.PutBytes([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(s.Path(helloDigest)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.Path(helloDigest), []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ReadAll(helloDigest); diag.CodeOf(err) != diag.StoreCorrupt {
				t.Errorf("read: %v", err)
			}
			if _, err := s.Size(helloDigest); !errors.Is(err, ErrNotFound) {
				t.Errorf("the damaged blob is still there: %v", err)
			}
			if _, err := s.PutBytes([]byte("hello")); err != nil {
				t.Errorf("put again: %v", err)
			}
		})
	}
}

func TestStore_manyWriters(t *testing.T) {
	s := Open(t.TempDir())
	content := bytes.Repeat([]byte("x"), 1<<16)
	want := DigestOf(content)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := s.Put(t.Context(), want, bytes.NewReader(content)); err != nil {
				t.Error(err)
			}
			if got, err := s.ReadAll(want); err != nil || !bytes.Equal(got, content) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestStore_unwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "store")).PutBytes([]byte("hello")); diag.CodeOf(err) != diag.StoreUnwritable {
		t.Errorf("got %v", err)
	}
}

func TestStore_diskFull(t *testing.T) {
	testenv.RequireRoot(t)
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	s := Open(dir)
	_, err := s.PutBytes(make([]byte, 1<<20))
	if diag.CodeOf(err) != diag.StoreUnwritable {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "ingest")); len(left) != 0 {
		t.Errorf("left in ingest: %v", left)
	}
	if _, err := s.PutBytes([]byte("hello")); err != nil {
		t.Errorf("a small blob after the failure: %v", err)
	}
}

// The time of a blob says when it was last used, to the hour.
func TestStore_notesUse(t *testing.T) {
	s := Open(t.TempDir())
	if _, err := s.PutBytes([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	uses := map[string]func() error{
		"size": func() error { _, err := s.Size(helloDigest); return err },
		"read": func() error { _, err := s.ReadAll(helloDigest); return err },
		"put":  func() error { _, err := s.PutBytes([]byte("hello")); return err },
		"none": func() error { return s.Verify(s.Dir(), helloDigest) },
	}
	for name, use := range uses {
		for _, tc := range []struct {
			age       time.Duration
			refreshed bool
		}{{50 * time.Minute, false}, {70 * time.Minute, name != "none"}} {
			was := time.Now().Add(-tc.age).Truncate(time.Second)
			if err := os.Chtimes(s.Path(helloDigest), was, was); err != nil {
				t.Fatal(err)
			}
			if err := use(); err != nil {
				t.Fatal(err)
			}
			fi, err := os.Stat(s.Path(helloDigest))
			if err != nil {
				t.Fatal(err)
			}
			if refreshed := !fi.ModTime().Equal(was); refreshed != tc.refreshed {
				t.Errorf("%s after %s: refreshed %v", name, tc.age, refreshed)
			}
		}
	}
}

// A document that rotted is replaced by the one who has it.
func TestStore_PutBytes_damaged(t *testing.T) {
	s := Open(t.TempDir())
	if err := os.MkdirAll(filepath.Dir(s.Path(helloDigest)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(helloDigest), []byte("hellp"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBytes([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReadAll(helloDigest); err != nil || string(got) != "hello" {
		t.Errorf("read: %q, %v", got, err)
	}
}

// Whoever empties the store while a blob is written does no harm: not to the blob, and not to the one who writes.
func TestStore_lostWhileWriting(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "store"))
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	for _, part := range []string{"he", "llo"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(s.Dir()); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := w.Commit(); err != nil || d != helloDigest {
		t.Fatalf("commit: %s, %v", d, err)
	}
	if got, err := s.ReadAll(helloDigest); err != nil || string(got) != "hello" {
		t.Errorf("read: %q, %v", got, err)
	}
}

// What is carried on to another file is proved: a disk that fails may give back anything.
func TestStore_lostAndDamaged(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "store"))
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.f.Name(), []byte("hellp"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.Dir()); err != nil {
		t.Fatal(err)
	}
	if d, err := w.Commit(); diag.CodeOf(err) != diag.StoreUnwritable {
		t.Errorf("commit: %s, %v", d, err)
	}
}

func TestDefaultDir(t *testing.T) {
	env := map[string]string{"GANTRY_CACHE_DIR": "/store"}
	if got := DefaultDir(func(k string) string { return env[k] }); got != "/store" {
		t.Errorf("got %s", got)
	}
}

func FuzzParseDigest(f *testing.F) {
	for _, s := range []string{string(helloDigest), "", "sha256:", "sha512:00", "sha256:" + strings.Repeat("A", 64), "sha256:../../etc/passwd", string(helloDigest) + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err != nil {
			return
		}
		path := Open("/store").Path(d)
		if string(d) != s || filepath.Dir(path) != "/store/blobs/sha256" || len(d.Hex()) != 64 {
			t.Errorf("%q: %s at %s", s, d, path)
		}
	})
}
