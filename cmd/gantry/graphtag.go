package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphtag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

func (p *process) graphTagCommand() *cli.Command {
	return &cli.Command{
		Name:      "tag",
		Usage:     "makes the tags of images that are built name what their source tags name, and shared tags indexes of their images",
		UsageText: "gantry graph tag [IMAGE…] [--dry-run] [--json] [--list FILE]",
		Description: "Without IMAGE it is all images of the list. A tag that names the right image is not written again. An image that is not built leaves its tags, " +
			"and the shared tags that it takes part in, as they are; the exit status is 1 then.",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "target", Usage: "only the tags of `IMAGE` and those that it shares: a name, a tag, or a pattern with * and **"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be written, and write nothing"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, all tags"},
		}, listFlags()...),
		Action: func(c *cli.Context) error { return p.each(p.graphTag(c)) },
	}
}

// tagList is the answer of gantry graph tag --json.
type tagList struct {
	SchemaVersion int               `json:"schemaVersion"`
	DryRun        bool              `json:"dryRun,omitempty"`
	Tags          []graphtag.Result `json:"tags"`
}

func (p *process) graphTag(c *cli.Context) error {
	s, done, err := p.opened(c)
	if err != nil {
		return err
	}
	defer done()
	words := slices.Concat(c.Args().Slice(), c.StringSlice("target"))
	meant, err := s.find(words)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		meant = s.graph.Images
	}
	results, err := s.tag(c, nil, meant)
	if err != nil {
		return err
	}
	s.keep()
	if c.Bool("json") {
		err = p.json(tagList{tasks.SchemaVersion, c.Bool("dry-run"), append([]graphtag.Result{}, results...)})
	} else {
		for _, r := range results {
			if line := tagLine(r, c.Bool("dry-run")); line != "" {
				fmt.Fprintln(p.stdout, harmless(line))
			}
		}
		fmt.Fprintln(p.stdout, tagCounts(results))
	}
	return errors.Join(err, leftTags(results), graphtag.Err(results))
}

// tag brings the tags of images to what is there. plan may be nil, or that of a run.
func (s *session) tag(c *cli.Context, plan *graph.Plan, meant []*graph.Image) ([]graphtag.Result, error) {
	images, err := graphrun.Tags(c.Context, s.graph, plan, meant)
	if err != nil {
		return nil, err
	}
	return graphtag.Run(c.Context, images, graphtag.Options{
		Repository: func(n registry.Name, m registry.Mode) content.Repository { return s.repository(n, m) },
		Store:      s.env.Store, Records: records.Of(s.env.Store), Log: s.env.Log, Progress: s.env.Progress,
		Parallel: graph.MaxParallel, DryRun: c.Bool("dry-run"), Watch: s.process.remaining(c, "tags", "images and shared tags looked at").tell,
	})
}

// tagLine says what became of a tag; empty for one that was right, and for one that failed, of which the error tells.
func tagLine(r graphtag.Result, dry bool) string {
	switch r.State {
	case graphtag.Tagged:
		line := "tagged "
		if dry {
			line = "would be tagged "
		}
		if line += r.Tag + " " + string(r.Digest); r.Was != "" {
			line += " (was " + string(r.Was) + ")"
		}
		return line
	case graphtag.Left:
		return "left " + r.Tag + ": " + r.Reason
	}
	return ""
}

func tagCounts(results []graphtag.Result) string {
	return fmt.Sprintf("%d tagged, %d already right, %d left, %d failed", graphtag.Count(results, graphtag.Tagged), graphtag.Count(results, graphtag.Current),
		graphtag.Count(results, graphtag.Left), graphtag.Count(results, graphtag.Failed))
}

// leftTags is the error for tags that were left as they were.
func leftTags(results []graphtag.Result) error {
	n := graphtag.Count(results, graphtag.Left)
	if n == 0 {
		return nil
	}
	at := slices.IndexFunc(results, func(r graphtag.Result) bool { return r.State == graphtag.Left })
	return diag.New(diag.TagsLeft, fmt.Sprintf("%s left as before, %s first: %s", progress.Count(n, "tag"), results[at].Tag, results[at].Reason),
		"build what is missing with gantry graph run")
}
