package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/upkeep"
	"github.com/gantry-build/gantry/tasks"
)

// cacheCommand looks after the content store.
func (p *process) cacheCommand() *cli.Command {
	return &cli.Command{
		Name:      "cache",
		Usage:     "says what is in the content store, verifies it, prunes it",
		UsageText: "gantry cache info|verify|prune",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badUsage(fmt.Sprintf("there is no command cache %q", c.Args().First()))
			}
			return badUsage("cache needs one of info, verify and prune")
		},
		Subcommands: []*cli.Command{p.cacheInfo(), p.cacheVerify(), p.cachePrune()},
	}
}

// errorFileFlag is read by errorFile.
func errorFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "error-file", Usage: "write the line of an error to `FILE` instead of standard error"}
}

func (p *process) cacheInfo() *cli.Command {
	return &cli.Command{
		Name:      "info",
		Usage:     "says what is in the content store",
		UsageText: "gantry cache info [--json]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}, errorFileFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			info := upkeep.Look(p.store())
			if c.Bool("json") {
				return p.json(struct {
					SchemaVersion int `json:"schemaVersion"`
					upkeep.Info
				}{tasks.SchemaVersion, info})
			}
			row := func(name string, value any) { fmt.Fprintf(p.stdout, "%-11s %v\n", name, value) }
			row("folder", info.Dir)
			if info.Fallback != "" {
				row("fallback", info.Fallback)
			}
			row("blobs", fmt.Sprintf("%d (%s)", info.Blobs, progress.Bytes(info.Bytes)))
			row("records", info.Records)
			if info.OldestUse != nil {
				row("oldest use", info.OldestUse.Format(time.RFC3339))
			}
			row("unfinished", fmt.Sprintf("%d (%s)", info.Ingest.Files, progress.Bytes(info.Ingest.Bytes)))
			return nil
		},
	}
}

func (p *process) cacheVerify() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "hashes every blob of the content store again, and removes and names those that are damaged",
		UsageText: "gantry cache verify",
		Flags:     []cli.Flag{errorFileFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			count, damaged, err := upkeep.Verify(c.Context, p.store())
			for _, d := range damaged {
				fmt.Fprintf(p.stdout, "%s: %v\n", d.Digest, d.Err)
			}
			switch {
			case err != nil:
				return err
			case len(damaged) > 0:
				return diag.New(diag.StoreCorrupt, fmt.Sprintf("%d of %d blobs in the content store were damaged", len(damaged), count),
					"builds make or fetch them anew; look at the disk when it happens again")
			}
			fmt.Fprintf(p.stdout, "%d blobs are whole\n", count)
			return nil
		},
	}
}

// json prints an answer for programs.
func (p *process) json(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
