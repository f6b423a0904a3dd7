package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestBytes(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1234, "1.2 kB"},
		{999_949, "999.9 kB"},
		{999_950, "1.0 MB"},
		{5_200_000, "5.2 MB"},
		{8 << 30, "8.6 GB"},
		{9_000_000_000_000, "9.0 TB"},
		{9_000_000_000_000_000, "9000.0 TB"},
	}
	for _, test := range tests {
		if got := Bytes(test.n); got != test.want {
			t.Errorf("Bytes(%d) = %q, want %q", test.n, got, test.want)
		}
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	l := NewLines(&out, func() time.Time { return now })
	l.Started(digest, 10_000)
	l.Advanced(digest, 1000) // too early for a line
	now = now.Add(5 * time.Second)
	l.Advanced(digest, 4000)
	now = now.Add(time.Second)
	l.Advanced(digest, 4000)
	now = now.Add(4 * time.Second)
	l.Advanced(digest, 1000)
	l.Done(digest, "uploaded")
	l.Started("config", -1)
	l.Done("config", "exists")
	l.Done("never started", "mounted")
	l.Advanced("never started", 1)

	want := `0123456789ab 5.0 kB of 10.0 kB, 1.0 kB/s
0123456789ab 10.0 kB of 10.0 kB, 1.0 kB/s
0123456789ab uploaded, 10.0 kB, 1.0 kB/s
config exists
never started mounted
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTo: the same blob on its way to two destinations is two transfers.
func TestTo(t *testing.T) {
	var out bytes.Buffer
	l := NewLines(&out, func() time.Time { return time.Unix(0, 0) })
	a, b := To(l, "a.example/app"), To(l, "b.example/app")
	a.Started(digest, 1000)
	b.Started(digest, 1000)
	a.Advanced(digest, 1000)
	b.Done(digest, "mounted")
	a.Done(digest, "uploaded")
	want := "0123456789ab to b.example/app mounted\n0123456789ab to a.example/app uploaded, 1.0 kB, at once\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	term := NewTerminal(&out)
	term.Write([]byte("before\n"))
	term.Started(digest, 10_000)
	term.Advanced(digest, 10_000)
	term.Write([]byte("between\n"))
	term.Done(digest, "uploaded")
	term.Started("layer", 100) // a mount moves no bytes
	term.Done("layer", "mounted")
	term.Started("again", 100)
	term.Advanced("again", 60)
	term.Started("again", 100)
	term.Advanced("again", 100)
	term.Advanced("again", -100)
	term.Advanced("again", 100)
	term.Done("again", "uploaded")
	term.Started("left", 100) // never done, as after a failure: Close must not wait for it
	term.Close()
	term.Write([]byte("after\n"))
	for _, want := range []string{"before\n", "between\n", "0123456789ab", "10.0 kB, uploaded", "mounted", "100 B, uploaded", "after\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want it to contain %q", out.String(), want)
		}
	}
}
