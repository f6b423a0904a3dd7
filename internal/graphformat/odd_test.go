package graphformat

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-build/gantry/internal/testenv"
)

// evaluated is what GitHub and Azure make of a string of a pipeline. An expression that is not the one for ${{ fails the test.
func evaluated(t *testing.T, s string) string {
	t.Helper()
	return regexp.MustCompile(`\$\{\{.*?\}\}`).ReplaceAllStringFunc(s, func(expression string) string {
		if expression != "${{ '${{' }}" {
			t.Errorf("the string %q has the expression %q", s, expression)
		}
		return "${{"
	})
}

// checkJob says whether a job that was read back is that of odd[i].
func checkJob(t *testing.T, text, name string) {
	t.Helper()
	var j Job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if j.Image != name || j.Args["ARG"] != name || j.Pins[name] != "r/x@sha256:"+name {
		t.Errorf("%q: got %+v", name, j)
	}
}

// read keeps count of the images that were read back.
func checkAll(t *testing.T, got []string) {
	t.Helper()
	want := slices.Sorted(slices.Values(odd))
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %d images, want %d:\n%q\n%q", len(got), len(want), got, want)
	}
}

func TestOdd_json(t *testing.T) {
	var doc Document
	if err := json.Unmarshal([]byte(write(t, "json", oddPlan(), Options{})), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, image := range doc.Images {
		got = append(got, image.Name)
		if image.Reasons[0].Name != image.Name || image.Job.Args["ARG"] != image.Name {
			t.Errorf("got %+v", image)
		}
	}
	checkAll(t, got)
}

func TestOdd_github(t *testing.T) {
	text := write(t, "github", oddPlan(), Options{})
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x00") {
		t.Errorf("the output is not one line: %q", text)
	}
	var doc Matrices
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, wave := range doc.Waves {
		for _, shard := range wave.Shards {
			for _, j := range shard.Include {
				got = append(got, j.Image)
				if j.Args["ARG"] != j.Image {
					t.Errorf("got %+v", j)
				}
			}
		}
	}
	checkAll(t, got)
}

func TestOdd_githubDependencies(t *testing.T) {
	var doc struct {
		Jobs map[string]struct {
			Name  string
			Needs []string
			Uses  string
			With  struct{ Job string }
		}
	}
	if err := yaml.Unmarshal([]byte(write(t, "github", oddPlan(), Options{Dependencies: true})), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	id := regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,99}$`)
	for name, j := range doc.Jobs {
		if !id.MatchString(name) {
			t.Errorf("%q is no name of a job", name)
		}
		for _, need := range j.Needs {
			if _, ok := doc.Jobs[need]; !ok {
				t.Errorf("%s needs %s, which is not there", name, need)
			}
		}
		image := evaluated(t, j.Name)
		checkJob(t, evaluated(t, j.With.Job), image)
		got = append(got, image)
	}
	checkAll(t, got)
}

func TestOdd_azure(t *testing.T) {
	var got []string
	command := regexp.MustCompile(`^##vso\[task\.setvariable variable=[a-z0-9_]+;isOutput=true\]([^%$]*)$`)
	for line := range strings.Lines(write(t, "azure", oddPlan(), Options{})) {
		m := command.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("%q is no command", line)
		}
		matrix := map[string]map[string]string{}
		if json.Unmarshal([]byte(m[1]), &matrix) != nil {
			continue // a number
		}
		for _, leg := range matrix {
			job, err := base64.StdEncoding.DecodeString(leg["GRAPH_JOB"])
			if err != nil {
				t.Fatal(err)
			}
			var j Job
			if err := json.Unmarshal(job, &j); err != nil {
				t.Fatal(err)
			}
			checkJob(t, string(job), j.Image)
			if image, ok := leg["GRAPH_IMAGE"]; ok != (j.Image != "" && !azureExpands(j.Image)) || ok && image != j.Image {
				t.Errorf("%q: GRAPH_IMAGE is %q", j.Image, image)
			}
			got = append(got, j.Image)
		}
	}
	checkAll(t, got)
}

