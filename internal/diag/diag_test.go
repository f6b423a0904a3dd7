package diag

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"what", New("GANTRY1001", "a: unknown field", ""), "gantry : error GANTRY1001: a: unknown field"},
		{"what and hint", New("GANTRY1001", "no", "do this"), "gantry : error GANTRY1001: no; do this"},
		{"reason between", Wrap("GANTRY4009", io.ErrShortWrite, "no", "do"), "gantry : error GANTRY4009: no: short write; do"},
		{"wrapped by others", fmt.Errorf("push: %w", New("CONTAINER1001", "no", "")), "gantry : error CONTAINER1001: push: no"},
		{"no code", errors.New("oops"), "gantry : error GANTRY9001: oops"},
		{"several lines", New("GANTRY1001", "a\nb\r\n\tc\x1b[0m\x00", ""), "gantry : error GANTRY1001: a b c [0m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Line(tc.err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got, want := WarningLine("CONTAINER2015", "a\nb"), "gantry : warning CONTAINER2015: a b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("no code"), 1},
		{New("CONTAINER1011", "", ""), 1},
		{New("GANTRY1009", "", ""), 2},
		{New("CONTAINER1017", "", "").AsRetryable(), 3},
		{fmt.Errorf("deep: %w", New("CONTAINER1017", "", "").AsRetryable()), 3},
		{New(Interrupted, "", ""), 130},
	} {
		if got := ExitCode(tc.err); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestIsMessageLine(t *testing.T) {
	for text, want := range map[string]bool{
		MessageLine(PublishedCopyStale, "replaced"): true, "CONTAINER1015: x": true,
		"": false, "GANTRY4016": false, "GANTRY401: x": false, "GANTRY40166: x": false, "Gantry4016: x": false, "4016: x": false, "pushed: 4016": false,
	} {
		if got := IsMessageLine(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}
