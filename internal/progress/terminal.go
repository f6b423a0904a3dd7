package progress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Terminal draws one line for each transfer: its bytes and its rate. What else is written to the terminal meanwhile must go
// through Write, which puts it above the lines. It is safe for concurrent use.
type Terminal struct {
	mu   sync.Mutex
	w    io.Writer
	bars *mpb.Progress // nil until there is something to draw
	rows map[string]*row
}

// row is one line. Its fields are atomic as drawing reads them and must wait for nobody.
type row struct {
	bar     *mpb.Bar
	began   time.Time
	moved   atomic.Int64
	outcome atomic.Value // a string
}

// NewTerminal returns a Terminal that draws on w. Close must be called before the process ends.
func NewTerminal(w io.Writer) *Terminal {
	return &Terminal{w: w, rows: map[string]*row{}}
}

// Started begins a line.
func (t *Terminal) Started(id string, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bars == nil {
		t.bars = mpb.New(mpb.WithOutput(t.w), mpb.WithAutoRefresh())
	}
	if r := t.rows[id]; r != nil { // it begins anew
		r.moved.Store(0)
		r.bar.SetCurrent(0)
		return
	}
	r := &row{began: time.Now()}
	t.rows[id] = r
	// A bar that is made with its total ends by itself when the total is reached, and can no longer be ended before.
	r.bar = t.bars.AddBar(0,
		mpb.BarWidth(30),
		mpb.PrependDecorators(decor.Name(Short(id)+" ")),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return r.text(s) })),
	)
	r.bar.SetTotal(max(total, 0), false)
}

// text is what stands behind the bar. The rate of a finished line is no longer drawn: it would go on falling.
func (r *row) text(s decor.Statistics) string {
	outcome, done := r.outcome.Load().(string)
	switch {
	case done && s.Current == 0:
		return " " + outcome
	case done:
		return fmt.Sprintf(" %s, %s", Bytes(s.Current), outcome)
	}
	t := transfer{total: s.Total, moved: r.moved.Load(), began: r.began}
	return fmt.Sprintf(" %s of %s, %s", Bytes(s.Current), Bytes(s.Total), t.rate(time.Now()))
}

// Advanced moves a line.
func (t *Terminal) Advanced(id string, n int64) {
	t.mu.Lock()
	r := t.rows[id]
	t.mu.Unlock()
	if r != nil {
		r.bar.SetCurrent(r.moved.Add(n))
	}
}

// Done ends a line and leaves it on the screen.
func (t *Terminal) Done(id string, outcome string) {
	t.mu.Lock()
	r := t.rows[id]
	delete(t.rows, id)
	if r == nil {
		t.mu.Unlock()
		fmt.Fprintf(t, "%s %s\n", Short(id), outcome)
		return
	}
	r.outcome.Store(outcome)
	t.mu.Unlock()
	r.bar.SetTotal(-1, true) // what was moved is all there was: a mounted blob moves nothing
}

// Write prints p above the lines.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	bars := t.bars
	t.mu.Unlock()
	if bars == nil {
		return t.w.Write(p)
	}
	if n, err := bars.Write(p); err == nil {
		return n, nil
	}
	return t.w.Write(p) // the drawing has ended
}

// Close draws for the last time; lines that were not done are left as they are.
func (t *Terminal) Close() {
	t.mu.Lock()
	bars, left := t.bars, t.rows
	t.rows = map[string]*row{}
	t.mu.Unlock()
	if bars == nil {
		return
	}
	for _, r := range left {
		r.bar.Abort(false) // Wait would wait for it
	}
	bars.Wait()
}
