package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
)

func (p *process) graphAffectedCommand() *cli.Command {
	return &cli.Command{
		Name:      "affected",
		Usage:     "prints the plan, and builds also every image that reads a file which git says was changed since a revision",
		UsageText: "gantry graph affected --since REV [--list FILE] [--format FORMAT]",
		Description: "Git only adds images to the plan; what the hashes say is built all the same. Where git cannot tell, as in a shallow clone, " +
			"a message says so and the hashes decide alone.",
		Flags: append(append(append([]cli.Flag{
			&cli.StringFlag{Name: "since", Usage: "a `REVISION` of the repository that the list is in", Required: true},
		}, planFlags()...), selectFlags()...), listFlags()...),
		Action: func(c *cli.Context) error {
			return p.each(p.graphPlan(c, func(s *session) (map[*graph.Image]string, error) { return s.affected(c) }))
		},
	}
}

// affected are the images that git names.
func (s *session) affected(c *cli.Context) (map[*graph.Image]string, error) {
	dir, err := graphrun.Folder(c.String("list"))
	if err != nil {
		return nil, err
	}
	git, since := &graphstate.Git{Dir: dir}, c.String("since")
	list, err := graphrun.ListFile(c.String("list"))
	if err != nil {
		return nil, err
	}
	reached, err := graphrun.Reached(c.Context, s.graph, s.options.Files, list, s.specsAt(c, git, since, list))
	if err != nil {
		return nil, err
	}
	found, err := graphstate.FindAffected(c.Context, git, since, reached)
	if err != nil {
		return nil, err
	}
	if found.ByHash {
		s.env.Log.Info(found.Message)
	}
	forced := map[*graph.Image]string{}
	for _, a := range found.Images {
		file := a.File
		if rel, err := filepath.Rel(s.env.Dir, file); err == nil && filepath.IsLocal(rel) {
			file = filepath.ToSlash(rel)
		}
		forced[s.graph.Find(a.Name)] = file + " changed since " + since
	}
	return forced, nil
}

// specsAt is the list as it was at a revision; nil where that cannot be known, and then all of it counts as changed, if it did.
func (s *session) specsAt(c *cli.Context, git *graphstate.Git, since, list string) []imagelist.Spec {
	data, err := git.Show(c.Context, since, list)
	if err != nil {
		return nil
	}
	opt, err := s.listOptions(c)
	if err != nil {
		return nil
	}
	opt.Warn = nil // it was told of the list as it is now
	specs, err := imagelist.Parse(list, data, opt)
	if err != nil {
		return nil
	}
	return specs
}
