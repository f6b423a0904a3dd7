package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/progress"
)

func (p *process) graphVerifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "finds cycles, missing parents and files, tags that are made twice and arguments without value",
		UsageText: "gantry graph verify [--list FILE] [--offline]",
		Flags:     append([]cli.Flag{&cli.BoolFlag{Name: "offline", Usage: "ask no registry: images outside the list are not looked for"}}, listFlags()...),
		Action:    p.graphVerify,
	}
}

// graphVerify ends with 0 where nothing is wrong, with 1 for problems, and where a registry did not say whether there are some as its error
// has it: 3 for one that may pass. Warnings change nothing.
func (p *process) graphVerify(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	s, done, err := p.session(c)
	if err != nil {
		return err
	}
	defer done()
	if err := s.read(c); err != nil {
		return p.each(err)
	}
	o := graph.Options{Store: s.env.Store, Log: s.env.Log}
	if !c.Bool("offline") {
		o.Registry = graph.Remote{Client: s.client}
	}
	found, err := graph.Verify(c.Context, s.specs, o)
	if err != nil {
		return err
	}
	for _, warning := range found.Warnings {
		fmt.Fprintln(p.stderr, diag.WarningLine(diag.CodeOf(warning), warning.Error()))
	}
	for _, problem := range found.Problems {
		fmt.Fprintln(p.stderr, diag.Line(problem))
	}
	for k, unasked := range found.Unasked {
		if len(found.Problems) == 0 && k == len(found.Unasked)-1 {
			return unasked
		}
		fmt.Fprintln(p.stderr, diag.Line(unasked))
	}
	if n := len(found.Problems); n > 0 {
		return diag.New(diag.GraphUnsound, progress.Count(n, "problem")+" in "+progress.Count(len(s.specs), "image"), "repair what is told above")
	}
	if c.Bool("offline") {
		fmt.Fprintln(p.stdout, progress.Count(len(s.specs), "image")+", no problem; images outside the list were not looked for")
		return nil
	}
	fmt.Fprintln(p.stdout, progress.Count(len(s.specs), "image")+", no problem")
	return nil
}
