package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/upkeep"
	"github.com/gantry-build/gantry/tasks"
)

func (p *process) cachePrune() *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "removes from the content store what was not used for the longest time",
		UsageText: "gantry cache prune [--max-size SIZE] [--max-age AGE] [--dry-run] [--json]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "max-size", Usage: "keep at most `SIZE` in blobs (default: $" + upkeep.EnvMaxSize + ", else 10GB)"},
			&cli.StringFlag{Name: "max-age", Usage: "keep no blob that was not used for `AGE` (default: $" + upkeep.EnvMaxAge + ", else 30d)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be removed, and remove nothing"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			errorFileFlag(),
		},
		Action: p.prune,
	}
}

// pruneWait is how long a prune waits for processes that use the store: a short stage ends in that time, a build does not.
const pruneWait = 2 * time.Second

func (p *process) prune(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	limits, err := p.limits(c)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(c.Context, pruneWait)
	defer cancel()
	did, err := upkeep.Prune(c.Context, wait, p.store(), limits, c.Bool("dry-run"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(struct {
			SchemaVersion int `json:"schemaVersion"`
			upkeep.Pruned
		}{tasks.SchemaVersion, did})
	}
	for _, why := range did.Busy {
		fmt.Fprintln(p.stdout, why)
	}
	if len(did.Busy) > 0 && did.Blobs.Files+did.Kept.Files == 0 {
		return nil
	}
	verb := "removed"
	if c.Bool("dry-run") {
		verb = "would remove"
	}
	fmt.Fprintf(p.stdout, "%s %d blobs (%s), %d unfinished files (%s), %d records\n", verb, did.Blobs.Files, progress.Bytes(did.Blobs.Bytes),
		did.Ingest.Files, progress.Bytes(did.Ingest.Bytes), did.Records)
	fmt.Fprintf(p.stdout, "%d blobs (%s) are left\n", did.Kept.Files, progress.Bytes(did.Kept.Bytes))
	return nil
}

// limits are those of the flags, else of the environment.
func (p *process) limits(c *cli.Context) (upkeep.Limits, error) {
	limits, err := upkeep.LimitsFrom(p.getenv)
	if err != nil {
		return limits, err
	}
	if c.IsSet("max-size") {
		if limits.MaxSize, err = upkeep.ParseSize(c.String("max-size")); err != nil {
			return limits, fmt.Errorf("--max-size: %w", err)
		}
	}
	if c.IsSet("max-age") {
		if limits.MaxAge, err = upkeep.ParseAge(c.String("max-age")); err != nil {
			return limits, fmt.Errorf("--max-age: %w", err)
		}
	}
	return limits, nil
}
