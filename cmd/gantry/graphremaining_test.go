package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestRemaining(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	r := &remaining{log: slog.New(&textHandler{w: &out}), what: "plan", unit: "images decided", now: func() time.Time { return now }, start: now, last: now}
	for done := range 11 {
		r.tell(done, 10)
		now = now.Add(2 * time.Second)
	}
	want := "plan: 3 of 10 images decided, about 14s left\nplan: 6 of 10 images decided, about 8s left\nplan: 9 of 10 images decided, about 2s left\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
	(&remaining{now: time.Now}).tell(1, 10) // says nothing
}

// TestRemaining_told: reading the list and planning are told of, as lines or as JSON, and not to who wants quiet.
func TestRemaining_told(t *testing.T) {
	for flags, want := range map[string]string{
		"":                                 "graph: 1 of 2 images read, about 6s left\n",
		"--log-format json":                `"msg":"graph: 1 of 2 images read, about 6s left"`,
		"--verbosity quiet":                "",
		"--verbosity detailed":             "graph: 1 of 2 images read, about 6s left\n",
		"--verbosity=quiet --log-format=x": "",
	} {
		p, _, stderr := newProcess(t, append(strings.Fields("graph plan "+flags), "--config", "")...)
		app := p.app()
		for _, command := range app.Commands {
			for _, sub := range command.Subcommands {
				if command.Name == "graph" && sub.Name == "plan" {
					sub.Action = func(c *cli.Context) error {
						r := p.remaining(c, "graph", "images read")
						start := r.start
						r.now = func() time.Time { return start.Add(6 * time.Second) }
						r.tell(1, 2)
						return nil
					}
				}
			}
		}
		if err := app.RunContext(t.Context(), p.args); err != nil {
			t.Fatal(err)
		}
		if got := stderr.String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: got %q, want %q", flags, got, want)
		}
	}
}