func TestOdd_azureDependencies(t *testing.T) {
	var doc struct {
		Jobs []struct {
			Job       string
			DependsOn []string `yaml:"dependsOn"`
			Variables map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(write(t, "azure", oddPlan(), Options{Dependencies: true})), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	seen := map[string]bool{}
	for _, j := range doc.Jobs {
		for _, need := range j.DependsOn {
			if !seen[need] {
				t.Errorf("%s depends on %s, which does not stand before it", j.Job, need)
			}
		}
		seen[strings.ToLower(j.Job)] = true
		job, err := base64.StdEncoding.DecodeString(j.Variables["GRAPH_JOB"])
		if err != nil {
			t.Fatal(err)
		}
		var read Job
		if err := json.Unmarshal(job, &read); err != nil {
			t.Fatal(err)
		}
		checkJob(t, string(job), read.Image)
		if image := evaluated(t, j.Variables["GRAPH_IMAGE"]); image != read.Image && !azureExpands(read.Image) {
			t.Errorf("%q: GRAPH_IMAGE is %q", read.Image, image)
		}
		got = append(got, read.Image)
	}
	if len(seen) != len(odd) {
		t.Errorf("%d names for %d jobs", len(seen), len(odd))
	}
	checkAll(t, got)
}

func TestOdd_gitlab(t *testing.T) {
	doc := map[string]any{}
	if err := yaml.Unmarshal([]byte(write(t, "gitlab", oddPlan(), Options{})), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, value := range doc {
		job, _ := value.(map[string]any)
		variables, ok := job["variables"].(map[string]any)
		if !ok {
			continue // not a job
		}
		get := func(name string) string {
			v, _ := variables[name].(map[string]any)
			if v != nil && v["expand"] != false {
				t.Errorf("%s expands %s", v, name)
			}
			s, _ := v["value"].(string)
			return s
		}
		image := get("GRAPH_IMAGE")
		if want := "build " + image; name != want && len([]rune(want)) <= gitlabName || len([]rune(name)) > gitlabName {
			t.Errorf("%q is called %q", image, name)
		}
		for _, need := range job["needs"].([]any) {
			if _, ok := doc[need.(string)]; !ok {
				t.Errorf("%s needs %s, which is not there", name, need)
			}
		}
		text, err := base64.StdEncoding.DecodeString(get("GRAPH_JOB"))
		if err != nil {
			t.Fatal(err)
		}
		checkJob(t, string(text), image)
		got = append(got, image)
	}
	checkAll(t, got)
}

func TestOdd_mermaid(t *testing.T) {
	node := regexp.MustCompile(`^  n\d+\["([A-Za-z0-9 ._/,()@+=:#;-]+)"\]:::build$`)
	entity := regexp.MustCompile(`#(\d+);`)
	// what Mermaid itself does to a line before it reads it
	cut := regexp.MustCompile(`style.*:\S*#.*;`)
	i := 0
	for line := range strings.Lines(write(t, "mermaid", oddPlan(), Options{})) {
		if !strings.Contains(line, "[") {
			continue
		}
		line = strings.TrimSuffix(line, "\n")
		m := node.FindStringSubmatch(line)
		if m == nil || cut.MatchString(line) {
			t.Fatalf("%q: Mermaid would read %s", odd[i], line)
		}
		got := entity.ReplaceAllStringFunc(m[1], func(e string) string {
			n, _ := strconv.Atoi(e[1 : len(e)-1])
			return string(rune(n))
		})
		want := strings.Map(func(r rune) rune {
			if r < 0x20 || r >= 0x7f && r < 0xa0 {
				return ' '
			}
			return r
		}, odd[i])
		if want == "" {
			want = " " // an empty label is an error
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		i++
	}
	if i != len(odd) {
		t.Errorf("%d of %d nodes", i, len(odd))
	}
}

func TestOdd_dot(t *testing.T) {
	testenv.Require(t, "dot")
	cmd := exec.CommandContext(t.Context(), "dot", "-Tsvg")
	cmd.Stdin = strings.NewReader(write(t, "dot", oddPlan(), Options{}))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	svg, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var doc struct {
		G struct {
			G []struct {
				Class string   `xml:"class,attr"`
				Title string   `xml:"title"`
				Text  []string `xml:"text"`
				Deep  []string `xml:"g>a>text"`
			} `xml:"g"`
		} `xml:"g"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, g := range doc.G.G {
		if g.Class == "node" {
			got[g.Title] = strings.ReplaceAll(strings.Join(append(g.Text, g.Deep...), "\n"), "\u00a0", " ")
		}
	}
	clean := func(s string) string { // Graphviz and XML end lines, and leave spaces out, in their own way
		return strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\uFFFD' || r == '\uFFFF' || unicode.IsSpace(r) || r == '\ufeff' {
				return -1
			}
			return r
		}, s)
	}
	for i, want := range odd {
		if text, ok := got[fmt.Sprintf("n%d", i)]; !ok || clean(text) != clean(want) {
			t.Errorf("got %q, want %q", text, want)
		}
	}
}

func TestOdd_text(t *testing.T) {
	text := write(t, "text", oddPlan(), Options{All: true})
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("the text has %U, which a terminal may act on", r)
		}
	}
	if got, want := strings.Count(text, "\n"), len(odd)+1+2*2; got != want {
		t.Errorf("%d lines, want %d: a name breaks its line", got, want)
	}
}

func TestStamp_shell(t *testing.T) {
	p := newPlan(oddPlan(), Options{Stamp: []string{"printf", "%s"}})
	for i, name := range odd {
		if strings.Contains(name, "\x00") {
			continue // no argument of a program has it
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", p.job(i).Stamp).Output()
		want := name
		if strings.HasPrefix(name, "-") {
			want = "--" + name // printf writes both words
		}
		if err != nil || string(out) != want {
			t.Errorf("%s writes %q (%v), want %q", p.job(i).Stamp, out, err, want)
		}
	}
}

func FuzzYAMLString(f *testing.F) {
	for _, name := range odd {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got []string
		if err := yaml.Unmarshal([]byte("- "+yamlString(s)), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := valid(s); len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
