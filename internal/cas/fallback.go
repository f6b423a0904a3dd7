package cas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Fallback is what a store does whose folder does not take what is written: from then on it writes to a folder for temporary files,
// and reads both.
type Fallback struct {
	// Dir is the folder, see TemporaryDir. It is used only when it is this user's alone.
	Dir string
	// Build names the build that this process is a part of; empty when there is none.
	Build func() string
	// Tell is told the reason, once a build: by the first of its processes.
	Tell func(reason error)
}

// WithFallback returns the store with a fallback. It must be called before the store is used.
func (s *Store) WithFallback(f Fallback) *Store {
	s.temp = &temporary{Fallback: f, dir: filepath.Clean(f.Dir)}
	return s
}

// TemporaryDir is the folder of this user among the temporary files.
func TemporaryDir() string {
	name := "gantry"
	if uid := os.Getuid(); uid >= 0 { // Windows has none, and a folder for each user
		name += "-" + strconv.Itoa(uid)
	}
	return filepath.Join(os.TempDir(), name)
}

// temporary is the folder of a Fallback. Anybody may make folders where temporary files are, so it is looked at before it is used.
type temporary struct {
	Fallback
	dir     string
	writing atomic.Bool // the store writes here

	mu     sync.Mutex
	looked bool
	usable bool
	tell   sync.Once
}

// temporary says that the store's own folder is the fallback: the user has no other.
func (s *Store) temporary() bool { return s.temp != nil && s.temp.dir == filepath.Clean(s.dir) }

// replaced says that the store's own folder does not take what is written.
func (s *Store) replaced() bool { return s.temp != nil && s.temp.writing.Load() }

// replace has everything written to the fallback from now on. The error is GANTRY4009 with the reason, when there is none or it cannot
// be used either.
func (s *Store) replace(reason error) error {
	if s.temp == nil || s.replaced() && s.temporary() {
		return unwritable(reason)
	}
	if err := s.temp.make(); err != nil {
		return unwritable(both(reason, err))
	}
	s.temp.writing.Store(true)
	s.use.add(s.temp.dir)
	if !s.temporary() {
		s.temp.tell.Do(func() {
			if s.temp.first(s.dir) && s.temp.Tell != nil {
				s.temp.Tell(reason)
			}
		})
	}
	return nil
}

// readable says whether the folder is there and ours.
func (t *temporary) readable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.looked {
		t.looked, t.usable = true, private(t.dir) == nil
	}
	return t.usable
}

// make makes the folder, or finds that it is ours.
func (t *temporary) make() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looked && t.usable {
		return nil
	}
	if err := os.Mkdir(t.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := private(t.dir); err != nil {
		return err
	}
	t.looked, t.usable = true, true
	return nil
}

// private returns why dir is not a folder that only this user can write to and look into.
func private(dir string) error {
	fi, err := os.Lstat(dir) // a link would lead to where somebody else decides
	switch {
	case err != nil:
		return err
	case !fi.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !owned(fi):
		return fmt.Errorf("%s is not this user's alone", dir)
	}
	return nil
}

// sayAgainAfter is when a process that knows no build says again what another has said.
const sayAgainAfter = 10 * time.Minute

// first says whether this is the first process of the build whose store does not take what is written. In doubt it is.
func (t *temporary) first(store string) bool {
	build := ""
	if t.Build != nil {
		build = t.Build()
	}
	file := filepath.Join(t.dir, "said-"+DigestOf([]byte(store + "\n" + build)).Hex()[:16])
	fi, err := os.Stat(file)
	if err == nil && (build != "" || time.Since(fi.ModTime()) < sayAgainAfter) {
		return false
	}
	if err == nil {
		os.Remove(file)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrExist)
}

func (t *temporary) damagedFile(d Digest) string { return filepath.Join(t.dir, "damaged", d.Hex()) }

// condemn remembers that blob d of the store's own folder is damaged and cannot be removed.
func (t *temporary) condemn(d Digest) bool {
	if t.make() != nil || os.MkdirAll(filepath.Join(t.dir, "damaged"), 0o700) != nil {
		return false
	}
	return os.WriteFile(t.damagedFile(d), nil, 0o600) == nil
}

func (t *temporary) condemned(d Digest) bool {
	_, err := os.Lstat(t.damagedFile(d))
	return err == nil
}

// acquit forgets what condemn remembered, once a folder took the blob anew.
func (s *Store) acquit(dir string, d Digest) {
	if s.temp != nil && dir == s.dir && s.temp.readable() {
		os.Remove(s.temp.damagedFile(d))
	}
}
