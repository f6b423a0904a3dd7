package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/tasks"
)

func (p *process) graphParentsCommand() *cli.Command {
	return &cli.Command{
		Name:      "parents",
		Usage:     "prints which images a published image was built from, by its record in the registry",
		UsageText: "gantry graph parents IMAGE [--json]",
		Flags:     append([]cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}}, commonFlags()...),
		Action:    p.graphParents,
	}
}

func (p *process) graphParents(c *cli.Context) error {
	if err := arguments(c, "IMAGE"); err != nil {
		return err
	}
	s, done, err := p.session(c)
	if err != nil {
		return err
	}
	defer done()
	found, err := s.state.Parents(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(found)
	}
	fmt.Fprintf(p.stdout, "%s is %s, built from\n", found.Reference, found.Digest)
	for _, v := range found.Variants {
		for _, f := range v.FromImages {
			fmt.Fprintf(p.stdout, "  %s@%s (%s, %s)\n", f.Name, f.Digest, f.Platform, way(f))
		}
		if len(v.FromImages) == 0 {
			fmt.Fprintf(p.stdout, "  nothing (%s)\n", v.Platform)
		}
	}
	return nil
}

// way is how an image is read.
func way(f graphstate.FromImage) string {
	if f.Stage == "" {
		return string(f.Use)
	}
	return fmt.Sprintf("%s in stage %s", f.Use, f.Stage)
}

// staleList is the answer of gantry graph stale --json.
type staleList struct {
	SchemaVersion int                 `json:"schemaVersion"`
	Images        []graphstate.Answer `json:"images"`
}

func newStaleList(answers []graphstate.Answer) staleList {
	if answers == nil {
		answers = []graphstate.Answer{}
	}
	return staleList{tasks.SchemaVersion, answers}
}
