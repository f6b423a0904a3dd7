package graphformat

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/graph"
)

// TestJob_stamp: what has no source hash has no stamp. What is built from it has one, by the digest that it was built to.
func TestJob_stamp(t *testing.T) {
	m := &maker{}
	unknown := m.add("unknown", 0, nil, graph.Reason{Kind: "unknown", Text: "line 2: ADD has no checksum"})
	m.steps[unknown].Image.Unknown = []dockerfile.Reason{{Line: 2, Text: "ADD has no checksum"}}
	m.add("child", 1, []int{unknown}, planned("unknown"))
	m.add("other", 0, nil, graph.Reason{Kind: "file", Text: "f changed"}, graph.Reason{Kind: "forced", Text: "asked for"})
	p := newPlan(m.steps, Options{})
	for i, want := range []Job{{}, {Stamp: "gantry graph stamp child"}, {Stamp: "gantry graph stamp other", Force: true}} {
		if j := p.job(i); j.Stamp != want.Stamp || j.Force != want.Force {
			t.Errorf("%s: stamp %q, force %v", j.Image, j.Stamp, j.Force)
		}
	}
}

// TestBrief_azure: a name that Azure would change is given in base64.
func TestBrief_azure(t *testing.T) {
	m := &maker{}
	for _, name := range []string{"plain", "$(Build.Reason)"} {
		m.add(name, 0, nil)
	}
	_, text, _ := strings.Cut(write(t, "azure", m.steps, Options{Brief: true}), "variable=wave0_0;isOutput=true]")
	var matrix map[string]map[string]string
	if err := json.Unmarshal([]byte(text), &matrix); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{
		"build_plain":            {"GRAPH_IMAGE": "plain"},
		jobID("$(Build.Reason)"): {"GRAPH_JOB": base64.StdEncoding.EncodeToString([]byte(`{"image":"$(Build.Reason)"}`))},
	}
	if !reflect.DeepEqual(matrix, want) {
		t.Errorf("got %v, want %v", matrix, want)
	}
}

// TestReadme: the section on formats names all formats, all fields of a job, and all variables.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## A plan of images in text, pictures and CI\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for _, format := range Formats() {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + format + "`[^|]*\\| ").MatchString(text) {
			t.Errorf("the table of formats lacks %s", format)
		}
	}
	fields := reflect.TypeFor[Job]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if name != "" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the fields of a job lack %s", name)
		}
	}
	j := newPlan(samplePlan(), Options{}).job(1)
	j.Force = true
	list, err := j.variables()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, v := range list {
		names = append(names, v.name)
	}
	for _, name := range regexp.MustCompile(`GRAPH_[A-Z]+`).FindAllString(text, -1) {
		if !slices.Contains(names, name) {
			t.Errorf("there is no variable %s", name)
		}
	}
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the variables lack %s", name)
		}
	}
}
