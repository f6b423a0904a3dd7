package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
)

func (p *process) graphRunCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "builds the plan on this machine, pushes the images and stamps them",
		UsageText: "gantry graph run --builder buildah|docker|CMD [--parallel N] [--list FILE] [--target IMAGE]…",
		Description: "A run that failed is continued by running again: what was built is stamped, and so is skipped. CMD is a command line for the shell, " +
			"with the build in GANTRY_IMAGE, GANTRY_CONTEXT, GANTRY_DOCKERFILE, GANTRY_TARGET, GANTRY_PLATFORMS, GANTRY_TAGS, GANTRY_ARGS, GANTRY_CONTEXTS, " +
			"GANTRY_OPTIONS, GANTRY_PINS and GANTRY_HASH; it pushes the image and writes its digest to the file GANTRY_DIGEST_FILE.",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "builder", Usage: "`buildah`, docker (buildx), or a command line", Required: true},
			&cli.StringSliceFlag{Name: "builder-arg", Usage: "one more `ARGUMENT` for the builder"},
			&cli.StringSliceFlag{Name: "push-arg", Usage: "one more `ARGUMENT` for buildah's push"},
			&cli.IntFlag{Name: "parallel", Value: 2, Usage: "build at most `N` images at once"},
			&cli.BoolFlag{Name: "keep-tags", Usage: "leave tags of images that are not built, and shared tags, as they are"},
			&cli.StringFlag{Name: "log-dir", Usage: "keep all that each build printed in a file in `FOLDER`"},
			&cli.StringFlag{Name: "report", Usage: "write what became of each image to `FILE`, as JSON"},
			&cli.StringFlag{Name: "image-info", Usage: "bring `FILE`, the image-info.json of a docker-tools manifest, to what is there now"},
		}, selectFlags()...), listFlags()...),
		Action: func(c *cli.Context) error { return p.each(p.graphRun(c)) },
	}
}

func (p *process) graphRun(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	if c.Int("parallel") < 1 {
		return badUsage("--parallel is a number from 1")
	}
	s, done, err := p.opened(c)
	if err != nil {
		return err
	}
	defer done()
	plan, err := s.plan(c, nil)
	if err != nil {
		return err
	}
	s.keep()
	dir, err := os.MkdirTemp("", "gantry-graph-")
	if err != nil {
		return diag.Wrap(diag.BuilderUnusable, err, "a folder for the builds", "check TMPDIR")
	}
	defer os.RemoveAll(dir)
	results, err := graphrun.Run(c.Context, graphrun.Options{
		Plan: plan, Graph: s.options, State: s.state, Builder: p.builder(c), Parallel: c.Int("parallel"), Dir: dir, Logs: c.String("log-dir"),
		Watch: p.watchRun(c),
	})
	if results == nil && err != nil {
		return err
	}
	return p.afterRun(c, s, plan, results, err)
}

// afterRun brings the tags to what is there now and tells of the run. One failure does not hide another; that of the builds, err, comes last.
func (p *process) afterRun(c *cli.Context, s *session, plan *graph.Plan, results []graphrun.Result, err error) error {
	report := newRunReport(plan, results)
	var after error
	if ended := err == nil || diag.CodeOf(err) == diag.BuildFailed; ended && !c.Bool("keep-tags") {
		report.Tags, after = s.tagRun(c, plan)
	}
	if path := c.String("report"); path != "" {
		after = errors.Join(after, report.write(path))
	}
	if path := c.String("image-info"); path != "" {
		after = errors.Join(after, graphrun.WriteImageInfo(path, plan))
	}
	fmt.Fprintln(p.stdout, report)
	return errors.Join(after, err)
}

// builder is what --builder names.
func (p *process) builder(c *cli.Context) graphrun.Builder {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GANTRY_KEY_SECRET=") })
	programs := &graphrun.Programs{Env: env, Extra: c.StringSlice("builder-arg")}
	if c.String("verbosity") == "detailed" {
		programs.Output = p.stderr
	}
	switch b := c.String("builder"); b {
	case "buildah":
		return graphrun.Buildah{Programs: programs, PushExtra: c.StringSlice("push-arg")}
	case "docker":
		return graphrun.Docker{Programs: programs}
	default:
		return graphrun.Command{Programs: programs, Line: b}
	}
}
