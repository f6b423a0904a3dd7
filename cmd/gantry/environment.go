package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/runner"
)

// commonFlags are those of every command that does something.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "error-file", Usage: "write the line of an error to `FILE` instead of standard error"},
		&cli.StringFlag{Name: "verbosity", Value: "normal", Usage: "say `quiet`, normal or detailed"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`text` or json"},
	}
}

// environment makes what the stages need out of the process and the flags. done must be called at the end.
func (p *process) environment(c *cli.Context) (env *runner.Env, done func(), err error) {
	level, known := map[string]slog.Level{"quiet": slog.LevelWarn, "normal": slog.LevelInfo, "detailed": slog.LevelDebug}[c.String("verbosity")]
	if !known {
		return nil, nil, badUsage(fmt.Sprintf("--verbosity %q is not quiet, normal or detailed", c.String("verbosity")))
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, diag.Wrap(diag.Internal, err, "the working directory is not known", "change to a folder that exists")
	}
	watch, out, drawn := p.progress(level, c.String("response") == runner.Dash)
	log, err := p.logger(c, out, level)
	if err != nil {
		return nil, nil, err
	}
	tell, err := p.teller(c, log)
	if err != nil {
		return nil, nil, err
	}
	env = &runner.Env{
		Dir:        dir,
		Stdin:      p.stdin,
		Stdout:     p.stdout,
		Registry:   registry.New(p.network(registry.Options{Getenv: p.getenv, Log: log, UserAgent: "gantry/" + versionText()})),
		Log:        log,
		Progress:   watch,
		Getenv:     p.getenv,
		KeySecret:  p.getenv("GANTRY_KEY_SECRET"),
		BuildID:    p.getenv("GANTRY_BUILD_ID"),
		Tool:       p.getenv("GANTRY_TOOL_IDENTITY"),
		MakeLayers: !p.settings.Bool("trust.layer-keys"),
		Warn:       func(code diag.Code, text string) { fmt.Fprintln(out, diag.WarningLine(code, text)) },
		Outcome:    tell.outcome,
		Saved:      tell.saved,
	}
	release := p.useStore(c.Context, env)
	return env, func() {
		release()
		drawn()
	}, nil
}

// progress chooses how transfers are shown; out is where everything else on standard error goes meanwhile. Plain lines are for what
// is no terminal, and for a response on standard output, which drawing could wipe from the screen.
func (p *process) progress(level slog.Level, plain bool) (watch progress.Progress, out io.Writer, done func()) {
	nothing := func() {}
	if level > slog.LevelInfo {
		return progress.Discard{}, p.stderr, nothing
	}
	if f, ok := p.stderr.(*os.File); ok && !plain && term.IsTerminal(int(f.Fd())) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 { // some CI systems give a terminal without a size
			t := progress.NewTerminal(f)
			return t, t, t.Close
		}
	}
	return progress.NewLines(p.stderr, time.Now), p.stderr, nothing
}

func (p *process) logger(c *cli.Context, w io.Writer, level slog.Level) (*slog.Logger, error) {
	format := c.String("log-format")
	switch format {
	case "text":
		h := &textHandler{w: w, level: level}
		if c.Bool(codesFlag) {
			h.coded = p.stdout
		}
		return slog.New(h), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	return nil, badUsage(fmt.Sprintf("--log-format %q is not text or json", format))
}
