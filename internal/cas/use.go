package cas

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// use are the locks that say that a process uses a store. The system gives them back when the process ends, however it ends.
type use struct {
	mu    sync.Mutex
	stop  chan struct{} // nil: the store is not in use
	locks []*flock.Flock
	wait  sync.WaitGroup
}

// Use says, until release is called, that this process uses the store: Alone finds that it is in use. A folder without locks is used
// all the same, and so is one that somebody is alone with for a moment.
func (s *Store) Use() (release func()) {
	s.use.start()
	for _, dir := range s.Dirs() {
		s.use.add(dir)
	}
	return s.use.release
}

func (u *use) start() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stop = make(chan struct{})
}

// add locks one more folder of a store that is in use.
func (u *use) add(dir string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stop == nil {
		return
	}
	lock, err := lockOf(dir)
	if err != nil {
		return
	}
	u.locks = append(u.locks, lock)
	if ok, err := lock.TryRLock(); ok || err != nil {
		return
	}
	stop := u.stop
	u.wait.Go(func() { lockWhenFree(lock, stop) })
}

// lockWhenFree takes a lock that somebody has, once it is free, unless stop is closed before.
func lockWhenFree(lock *flock.Flock, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(lockPause):
		}
		if ok, err := lock.TryRLock(); ok || err != nil {
			return
		}
	}
}

func (u *use) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stop == nil {
		return
	}
	close(u.stop)
	u.wait.Wait()
	for _, lock := range u.locks {
		_ = lock.Close()
	}
	u.stop, u.locks = nil, nil
}

// lockPause is how long to wait before a lock is tried again.
const lockPause = 20 * time.Millisecond

// useLock is the lock of a folder's users. It is never removed.
const useLock = "store"

func lockOf(dir string) (*flock.Flock, error) {
	locks := filepath.Join(dir, LocksDir)
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return nil, err
	}
	return flock.New(filepath.Join(locks, useLock)), nil
}

// Alone waits until no process uses one of the store's folders, or ctx ends, and keeps others from it until release is called. The
// reason why it is not alone is for people.
func Alone(ctx context.Context, dir string) (release func(), err error) {
	lock, err := lockOf(dir)
	if err != nil {
		return nil, err
	}
	ok, err := lock.TryLock()
	if !ok && err == nil {
		ok, err = lock.TryLockContext(ctx, lockPause)
	}
	if !ok && ctx.Err() != nil {
		return nil, errors.New("it is in use")
	}
	if !ok {
		return nil, err
	}
	return func() { _ = lock.Close() }, nil
}
