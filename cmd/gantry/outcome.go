package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
)

// outcomeFlags are those of commands that push.
func outcomeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "report", Usage: "write what was done to `FILE`, as JSON"},
		&cli.StringFlag{Name: "image-refs", Usage: "add registry/repository@digest to the lines of `FILE`, one a repository"},
	}
}

// teller says what became of an image: a line, the files that the flags name, and the page of a job on GitHub.
type teller struct {
	log                   *slog.Logger
	report, refs, summary string // files; empty for none
}

// teller makes one of the flags. The report of an earlier run is removed at once, so that it is never taken for that of a run that failed.
func (p *process) teller(c *cli.Context, log *slog.Logger) (teller, error) {
	t := teller{log, c.String("report"), p.refsFile(c), p.getenv("GITHUB_STEP_SUMMARY")}
	if t.report != "" {
		if err := os.Remove(t.report); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t, diag.Wrap(diag.BadUsage, err, "the report of an earlier run cannot be removed", "name another file")
		}
	}
	return t, nil
}

// refsFile is the list of images.
func (p *process) refsFile(c *cli.Context) string {
	if file := c.String("image-refs"); file != "" {
		return file
	}
	return p.getenv("GANTRY_IMAGE_REFS") // from MSBuild, which keeps paths off its command lines
}

// outcome tells of a push.
func (t teller) outcome(r outcome.Result) error {
	t.say(r.Each())
	if t.report != "" {
		if err := r.Report(t.report); err != nil {
			return err
		}
	}
	return t.list(r.Each())
}

// saved tells of an image that went to an archive, a layout, Docker or Podman: the list of images has those of registries alone.
func (t teller) saved(s outcome.Saved) error {
	if line := s.Line(); line != "" {
		t.log.Info(line)
	}
	t.say(s.AlsoPushed)
	if t.report != "" {
		if err := s.Report(t.report); err != nil {
			return err
		}
	}
	return t.list(s.AlsoPushed)
}

// say tells of each destination on standard error, and on the job's page.
func (t teller) say(results []outcome.Result) {
	for _, r := range results {
		if line := r.Line(); line != "" {
			t.log.Info(line)
		}
		if t.summary == "" {
			continue
		}
		if err := r.AddSummary(t.summary); err != nil { // a courtesy: no build fails for it
			t.log.Info("the job's summary is not written", "reason", err.Error())
		}
	}
}

// list adds the images to the list of images.
func (t teller) list(results []outcome.Result) error {
	for _, r := range results {
		if t.refs == "" {
			return nil
		}
		if err := r.AddRef(t.refs); err != nil {
			return err
		}
	}
	return nil
}
