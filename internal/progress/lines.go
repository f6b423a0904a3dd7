package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// every is how often a plain line is printed for one transfer: a log of a CI run is read later, not watched.
const every = 5 * time.Second

// Lines prints plain lines: one at the end of each transfer, and one every five seconds while it lasts. It is safe for
// concurrent use.
type Lines struct {
	now   func() time.Time
	mu    sync.Mutex
	w     io.Writer
	state map[string]*transfer
}

type transfer struct {
	total, moved  int64
	began, spoken time.Time
}

// NewLines returns a Lines that prints to w; now is the clock.
func NewLines(w io.Writer, now func() time.Time) *Lines {
	return &Lines{w: w, now: now, state: map[string]*transfer{}}
}

// Started notes the time; nothing is printed, as most transfers end at once.
func (l *Lines) Started(id string, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state[id] = &transfer{total: total, began: l.now(), spoken: l.now()}
}

// Advanced prints a line when the last one is long ago.
func (l *Lines) Advanced(id string, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.state[id]
	if t == nil {
		return
	}
	t.moved += n
	now := l.now()
	if now.Sub(t.spoken) < every {
		return
	}
	t.spoken = now
	of := ""
	if t.total >= 0 {
		of = " of " + Bytes(t.total)
	}
	fmt.Fprintf(l.w, "%s %s%s, %s\n", Short(id), Bytes(t.moved), of, t.rate(now))
}

// Done prints the transfer's last line.
func (l *Lines) Done(id string, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.state[id]
	delete(l.state, id)
	if t == nil || t.moved == 0 {
		fmt.Fprintf(l.w, "%s %s\n", Short(id), outcome)
		return
	}
	fmt.Fprintf(l.w, "%s %s, %s, %s\n", Short(id), outcome, Bytes(t.moved), t.rate(l.now()))
}

func (t *transfer) rate(now time.Time) string {
	seconds := now.Sub(t.began).Seconds()
	if seconds < 0.001 {
		return "at once"
	}
	return Bytes(int64(float64(t.moved)/seconds)) + "/s"
}

// Short is the part of a digest that people compare: its first 12 digits.
func Short(id string) string {
	hex := strings.TrimPrefix(id, "sha256:")
	if len(hex) < 12 || hex == id {
		return id
	}
	return hex[:12]
}

// Bytes renders a number of bytes with three digits or so, in powers of 1000, as registries and disks count.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1000, 0
	for f >= 999.95 && unit < 3 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGT"[unit])
}
