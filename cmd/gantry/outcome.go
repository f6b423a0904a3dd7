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

// tellOutcome makes what becomes of the result of a push: a line, the files that the flags name, and the page of a job on GitHub.
// The report of an earlier run is removed at once, so that it is never taken for that of a run that failed.
func (p *process) tellOutcome(c *cli.Context, log *slog.Logger) (func(outcome.Result) error, error) {
	report, refs, summary := c.String("report"), c.String("image-refs"), p.getenv("GITHUB_STEP_SUMMARY")
	if refs == "" {
		refs = p.getenv("GANTRY_IMAGE_REFS") // from MSBuild, which keeps paths off its command lines
	}
	if report != "" {
		if err := os.Remove(report); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, diag.Wrap(diag.BadUsage, err, "the report of an earlier run cannot be removed", "name another file")
		}
	}
	return func(r outcome.Result) error {
		if line := r.Line(); line != "" {
			log.Info(line)
		}
		if summary != "" {
			if err := r.AddSummary(summary); err != nil { // the job's page is a courtesy: no build fails for it
				log.Info("the job's summary is not written", "reason", err.Error())
			}
		}
		if report != "" {
			if err := r.Report(report); err != nil {
				return err
			}
		}
		if refs != "" {
			return r.AddRef(refs)
		}
		return nil
	}, nil
}
