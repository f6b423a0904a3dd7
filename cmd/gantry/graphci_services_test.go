package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-build/gantry/internal/testenv"
)

// The three functions run the CI files of docs/ci as the services do: jobs when those that they need are done, a matrix as jobs of its own, and
// scripts by a shell. Steps that are not ours (uses, task) are left out, but for actions. Each says what became of the jobs: success, failure or
// skipped.

// ciFile reads a file of docs/ci. Nothing in it may be unknown to the test.
func ciFile(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "ci", name))
	if err != nil {
		t.Fatal(err)
	}
	decodeYAML(t, name, string(data), into)
}

func decodeYAML(t testing.TB, name, data string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// oneOrMore is a string or a list of strings.
type oneOrMore []string

func (o *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*o = oneOrMore{n.Value}
		return nil
	}
	return n.Decode((*[]string)(o))
}

// state is what became of the jobs that one needs: success if all did.
func (o oneOrMore) state(results map[string]string) bool {
	for _, name := range o {
		if results[name] != "success" {
			return false
		}
	}
	return true
}

// ordered are the names of a table in the order of the file.
func ordered(t testing.TB, n *yaml.Node) []string {
	t.Helper()
	var names []string
	for i := 0; i < len(n.Content); i += 2 {
		names = append(names, n.Content[i].Value)
	}
	return names
}

type githubWorkflow struct {
	Name, On, Concurrency, Permissions yaml.Node
	Jobs                               yaml.Node
}

type githubJob struct {
	Name     string
	RunsOn   string `yaml:"runs-on"`
	Needs    oneOrMore
	If       string
	Outputs  map[string]string
	Strategy struct {
		FailFast bool `yaml:"fail-fast"`
		Matrix   yaml.Node
	}
	Uses    string
	With    map[string]string
	Secrets string
	Steps   []struct {
		ID, Uses, Run string
		With, Env     map[string]string
	}
}

// runGitHub runs a workflow.
func (s *ciSite) runGitHub(file string, inputs map[string]any) map[string]string {
	s.t.Helper()
	var w githubWorkflow
	ciFile(s.t, "github/"+file, &w)
	jobs := map[string]githubJob{}
	if err := w.Jobs.Decode(&jobs); err != nil {
		s.t.Fatal(err)
	}
	results, needs := map[string]string{}, map[string]any{}
	for _, name := range ordered(s.t, &w.Jobs) {
		job := jobs[name]
		values := map[string]any{"needs": needs, "inputs": inputs}
		// a condition is looked at before the matrix, which may not be there then
		condition := strings.TrimSuffix(strings.TrimPrefix(job.If, "${{"), "}}")
		always := strings.Contains(condition, "cancelled()") // else a job is for those that it needs to succeed
		results[name] = "success"
		if !always && !job.Needs.state(results) || condition != "" && !truth(evaluate(s.t, condition, values, true)) {
			results[name] = "skipped"
			needs[name] = map[string]any{"result": "skipped"}
			continue
		}
		for _, leg := range githubMatrix(s.t, &job.Strategy.Matrix, values) {
			values["matrix"] = leg
			if job.Uses != "" {
				with := map[string]any{}
				for k, v := range job.With {
					with[k] = replaced(s.t, v, values)
				}
				for _, result := range s.runGitHub(filepath.Base(job.Uses), with) {
					if result == "failure" {
						results[name] = result
					}
				}
				continue
			}
			outputs, ok := s.githubSteps(&job, values)
			if !ok {
				results[name] = "failure"
			}
			needs[name] = map[string]any{"outputs": outputs, "result": results[name]}
		}
	}
	return results
}

// githubMatrix are the jobs of a matrix: include, or each value of its one key.
func githubMatrix(t testing.TB, n *yaml.Node, values map[string]any) []any {
	t.Helper()
	var legs []any
	switch n.Kind {
	case 0:
		return []any{nil}
	case yaml.ScalarNode:
		legs, _ = member(replaced(t, n.Value, values), "include").([]any)
	default:
		list, _ := replaced(t, n.Content[1].Value, values).([]any)
		for _, v := range list {
			legs = append(legs, map[string]any{n.Content[0].Value: v})
		}
	}
	if len(legs) == 0 || len(legs) > 256 {
		t.Fatalf("a matrix has %d jobs", len(legs))
	}
	return legs
}

// actions are those that change what the stand-in for docker does, each with the file that it leaves on the machine.
var actions = map[string]string{"docker/setup-buildx-action@v3": "builder", "docker/setup-qemu-action@v3": "binfmt"}

