package cas

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// withFallback opens a store with a fallback, and returns what it tells.
func withFallback(dir, temp, build string) (*Store, *[]string) {
	told := &[]string{}
	return Open(dir).WithFallback(Fallback{
		Dir: temp, Build: func() string { return build }, Tell: func(reason error) { *told = append(*told, reason.Error()) },
	}), told
}

func mount(t *testing.T, dir string, options ...string) {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "mount", "umount")
	args := append(append([]string{"-t", "tmpfs"}, options...), "tmpfs", dir)
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
}

// spoilt are stores that do not take what is written.
var spoilt = map[string]func(t *testing.T, dir string){
	"a file":        func(t *testing.T, dir string) { mustDo(t, os.WriteFile(dir, nil, 0o600)) },
	"below a file":  func(t *testing.T, dir string) { mustDo(t, os.WriteFile(filepath.Dir(dir), nil, 0o600)) },
	"blobs a file":  func(t *testing.T, dir string) { put(t, filepath.Join(dir, "blobs"), "") },
	"ingest a file": func(t *testing.T, dir string) { put(t, filepath.Join(dir, "ingest"), "") },
	"full": func(t *testing.T, dir string) {
		mustDo(t, os.MkdirAll(dir, 0o700))
		mount(t, dir, "-o", "size=64k")
	},
	"without inodes": func(t *testing.T, dir string) {
		mustDo(t, os.MkdirAll(dir, 0o700))
		mount(t, dir, "-o", "nr_inodes=2")
	},
	"read-only": func(t *testing.T, dir string) {
		mustDo(t, os.MkdirAll(dir, 0o700))
		mount(t, dir, "-o", "ro")
	},
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	mustDo(t, os.MkdirAll(filepath.Dir(path), 0o700))
	mustDo(t, os.WriteFile(path, []byte(text), 0o600))
}

// A store that does not take what is written is replaced, in this process and in the next, with one word for each build.
func TestFallback(t *testing.T) {
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			store, temp := filepath.Join(dir, "home", "gantry"), filepath.Join(dir, "tmp")
			if name != "below a file" {
				mustDo(t, os.Mkdir(filepath.Dir(store), 0o700))
			}
			spoil(t, store)
			big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			var said []string
			for _, build := range []string{"1", "1", "2"} {
				s, told := withFallback(store, temp, build)
				release := s.Use()
				for range 2 {
					if d, err := s.PutBytes([]byte("hello")); err != nil || d != helloDigest {
						t.Fatalf("put: %s, %v", d, err)
					}
					mustDo(t, s.Put(t.Context(), DigestOf(big), bytes.NewReader(big)))
				}
				if got, err := s.ReadAll(DigestOf(big)); err != nil || !bytes.Equal(got, big) {
					t.Errorf("read: %d bytes, %v", len(got), err)
				}
				mustDo(t, s.WriteFile("records/a/b.json", []byte("{}")))
				release()
				again, _ := withFallback(store, temp, build)
				if n, err := again.Size(helloDigest); err != nil || n != 5 {
					t.Errorf("in another process: %d, %v", n, err)
				}
				if got, err := again.ReadFile("records/a/b.json"); err != nil || string(got) != "{}" {
					t.Errorf("in another process: %q, %v", got, err)
				}
				said = append(said, *told...)
			}
			if len(said) != 2 {
				t.Errorf("said %q, want a word for each of two builds", said)
			}
			if left, _ := os.ReadDir(filepath.Join(temp, "ingest")); len(left) != 0 {
				t.Errorf("left in ingest: %v", left)
			}
		})
	}
}

// Without a build, what was said a moment ago is not said again.
func TestFallback_noBuild(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "store"), "")
	said := 0
	for range 3 {
		s, told := withFallback(filepath.Join(dir, "store"), filepath.Join(dir, "tmp"), "")
		_, err := s.PutBytes([]byte("another"))
		mustDo(t, err)
		_, err = s.PutBytes([]byte(fmt.Sprint(said)))
		mustDo(t, err)
		said += len(*told)
	}
	if said != 1 {
		t.Errorf("said %d times", said)
	}
}

