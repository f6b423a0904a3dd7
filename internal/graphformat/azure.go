package graphformat

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
)

// writeAzure writes what a step of Azure Pipelines prints so that later jobs have the plan as its output variables: jobs, remaining, waves,
// and for each wave W its number of shards, waveW_shards, and the matrix of each shard S, waveW_S, as
// strategy.matrix: $[ dependencies.JOB.outputs['STEP.wave0_0'] ] takes it.
func writeAzure(w io.Writer, p *plan) error {
	if p.Dependencies {
		return writeAzureJobs(w, p)
	}
	waves, total, remaining := p.jobs()
	var b bytes.Buffer
	set := func(name string, value any) {
		fmt.Fprintf(&b, "##vso[task.setvariable variable=%s;isOutput=true]%v\n", name, value)
	}
	set("jobs", total)
	set("remaining", remaining)
	set("waves", len(waves))
	for i, jobs := range waves {
		shards := p.shards(jobs)
		set(fmt.Sprintf("wave%d_shards", i), len(shards))
		for k, shard := range shards {
			matrix := map[string]map[string]string{}
			for _, j := range shard {
				list, err := azureVariables(&j)
				if err != nil {
					return err
				}
				leg := map[string]string{}
				for _, v := range list {
					leg[v.name] = v.value
				}
				matrix[j.ID] = leg
			}
			text, err := compact(matrix)
			if err != nil {
				return err
			}
			value := azureEscapes.Replace(string(text))
			if len(value) > azureVariable {
				return p.shardTooLarge(len(shard), len(value))
			}
			set(fmt.Sprintf("wave%d_%d", i, k), value)
		}
	}
	if b.Len() > azureOutput {
		return p.tooLarge("the output of an Azure step", total, b.Len(), azureOutput)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// azureEscapes are characters that the agent takes for its own syntax, as escapes of JSON, which has them in strings only.
var azureEscapes = strings.NewReplacer("%", `\u0025`, "$", `\u0024`)

// azureExpands says that Azure would put a variable in place of a part of the value; nothing keeps it from that, so such a value stands in
// GRAPH_JOB alone.
func azureExpands(value string) bool {
	return strings.Contains(value, "$(") || strings.Contains(value, "$[")
}

// azureVariables are the variables of a job that Azure leaves as they are; where one has to be left out, the whole job is there in base64.
func azureVariables(j *Job) ([]variable, error) {
	list, err := j.variables()
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(v variable) bool { return azureExpands(v.value) })
	if j.brief && len(kept) < len(list) {
		text, err := compact(j)
		if err != nil {
			return nil, err
		}
		kept = append(kept, variable{"GRAPH_JOB", base64.StdEncoding.EncodeToString(text)})
	}
	return kept, nil
}

// shardTooLarge is the error for a matrix that no environment takes.
func (p *plan) shardTooLarge(jobs, size int) error {
	hint := fmt.Sprintf("use --shard %d", max(1, jobs*azureVariable/size*9/10))
	if !p.Brief {
		hint = "use --brief, which leaves the details of each job to the JSON of the plan; or " + hint
	}
	return diag.New(diag.PlanTooLarge, fmt.Sprintf("a variable of an Azure step with a matrix of %s has %s bytes and may have %s",
		progress.Count(jobs, "job"), progress.Thousands(size), progress.Thousands(azureVariable)), hint)
}

// writeAzureJobs writes a template of jobs, each of which waits for its parents.
func writeAzureJobs(w io.Writer, p *plan) error {
	template := p.Template
	if template == "" {
		template = "gantry-build.yml"
	}
	waves, total, remaining := p.jobs()
	if total > MaxMatrix {
		return diag.New(diag.PlanTooLarge, fmt.Sprintf("%s, and a stage of Azure Pipelines takes %d", progress.Count(total, "job"), MaxMatrix),
			fmt.Sprintf("use --max-jobs %d, and plan again when those are built; or matrices by waves", MaxMatrix))
	}
	var b bytes.Buffer
	heading(&b, "azure --dependencies", total, remaining)
	b.WriteString("jobs:\n")
	if total == 0 {
		b.WriteString("  - job: nothing\n    steps:\n      - checkout: none\n      - script: echo \"nothing to build\"\n")
	}
	for _, jobs := range waves {
		for _, j := range jobs {
			list, err := azureVariables(&j)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "  - job: %s\n    displayName: %s\n    dependsOn: %s\n    variables:\n",
				j.ID, yamlString(literal(j.Image)), yamlList(j.needIDs))
			for _, v := range list {
				fmt.Fprintf(&b, "      %s: %s\n", v.name, yamlString(literal(v.value)))
			}
			fmt.Fprintf(&b, "    steps:\n      - template: %s\n", yamlString(template))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
