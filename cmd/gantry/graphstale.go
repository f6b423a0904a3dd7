package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/tasks/runner"
)

// statusStale is the exit status when an image is stale, or not proved to be current.
const statusStale = runner.ExitStatus(1)

func (p *process) graphStaleCommand() *cli.Command {
	return &cli.Command{
		Name:      "stale",
		Usage:     "says which published images rest on a base that has moved, by their records and the registry alone",
		UsageText: "gantry graph stale [IMAGE…] [--platform PLATFORM] [--json]",
		Description: "Without IMAGE it asks for the first tag of each image of the list. The exit status is 0 when all are current, 1 when one is stale or " +
			"not proved to be current, and otherwise that of an error.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "ask for this `PLATFORM` of an index only: linux/amd64"},
			&cli.BoolFlag{Name: "all", Usage: "print also images that are current"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		}, listFlags()...),
		Action: func(c *cli.Context) error { return p.each(p.graphStale(c)) },
	}
}

func (p *process) graphStale(c *cli.Context) error {
	s, done, err := p.session(c)
	if err != nil {
		return err
	}
	defer done()
	images := c.Args().Slice()
	if len(images) == 0 {
		if err := s.read(c); err != nil {
			return err
		}
		for i := range s.specs {
			if len(s.specs[i].Tags) > 0 {
				images = append(images, s.specs[i].Tags[0])
			}
		}
	}
	answers, err := s.state.Stale(c.Context, images, c.String("platform"), p.remaining(c, "stale", "images looked at").tell)
	if err != nil {
		return err
	}
	counts := map[graphstate.Verdict]int{}
	for i := range answers {
		counts[answers[i].Verdict]++
	}
	if c.Bool("json") {
		err = p.json(newStaleList(answers))
	} else {
		p.printStale(answers, c.Bool("all"))
		fmt.Fprintf(p.stdout, "%d stale, %d unknown, %d current\n", counts[graphstate.Stale], counts[graphstate.Unknown], counts[graphstate.Current])
	}
	if err == nil && counts[graphstate.Current] < len(answers) {
		return statusStale
	}
	return err
}

func (p *process) printStale(answers []graphstate.Answer, all bool) {
	for _, a := range answers {
		if a.Verdict == graphstate.Current && !all {
			continue
		}
		fmt.Fprintf(p.stdout, "%s is %s\n", a.Reference, a.Verdict)
		for _, m := range a.Moved {
			now := "is " + string(m.Now)
			if m.Now == "" {
				now = "is gone"
			}
			via := ""
			if len(m.Via) > 0 {
				via = " through " + strings.Join(m.Via, ", ")
			}
			fmt.Fprintf(p.stdout, "  %s (%s, %s)%s was %s and %s\n", m.Name, m.Platform, way(m.FromImage), via, m.Digest, now)
		}
		for _, r := range a.Reasons {
			fmt.Fprintf(p.stdout, "  %s\n", harmless(r))
		}
	}
}
