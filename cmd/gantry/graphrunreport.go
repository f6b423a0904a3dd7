package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphtag"
	"github.com/gantry-build/gantry/tasks"
)

// watchRun shows what happens.
func (p *process) watchRun(c *cli.Context) func(graphrun.Event) {
	left := p.remaining(c, "", "")
	return func(e graphrun.Event) {
		if c.String("verbosity") == "quiet" && e.Outcome != graphrun.Failed {
			return
		}
		line := fmt.Sprintf("%s %s", e.Outcome, e.Image)
		if e.Outcome != graphrun.Started {
			line += fmt.Sprintf(" (%d of %d%s)", e.Done, e.Total, left.left(e.Done, e.Total))
		}
		if e.Error != "" {
			line += ": " + strings.ReplaceAll(strings.TrimSpace(e.Error), "\n", "\n    ")
		}
		for one := range strings.SplitSeq(line, "\n") {
			fmt.Fprintln(p.stderr, harmless(one))
		}
	}
}

// tagRun brings the tags of all images of a run to what is there, those that share a tag with them included.
func (s *session) tagRun(c *cli.Context, plan *graph.Plan) ([]graphtag.Result, error) {
	meant := make([]*graph.Image, len(plan.Steps))
	for k := range plan.Steps {
		meant[k] = plan.Steps[k].Image
	}
	results, err := s.tag(c, plan, meant)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		// That an image has not got its own tags is told by what became of the image, if that was not built.
		absent := r.State == graphtag.Left && len(r.Images) == 1
		if step := plan.Step(s.graph.Find(r.Images[0])); step != nil && step.Decision == graph.Skip {
			absent = false
		}
		if absent || c.String("verbosity") == "quiet" {
			continue
		}
		if line := tagLine(r, false); line != "" {
			fmt.Fprintln(s.process.stderr, harmless(line))
		}
	}
	return results, graphtag.Err(results)
}

// runReport is what --report writes.
type runReport struct {
	SchemaVersion int    `json:"schemaVersion"`
	Stage         string `json:"stage"`
	// Skipped are the images that the plan did not build.
	Skipped int               `json:"skipped"`
	Images  []graphrun.Result `json:"images"`
	// Tags are those that were written, left or failed.
	Tags []graphtag.Result `json:"tags,omitempty"`
}

func newRunReport(plan *graph.Plan, results []graphrun.Result) *runReport {
	return &runReport{
		SchemaVersion: tasks.SchemaVersion, Stage: "graph-run", Skipped: len(plan.Steps) - len(results), Images: append([]graphrun.Result{}, results...),
	}
}

// String is what a run did, in one line, and of tags a second where there is something to tell.
func (r *runReport) String() string {
	counts := map[graphrun.Outcome]int{}
	for _, i := range r.Images {
		counts[i.Outcome]++
	}
	text := fmt.Sprintf("%d built, %d skipped, %d failed, %d waiting", counts[graphrun.Built], r.Skipped+counts[graphrun.Cut],
		counts[graphrun.Failed], counts[graphrun.Waiting])
	if graphtag.Count(r.Tags, graphtag.Current) < len(r.Tags) {
		text += "\ntags: " + tagCounts(r.Tags)
	}
	return text
}

func (r *runReport) write(path string) error {
	short := *r
	short.Tags = slices.DeleteFunc(slices.Clone(r.Tags), func(t graphtag.Result) bool { return t.State == graphtag.Current })
	body, err := json.MarshalIndent(short, "", "  ")
	if err == nil {
		err = atomicfile.Write(path, append(body, '\n'))
	}
	if err != nil {
		return diag.Wrap(diag.BadUsage, err, "the report of the run cannot be written", "name another file")
	}
	return nil
}
