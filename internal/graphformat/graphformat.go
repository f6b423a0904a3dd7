// Package graphformat writes a plan of package graph for people and for continuous integration: as text, JSON, matrices and pipelines of
// GitHub Actions, Azure Pipelines and GitLab, as Mermaid and DOT pictures, and as one HTML page.
//
// Every format says of an image what the plan says and decides nothing: an image that is built is in each of them, and where a service takes
// less than the plan has, the answer is an error that says how much it takes, never a part of the plan that looks like all of it. Names,
// tags and arguments come from files of others, so each format escapes what it would take for syntax. The same plan gives the same bytes.
//
// The package reads nothing and keeps no state; its functions may be called at once from any number of goroutines.
package graphformat

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/nearest"
)

// Options are what a caller may choose. The zero value is usable.
type Options struct {
	// Root is the folder that paths are written from, with slashes; those outside of it, and all when it is empty, stay absolute.
	Root string
	// All writes also what a format leaves out or folds: skipped images in text, images that the plan does not touch in pictures.
	All bool
	// Stamp is the command that stamps an image once it is built, without the image: "gantry graph stamp" where it is empty.
	Stamp []string
	// Shard is the greatest number of jobs in a matrix, and MaxMatrix where it is 0.
	Shard int
	// MaxJobs cuts the plan to its first jobs, in the order of waves, so that no job is without its parents; 0 is no cut. What is left is
	// counted in the output and is for the next plan.
	MaxJobs int
	// Brief leaves of each job its image and whether it is forced: what gantry graph run --target needs, which asks for the rest when its turn
	// has come. Without it a plan soon has more than a service takes.
	Brief bool
	// Dependencies writes for GitHub and Azure a pipeline in which each job waits for its own parents, in place of matrices by waves.
	Dependencies bool
	// Template is the file of the pipeline's owner that has the steps of a job: a reusable workflow (GitHub), a template of steps (Azure), a
	// file with the hidden job .gantry-build (GitLab). Each has a default.
	Template string
}

// Formats are the names that Write takes.
func Formats() []string {
	return []string{"text", "json", "github", "azure", "gitlab", "mermaid", "dot", "html"}
}

// Check says whether Write takes a format and its options, before there is a plan.
func Check(format string, o Options) error {
	if !slices.Contains(Formats(), format) {
		hint := "the formats are " + strings.Join(Formats(), ", ")
		if best := nearest.Name(format, Formats()); best != "" {
			hint = fmt.Sprintf("is %s meant? %s", best, hint)
		}
		return diag.New(diag.BadUsage, fmt.Sprintf("there is no format %q", format), hint)
	}
	if o.Shard < 0 || o.Shard > MaxMatrix {
		return diag.New(diag.BadUsage, fmt.Sprintf("%d jobs in a matrix", o.Shard),
			fmt.Sprintf("GitHub and Azure take from 1 to %d", MaxMatrix))
	}
	if o.MaxJobs < 0 {
		return diag.New(diag.BadUsage, fmt.Sprintf("at most %d jobs", o.MaxJobs), "use a number from 1")
	}
	return nil
}

// Write writes a plan in a format. The steps stand in an order in which each comes after its parents; a parent that is not among them is
// taken for one that is not built.
func Write(w io.Writer, format string, steps []graph.Step, o Options) error {
	if err := Check(format, o); err != nil {
		return err
	}
	p := newPlan(steps, o)
	write := map[string]func(io.Writer, *plan) error{
		"text": writeText, "json": writeJSON, "github": writeGitHub, "azure": writeAzure, "gitlab": writeGitLab,
		"mermaid": writeMermaid, "dot": writeDOT, "html": writeHTML,
	}[format]
	b := bufio.NewWriter(w)
	if err := write(b, p); err != nil {
		return err
	}
	return b.Flush()
}
