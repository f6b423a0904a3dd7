package records

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/gantry-build/gantry/internal/cas"
)

// lockPause is how long to wait before a lock is tried again: what it guards takes longer.
const lockPause = 10 * time.Millisecond

// Lock waits until no other process of this machine has the lock of that name, or ctx ends, and takes it; unlock gives it back. Where
// locks do not work it returns at once: a lock saves work, and never decides what is right. The system gives back those of a process
// that ends, however it ends.
func (r *Records) Lock(ctx context.Context, name string) (unlock func()) {
	for _, dir := range r.store.Dirs() {
		dir = filepath.Join(dir, cas.LocksDir)
		if os.MkdirAll(dir, 0o700) != nil {
			continue
		}
		lock := flock.New(filepath.Join(dir, cas.DigestOf([]byte(name)).Hex()[:32]+".lock"))
		ok, err := lock.TryLock()
		if !ok && err == nil {
			ok, _ = lock.TryLockContext(ctx, lockPause)
		}
		if ok {
			return func() { _ = lock.Close() }
		}
		if ctx.Err() != nil {
			break
		}
	}
	return func() {}
}
