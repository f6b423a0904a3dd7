package graphformat

import (
	"fmt"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
)

// What the services take.
const (
	// MaxMatrix are the jobs of a matrix: GitHub ("a matrix will generate a maximum of 256 jobs per workflow run", which each call of a reusable
	// workflow has for itself; docs.github.com, Actions limits) and Azure (256 jobs in a matrix and in a stage; azure-devops-docs issue 10979).
	MaxMatrix = 256
	// githubOutput is the size of a job's outputs, counted in UTF-16 (docs.github.com, Passing information between jobs).
	githubOutput = 1 << 20
	// githubWorkflow is the size of a workflow file; a larger one does not start (docs.github.com, Actions limits).
	githubWorkflow = 500 << 10
	// gitlabFile is a fifth of max_yaml_size_bytes, 2 MB: GitLab counts what the file takes in memory, which its documentation puts at five times
	// the size of the file (docs.gitlab.com, instance limits).
	gitlabFile = 400 << 10
	// gitlabNeeds are the jobs that a job may need (ci_needs_size_limit).
	gitlabNeeds = 50
	// gitlabName is the longest name of a job that others need: 255 characters as all names of jobs, and 128 in GitLab before 16 (issue 420669).
	gitlabName = 128
	// azureVariable is the size of an output variable: the agent puts it into the environment of each later process of the job, where Linux takes
	// 128 KiB for one with its name (execve(2)); azureOutput is half of what it takes for all, beside what else is there.
	azureVariable = 120_000
	azureOutput   = 1 << 20
	// mermaidText and mermaidEdges are maxTextSize and maxEdges, which a diagram cannot raise for itself (mermaid.js.org, config schema).
	mermaidText  = 50_000
	mermaidEdges = 500
	// dotBoxes and dotEdges are what dot of Graphviz lays out in seconds; 12,800 boxes with 25,000 edges took it more than 90 s (Graphviz 2.43).
	dotBoxes = 2000
	dotEdges = 4000
)

// utf16Bytes is the size of a text in UTF-16.
func utf16Bytes(s []byte) int {
	n := 0
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		if s = s[size:]; r >= 0x10000 {
			n += 2
		}
		n += 2
	}
	return n
}

// tooLarge is the error for a plan that a service does not take; about says how many jobs it would take of this kind.
func (p *plan) tooLarge(what string, jobs, size, limit int) error {
	about := max(1, int(float64(jobs)*float64(limit)/float64(size)*0.9))
	hint := fmt.Sprintf("use --max-jobs %d, and plan again when those are built", about)
	if !p.Brief {
		hint = "use --brief, which leaves the details of each job to the JSON of the plan; or " + hint
	}
	return diag.New(diag.PlanTooLarge, fmt.Sprintf("%s for %s has %s bytes and may have %s",
		what, progress.Count(jobs, "job"), progress.Thousands(size), progress.Thousands(limit)), hint)
}