func (s *ciSite) githubSteps(job *githubJob, values map[string]any) (outputs map[string]any, ok bool) {
	s.t.Helper()
	steps := map[string]any{}
	values = maps.Clone(values)
	values["steps"] = steps
	m := s.machine()
	for _, step := range job.Steps {
		if made := actions[step.Uses]; made != "" {
			if err := os.WriteFile(filepath.Join(m.dir, made), nil, 0o644); err != nil {
				s.t.Fatal(err)
			}
		}
		if step.Run == "" {
			continue
		}
		output := filepath.Join(m.dir, "output")
		env := []string{"GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + filepath.Join(s.dir, "summary.md")}
		for k, v := range step.Env {
			env = append(env, k+"="+text(replaced(s.t, v, values)))
		}
		if !m.run("bash -e", step.Run, env) {
			return nil, false
		}
		set := map[string]any{}
		for line := range strings.Lines(m.read(output)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			set[name] = value
		}
		steps[step.ID] = map[string]any{"outputs": set}
	}
	outputs = map[string]any{}
	for k, v := range job.Outputs {
		outputs[k] = replaced(s.t, v, values)
	}
	return outputs, true
}

type azureJob struct {
	Job        string
	Template   string
	Parameters map[string]any
	DependsOn  oneOrMore `yaml:"dependsOn"`
	Condition  string
	Strategy   struct {
		Matrix      string
		MaxParallel int `yaml:"maxParallel"`
	}
	Steps []struct {
		Checkout, Task, Bash, Name string
		Inputs                     map[string]string
	}
}

// runAzure runs the pipeline with its templates.
func (s *ciSite) runAzure() map[string]string {
	s.t.Helper()
	var top struct {
		Trigger, Schedules, Pool yaml.Node
		Jobs                     []azureJob
	}
	ciFile(s.t, "azure/azure-pipelines.yml", &top)
	results, dependencies := map[string]string{}, map[string]any{}
	for _, job := range top.Jobs {
		for _, j := range s.azureTemplate(job) {
			if !truth(evaluate(s.t, orElse(j.Condition, "succeeded()"), map[string]any{"dependencies": dependencies}, j.DependsOn.state(results))) {
				results[j.Job] = "skipped"
				continue
			}
			legs := map[string]map[string]string{"": nil}
			if e := j.Strategy.Matrix; e != "" {
				e = strings.TrimSuffix(strings.TrimPrefix(e, "$["), "]")
				legs = nil
				matrix := text(evaluate(s.t, e, map[string]any{"dependencies": dependencies}, true))
				if err := json.Unmarshal([]byte(matrix), &legs); err != nil || len(legs) == 0 || len(legs) > 256 {
					s.t.Fatalf("a matrix of %d jobs: %v", len(legs), err)
				}
			}
			results[j.Job] = "success"
			for _, leg := range slices.Sorted(maps.Keys(legs)) {
				outputs, ok := s.azureSteps(&j, legs[leg])
				dependencies[j.Job] = map[string]any{"outputs": outputs, "result": "Succeeded"}
				if !ok {
					results[j.Job], dependencies[j.Job] = "failure", map[string]any{"result": "Failed"}
				}
			}
		}
	}
	return results
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// azureTemplate is a job, or those of the template that it names.
func (s *ciSite) azureTemplate(job azureJob) []azureJob {
	s.t.Helper()
	if job.Template == "" {
		return []azureJob{job}
	}
	data, err := os.ReadFile(filepath.Join(testenv.Root(s.t), "docs", "ci", "azure", job.Template))
	if err != nil {
		s.t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(data), "\njobs:")
	body = "jobs:" + github.ReplaceAllStringFunc(body, func(e string) string {
		value, err := json.Marshal(evaluate(s.t, e[3:len(e)-2], map[string]any{"parameters": job.Parameters}, true))
		if err != nil {
			s.t.Fatal(err)
		}
		return strings.Trim(string(value), `"`)
	})
	var doc struct{ Jobs []azureJob }
	decodeYAML(s.t, job.Template, body, &doc)
	return doc.Jobs
}

var setVariable = regexp.MustCompile(`^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$`)

func (s *ciSite) azureSteps(j *azureJob, variables map[string]string) (outputs map[string]any, ok bool) {
	s.t.Helper()
	outputs = map[string]any{}
	m := s.machine()
	for _, step := range j.Steps {
		if step.Bash == "" {
			continue
		}
		var env []string
		for k, v := range variables {
			env = append(env, k+"="+v)
		}
		ok := m.run("bash", step.Bash, env)
		r := bufio.NewScanner(strings.NewReader(m.stdout))
		r.Buffer(nil, 1<<20)
		for r.Scan() {
			if v := setVariable.FindStringSubmatch(r.Text()); v != nil {
				outputs[step.Name+"."+v[1]] = v[2]
			}
		}
		if !ok {
			return outputs, false
		}
	}
	return outputs, true
}

// failures are the jobs that failed.
func failures(results map[string]string) string {
	var list []string
	for name, result := range results {
		if result == "failure" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}
