package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type gitlabJob struct {
	Extends, Stage, When string
	Needs                []string
	Variables            map[string]yaml.Node
	Before               []string `yaml:"before_script"`
	Script               []string
	Artifacts, Trigger   yaml.Node
	Image                string
	Services             []string
}

// gitlabJobs are the jobs of a pipeline by name, and their names in the order of the file.
func gitlabJobs(t testing.TB, top *yaml.Node) (map[string]gitlabJob, []string) {
	t.Helper()
	var names []string
	jobs, nodes := map[string]gitlabJob{}, map[string]yaml.Node{}
	if err := top.Decode(&nodes); err != nil {
		t.Fatal(err)
	}
	for _, name := range ordered(t, top.Content[0]) {
		if slices.Contains([]string{"workflow", "include", "stages", "default", "variables"}, name) {
			continue
		}
		var job gitlabJob
		if n := nodes[name]; n.Decode(&job) != nil {
			t.Fatalf("the job %s", name)
		}
		jobs[name], names = job, append(names, name)
	}
	return jobs, names
}

// gitlabGlobals are the variables of all jobs of a file.
func gitlabGlobals(t testing.TB, top *yaml.Node) map[string]yaml.Node {
	t.Helper()
	var file struct{ Variables map[string]yaml.Node }
	if err := top.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Variables
}

// gitlabScript runs a script as GitLab does, which looks at commands by set -e alone.
func (m *machine) gitlabScript(script []string, env []string) bool {
	m.s.t.Helper()
	return m.run("bash -eo pipefail", strings.Join(script, "\n")+"\nexit 0", env)
}

// runGitLab runs the pipeline and the child that it makes. script is what a job of the child does; empty is that of docs/ci.
func (s *ciSite) runGitLab(script string) map[string]string {
	s.t.Helper()
	var top, template yaml.Node
	ciFile(s.t, "gitlab/gitlab-ci.yml", &top)
	ciFile(s.t, "gitlab/gantry-build.yml", &template)
	parent, _ := gitlabJobs(s.t, &top)
	hidden, _ := gitlabJobs(s.t, &template)
	for file, job := range map[string]gitlabJob{"gitlab-ci.yml": {Variables: gitlabGlobals(s.t, &top)}, "gantry-build.yml": hidden[".gantry-build"]} {
		if v := job.Variables["FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR"]; v.Value != "true" {
			s.t.Errorf("%s lets runners check out under umask 0000", file)
		}
	}
	if script == "" {
		script = strings.Join(hidden[".gantry-build"].Script, "\n")
	}
	build := append(hidden[".gantry-build"].Before, script)
	m := s.machine()
	if !m.gitlabScript(append(parent["plan"].Before, parent["plan"].Script...), nil) {
		return map[string]string{"plan": "failure"}
	}
	results := s.runGitLabChild(m.read(filepath.Join(s.dir, "images.yml")), build)
	for _, name := range []string{"left", "tags"} {
		if !m.gitlabScript(append(parent[name].Before, parent[name].Script...), nil) {
			results[name] = "failure"
		}
	}
	return results
}

// runGitLabChild runs the pipeline that the plan wrote.
func (s *ciSite) runGitLabChild(text string, build []string) map[string]string {
	s.t.Helper()
	var top yaml.Node
	decodeYAML(s.t, "images.yml", text, &top)
	jobs, names := gitlabJobs(s.t, &top)
	results := map[string]string{}
	for _, name := range names {
		job := jobs[name]
		if !oneOrMore(job.Needs).state(results) {
			results[name] = "skipped"
			continue
		}
		results[name] = "success"
		if job.Extends == ".gantry-build" && !s.machine().gitlabScript(build, gitlabVariables(s.t, job.Variables)) {
			results[name] = "failure"
		}
	}
	return results
}

// gitlabVariables are the environment of a job. None of its variables may have others put in place of $NAME.
func gitlabVariables(t testing.TB, variables map[string]yaml.Node) []string {
	t.Helper()
	var env []string
	for name, v := range variables {
		as := struct {
			Value  string
			Expand bool
		}{v.Value, false}
		if v.Kind == yaml.MappingNode {
			if err := v.Decode(&as); err != nil || as.Expand {
				t.Fatalf("%s: %+v (%v)", name, as, err)
			}
		}
		env = append(env, name+"="+as.Value)
	}
	return env
}