// Anybody can make folders where temporary files are: what is not this user's alone is not used.
func TestFallback_hostile(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, temp string){
		"open to others": func(t *testing.T, temp string) {
			mustDo(t, os.Mkdir(temp, 0o700))
			mustDo(t, os.Chmod(temp, 0o777))
		},
		"a link": func(t *testing.T, temp string) {
			mustDo(t, os.Mkdir(temp+"2", 0o700))
			mustDo(t, os.Symlink(temp+"2", temp))
		},
		"a file": func(t *testing.T, temp string) { put(t, temp, "") },
		"another's": func(t *testing.T, temp string) {
			testenv.RequireRoot(t)
			mustDo(t, os.Mkdir(temp, 0o700))
			mustDo(t, os.Chown(temp, 4321, 4321))
		},
		"no folder for temporary files": func(t *testing.T, temp string) { mustDo(t, os.Remove(filepath.Dir(temp))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			temp := filepath.Join(dir, "tmp", "gantry")
			mustDo(t, os.Mkdir(filepath.Dir(temp), 0o700))
			prepare(t, temp)
			put(t, filepath.Join(dir, "store"), "")
			s, told := withFallback(filepath.Join(dir, "store"), temp, "1")
			if _, err := s.PutBytes([]byte("hello")); diag.CodeOf(err) != diag.StoreUnwritable {
				t.Errorf("got %v", err)
			}
			if _, err := s.Size(helloDigest); !errors.Is(err, ErrNotFound) {
				t.Errorf("size: %v", err)
			}
			if _, err := os.Lstat(temp); err != nil {
				return
			}
			// what somebody put there is not read
			_ = os.MkdirAll(filepath.Join(temp, filepath.FromSlash(BlobsDir)), 0o700)
			_ = os.WriteFile(blobPath(temp, helloDigest), []byte("hello"), 0o600)
			for _, dir := range []string{filepath.Join(dir, "store"), temp} {
				s, _ = withFallback(dir, temp, "1")
				if _, err := s.ReadAll(helloDigest); !errors.Is(err, ErrNotFound) {
					t.Errorf("read: %v", err)
				}
				if _, err := s.PutBytes([]byte("hello")); diag.CodeOf(err) != diag.StoreUnwritable {
					t.Errorf("got %v", err)
				}
			}
			if len(*told) > 0 {
				t.Errorf("told %q", *told)
			}
		})
	}
}

// A user without a folder for caches has one for temporary files, and needs not hear of it.
func TestFallback_only(t *testing.T) {
	temp := filepath.Join(t.TempDir(), "gantry")
	s, told := withFallback(temp, temp, "1")
	_, err := s.PutBytes([]byte("hello"))
	mustDo(t, err)
	if got, err := s.ReadAll(helloDigest); err != nil || string(got) != "hello" || len(*told) > 0 {
		t.Errorf("read %q, %v, told %q", got, err, *told)
	}
	if fi, err := os.Stat(temp); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", fi.Mode(), err)
	}
}

// A blob that rotted in a store that cannot be written is made anew beside it, and found from then on.
func TestFallback_damagedReadOnly(t *testing.T) {
	dir := t.TempDir()
	store, temp := filepath.Join(dir, "store"), filepath.Join(dir, "tmp")
	mustDo(t, os.Mkdir(store, 0o700))
	mount(t, store)
	put(t, blobPath(store, helloDigest), "hellp")
	mustDo(t, exec.Command("mount", "-o", "remount,ro", store).Run())
	first, _ := withFallback(store, temp, "1")
	if _, err := first.ReadAll(helloDigest); diag.CodeOf(err) != diag.StoreCorrupt {
		t.Fatalf("read: %v", err)
	}
	next, _ := withFallback(store, temp, "1")
	if _, err := next.Size(helloDigest); !errors.Is(err, ErrNotFound) {
		t.Errorf("the damaged blob is there in the next process: %v", err)
	}
	_, err := next.PutBytes([]byte("hello"))
	mustDo(t, err)
	last, _ := withFallback(store, temp, "1")
	if got, err := last.ReadAll(helloDigest); err != nil || string(got) != "hello" {
		t.Errorf("read: %q, %v", got, err)
	}
	// the store takes it again: what was remembered is forgotten
	mustDo(t, exec.Command("mount", "-o", "remount,rw", store).Run())
	mustDo(t, os.RemoveAll(filepath.Join(temp, "blobs")))
	again, _ := withFallback(store, temp, "2")
	_, err = again.PutBytes([]byte("hello"))
	mustDo(t, err)
	if got, err := os.ReadFile(again.Path(helloDigest)); err != nil || string(got) != "hello" {
		t.Errorf("in the store: %q, %v", got, err)
	}
	if n, err := again.Size(helloDigest); err != nil || n != 5 {
		t.Errorf("size: %d, %v", n, err)
	}
}
