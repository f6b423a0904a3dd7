package graphformat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gantry-build/gantry/internal/progress"
)

// Matrices is a plan for GitHub Actions in one line, as a step writes it to GITHUB_OUTPUT. A workflow reads it with fromJSON; a wave of more
// than one shard needs a matrix over the shards that calls a reusable workflow with a matrix over the jobs of each.
type Matrices struct {
	SchemaVersion int `json:"schemaVersion"`
	// Stage is graph-github.
	Stage string `json:"stage"`
	// Jobs is how many jobs there are, Remaining how many MaxJobs left for the next plan, and WaveCount the length of Waves, for conditions.
	Jobs      int    `json:"jobs"`
	Remaining int    `json:"remaining"`
	WaveCount int    `json:"waveCount"`
	Waves     []Wave `json:"waves"`
}

// Wave are jobs that may run at the same time, once the wave before is done.
type Wave struct {
	Wave   int      `json:"wave"`
	Jobs   int      `json:"jobs"`
	Shards []Matrix `json:"shards"`
}

// Matrix is a strategy.matrix.
type Matrix struct {
	Include []Job `json:"include"`
}

func writeGitHub(w io.Writer, p *plan) error {
	if p.Dependencies {
		return writeWorkflow(w, p)
	}
	waves, total, remaining := p.jobs()
	doc := Matrices{SchemaVersion: 1, Stage: "graph-github", Jobs: total, Remaining: remaining, WaveCount: len(waves), Waves: []Wave{}}
	for i, jobs := range waves {
		wave := Wave{Wave: i, Jobs: len(jobs)}
		for _, shard := range p.shards(jobs) {
			wave.Shards = append(wave.Shards, Matrix{shard})
		}
		doc.Waves = append(doc.Waves, wave)
	}
	text, err := compact(doc)
	if err != nil {
		return err
	}
	if size := utf16Bytes(text); size > githubOutput {
		return p.tooLarge("the output of a GitHub job", total, size, githubOutput)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// writeWorkflow writes a workflow in which each job waits for its parents. Its jobs call the template with all that they need as one input.
func writeWorkflow(w io.Writer, p *plan) error {
	template := p.Template
	if template == "" {
		template = "./.github/workflows/gantry-build.yml"
	}
	waves, total, remaining := p.jobs()
	var b bytes.Buffer
	heading(&b, "github --dependencies", total, remaining)
	b.WriteString("# The template has on.workflow_call.inputs.job, a string: the job as JSON.\n")
	b.WriteString("name: gantry graph\non: [workflow_call, workflow_dispatch]\njobs:\n")
	if total == 0 {
		b.WriteString("  nothing:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"nothing to build\"\n")
	}
	for _, jobs := range waves {
		for _, j := range jobs {
			text, err := compact(j)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "  %s:\n    name: %s\n", j.ID, yamlString(literal(j.Image)))
			if len(j.needIDs) > 0 {
				fmt.Fprintf(&b, "    needs: %s\n", yamlList(j.needIDs))
			}
			fmt.Fprintf(&b, "    uses: %s\n    with:\n      job: %s\n    secrets: inherit\n",
				yamlString(template), yamlString(literal(string(text))))
		}
	}
	if b.Len() > githubWorkflow {
		return p.tooLarge("a GitHub workflow", total, b.Len(), githubWorkflow)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// heading says in a comment what a pipeline is and what it leaves out.
func heading(b *bytes.Buffer, format string, total, remaining int) {
	fmt.Fprintf(b, "# Written by gantry graph plan --format %s: %s.\n", format, progress.Count(total, "job"))
	if remaining > 0 {
		fmt.Fprintf(b, "# Left for the next plan: %s.\n", progress.Count(remaining, "image"))
	}
}

// compact is JSON in one line.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
