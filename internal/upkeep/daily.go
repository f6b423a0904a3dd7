package upkeep

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/progress"
)

// stampFile says by its time when a store was last pruned by itself.
const stampFile = "pruned"

// dailyLimit is how long a build may wait for the prune at its end. What is left is for another day.
const dailyLimit = 2 * time.Second

// Daily prunes a store unless that was done within a day: with one look at a file when it was. It waits for nobody, and a store that
// somebody uses is pruned at the end of another build. It never fails.
func Daily(ctx context.Context, store *cas.Store, getenv func(string) string, log *slog.Logger) {
	for _, dir := range store.Dirs() {
		if !due(filepath.Join(dir, stampFile)) {
			continue
		}
		if err := daily(ctx, dir, getenv, log); err != nil {
			log.Debug("the content store was not pruned, or in part", "folder", dir, "reason", err.Error())
		}
	}
}

func daily(ctx context.Context, dir string, getenv func(string) string, log *slog.Logger) error {
	limits, err := LimitsFrom(getenv)
	if err != nil {
		log.Info("a limit of the content store cannot be read and is the default", "reason", err.Error())
	}
	waited, cancel := context.WithCancel(ctx)
	cancel()
	release, err := cas.Alone(waited, dir)
	if err != nil {
		return err
	}
	defer release()
	// first the stamp: where it cannot be written nothing can be removed, and what fails is not tried again in each build
	stamp := filepath.Join(dir, stampFile)
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		return err
	}
	if err := os.Chtimes(stamp, time.Time{}, time.Now()); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, dailyLimit)
	defer cancel()
	var p Pruned
	err = (&sweep{Pruned: &p, dir: dir, limits: limits, now: time.Now()}).run(ctx)
	if p.Blobs.Files > 0 {
		log.Info("the content store was pruned", "blobs", p.Blobs.Files, "removed", progress.Bytes(p.Blobs.Bytes), "kept", progress.Bytes(p.Kept.Bytes))
	}
	return err
}

// due says whether a stamp is a day old. One from the future is: a clock was wrong.
func due(stamp string) bool {
	fi, err := os.Stat(stamp)
	age := time.Duration(0)
	if err == nil {
		age = time.Since(fi.ModTime())
	}
	return err != nil || age >= day || age < 0
}
