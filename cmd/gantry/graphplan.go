package main

import (
	"errors"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphformat"
	"github.com/gantry-build/gantry/tasks/runner"
)

// statusNothing is the exit status of a plan that builds nothing, where --exit-code asks for it.
const statusNothing = runner.ExitStatus(10)

func (p *process) graphPlanCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "prints which images must be built, in which order, and why",
		UsageText: "gantry graph plan [--list FILE] [--target IMAGE]… [--force IMAGE]… [--format FORMAT]",
		Flags:     append(append(planFlags(), selectFlags()...), listFlags()...),
		Action: func(c *cli.Context) error {
			return p.each(p.graphPlan(c, func(*session) (map[*graph.Image]string, error) { return nil, nil }))
		},
	}
}

// planFlags say how a plan is printed.
func planFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "format", Value: "text", Usage: "print as `FORMAT`: " + strings.Join(graphformat.Formats(), ", ")},
		&cli.BoolFlag{Name: "all", Usage: "print also what the format leaves out, folds or cuts, such as each image that is skipped"},
		&cli.IntFlag{Name: "shard", Usage: "put at most `N` jobs into a matrix (default: 256, which GitHub and Azure take)"},
		&cli.IntFlag{Name: "max-jobs", Usage: "print the first `N` jobs, and how many are left for the next plan"},
		&cli.BoolFlag{Name: "brief", Usage: "of each job only the image and whether it is forced, for github, azure and gitlab"},
		&cli.BoolFlag{Name: "dependencies", Usage: "for github and azure: a pipeline whose jobs wait for their parents, in place of matrices"},
		&cli.StringFlag{Name: "template", Usage: "the `FILE` of yours that has the steps of a job"},
		&cli.BoolFlag{Name: "exit-code", Usage: "end with status 10 when there is nothing to build"},
	}
}

// graphPlan prints a plan; force says of more images that they are built, and why.
func (p *process) graphPlan(c *cli.Context, force func(*session) (map[*graph.Image]string, error)) error {
	if err := arguments(c); err != nil {
		return err
	}
	o := graphformat.Options{
		All: c.Bool("all"), Shard: c.Int("shard"), MaxJobs: c.Int("max-jobs"), Brief: c.Bool("brief"),
		Dependencies: c.Bool("dependencies"), Template: c.String("template"), Stamp: append([]string{"gantry", "graph", "stamp"}, listArguments(c)...),
	}
	if err := graphformat.Check(c.String("format"), o); err != nil {
		return err
	}
	s, done, err := p.opened(c)
	if err != nil {
		return err
	}
	defer done()
	forced, err := force(s)
	if err != nil {
		return err
	}
	plan, err := s.plan(c, forced)
	if err != nil {
		return err
	}
	s.keep()
	s.env.Log.Debug("the plan is made", "images", len(plan.Steps), "questions", plan.Questions())
	o.Root = s.env.Dir
	if err := graphformat.Write(p.stdout, c.String("format"), plan.Steps, o); err != nil {
		return err
	}
	if err := p.planSummary(plan); err != nil { // a courtesy: no build fails for it
		s.env.Log.Info("the job's summary is not written", "reason", err.Error())
	}
	if c.Bool("exit-code") && !builds(plan) {
		return statusNothing
	}
	return nil
}

// planSummary adds a plan to the page of a job on GitHub, where there is one.
func (p *process) planSummary(plan *graph.Plan) error {
	file := p.getenv("GITHUB_STEP_SUMMARY")
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(graphformat.Summary(f, plan.Steps), f.Close())
}

// listArguments are the flags that name the list, as they were given: another command finds the same images with them.
func listArguments(c *cli.Context) []string {
	var args []string
	for _, name := range []string{"list", "list-format", "repository"} {
		if c.IsSet(name) {
			args = append(args, "--"+name, c.String(name))
		}
	}
	for _, name := range []string{"ignore", "variable"} {
		for _, value := range c.StringSlice(name) {
			args = append(args, "--"+name, value)
		}
	}
	return args
}

// builds says whether a plan builds anything.
func builds(plan *graph.Plan) bool {
	for i := range plan.Steps {
		if plan.Steps[i].Decision == graph.Build {
			return true
		}
	}
	return false
}
