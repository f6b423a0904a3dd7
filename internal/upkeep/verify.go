package upkeep

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
)

// Damage is a blob that was damaged. Err says how, and whether it could be removed.
type Damage struct {
	Digest cas.Digest
	Err    error
}

// Verify hashes every blob of a store again and removes those that are damaged. It returns how many it hashed, and in order of their
// folders and digests those that were damaged. The error is that of ctx.
func Verify(ctx context.Context, store *cas.Store) (blobCount int, damaged []Damage, err error) {
	type task struct {
		dir string
		blob
		err error
	}
	var tasks []task
	for _, dir := range store.Dirs() {
		for _, b := range blobsIn(dir) {
			tasks = append(tasks, task{dir: dir, blob: b})
		}
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range tasks {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			t := &tasks[i]
			t.err = store.Verify(t.dir, t.digest)
			if errors.Is(t.err, cas.ErrNotFound) { // pruned meanwhile
				t.err = nil
				return nil
			}
			mu.Lock()
			blobCount++
			mu.Unlock()
			return nil
		})
	}
	err = g.Wait()
	for _, t := range tasks {
		if t.err != nil {
			damaged = append(damaged, Damage{t.digest, t.err})
		}
	}
	return blobCount, damaged, err
}
