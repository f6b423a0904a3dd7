package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/explain"
	"github.com/gantry-build/gantry/internal/revision"
)

// explainCommand tells of the last publish of a project.
func (p *process) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "tells of the last publish what ran, what was skipped, and because of what",
		UsageText: "gantry explain [FOLDER] [--json]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON, with every difference"},
			&cli.BoolFlag{Name: "hint", Usage: "say only what to set when nothing but the revision made a new image"},
			&cli.StringFlag{Name: "error-file", Usage: "write the line of an error to `FILE` instead of standard error"},
		},
		Action: func(c *cli.Context) error {
			folder := "."
			if c.Args().Present() {
				if err := arguments(c, "FOLDER"); err != nil {
					return err
				}
				folder = c.Args().First()
			}
			if c.Bool("hint") {
				if text := revision.Message(c.Context, p.store(), explain.Outcome(folder)); text != "" {
					fmt.Fprintln(p.stdout, "Gantry: "+text+".")
				}
				return nil
			}
			report, err := explain.Publish(folder)
			if err != nil {
				return err
			}
			if !c.Bool("json") {
				return report.Text(p.stdout)
			}
			return p.json(report)
		},
	}
}
