package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/progress"
)

// remainingEach is how often the remaining time is told; what takes less is not told of at all.
const remainingEach = 5 * time.Second

// remaining tells how much of a long question is done and about how long the rest takes. It is safe for concurrent use.
type remaining struct {
	log        *slog.Logger // nil tells nobody
	what, unit string
	now        func() time.Time

	mu          sync.Mutex
	start, last time.Time
}

func (p *process) remaining(c *cli.Context, what, unit string) *remaining {
	r := &remaining{what: what, unit: unit, now: time.Now, start: time.Now()}
	r.last = r.start
	if c.String("verbosity") != "quiet" {
		r.log, _ = p.logger(c, p.stderr, slog.LevelInfo) // which was made before
	}
	return r
}

// tell writes a line when the last one is long ago.
func (r *remaining) tell(done, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.log == nil || done == 0 || done >= total || now.Sub(r.last) < remainingEach {
		return
	}
	r.last = now
	r.log.Info(fmt.Sprintf("%s: %d of %d %s%s", r.what, done, total, r.unit, r.left(done, total)))
}

// left is about how long the rest takes.
func (r *remaining) left(done, total int) string {
	if done == 0 || done >= total {
		return ""
	}
	spent := r.now().Sub(r.start)
	left := time.Duration(float64(spent) / float64(done) * float64(total-done))
	return ", about " + progress.Words(left) + " left"
}
