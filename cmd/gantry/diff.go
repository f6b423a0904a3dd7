package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/imagediff"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/runner"
)

// statusDifferent is the exit status for images that differ, as diff(1) has it. A failure with status 1 has a line on standard
// error and nothing on standard output.
const statusDifferent = runner.ExitStatus(1)

func (p *process) diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compares two images, or an image and a published folder, and names the first cause of a difference",
		UsageText: "gantry diff A B [--platform PLATFORM] [--json] [--all]",
		Description: "A and B are images (registry/repository:tag or @sha256:…) or a folder, which is compared with the files under the image's " +
			"working directory. Two indexes are compared platform by platform. The exit status is 0 when they are equal, 1 when they " +
			"differ, and otherwise that of an error.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "compare the images for this `PLATFORM` of an index: linux-x64 or linux/amd64 (default: the other image's, else linux/amd64)"},
			&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
			&cli.BoolFlag{Name: "all", Usage: "list every difference, and every field of an assembly"},
		}, commonFlags()...),
		Action: p.diff,
	}
}

func (p *process) diff(c *cli.Context) error {
	if err := arguments(c, "A", "B"); err != nil {
		return err
	}
	env, done, err := p.environment(c)
	if err != nil {
		return err
	}
	report, err := imagediff.Run(c.Context, diffDeps(env), imagediff.Options{
		A: c.Args().Get(0), B: c.Args().Get(1), Platform: c.String("platform"), Dir: env.Dir,
	})
	done()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		e := json.NewEncoder(p.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.WriteText(p.stdout, c.Bool("all"))
	}
	if err == nil && !report.Equal {
		return statusDifferent
	}
	return err
}

func diffDeps(env *runner.Env) imagediff.Deps {
	return imagediff.Deps{
		Source: func(n registry.Name) imagediff.Repository { return env.Registry.Repository(n, registry.ModePull) },
		Store:  env.Store,
		Log:    env.Log,
	}
}
