package graphformat

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	generate "github.com/invopop/jsonschema"
	check "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/graph"
)

var update = flag.Bool("update", false, "write the golden files and the schema anew")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not what is written now (go test ./internal/graphformat -update):\n%s", file, got)
	}
}

func TestWrite_golden(t *testing.T) {
	root := Options{Root: "/src"}
	with := func(change func(*Options)) Options {
		o := root
		change(&o)
		return o
	}
	all := with(func(o *Options) { o.All = true })
	dependencies := with(func(o *Options) { o.Dependencies = true })
	for _, c := range []struct {
		file, format string
		o            Options
	}{
		{"plan.txt", "text", root},
		{"plan-all.txt", "text", all},
		{"plan.json", "json", root},
		{"github.json", "github", root},
		{"github-brief.json", "github", with(func(o *Options) { o.Brief, o.MaxJobs = true, 3 })},
		{"github-dependencies.yml", "github", dependencies},
		{"azure.txt", "azure", root},
		{"azure-dependencies.yml", "azure", dependencies},
		{"gitlab.yml", "gitlab", root},
		{"plan.mmd", "mermaid", root},
		{"plan-all.mmd", "mermaid", all},
		{"plan.dot", "dot", root},
	} {
		t.Run(c.file, func(t *testing.T) {
			golden(t, filepath.Join("testdata", c.file), write(t, c.format, samplePlan(), c.o))
		})
	}
}

func TestWrite_nothingToBuild(t *testing.T) {
	m := &maker{}
	m.add("base", -1, nil, same())
	for _, format := range Formats() {
		for _, o := range []Options{{}, {Dependencies: true}} {
			for _, steps := range [][]graph.Step{nil, m.steps} {
				if got := write(t, format, steps, o); got == "" {
					t.Errorf("%s writes nothing", format)
				}
			}
		}
	}
	if got, want := write(t, "text", m.steps, Options{}), "Nothing to build: 1 image skipped.\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSchema(t *testing.T) {
	r := &generate.Reflector{
		AllowAdditionalProperties: true, Anonymous: true, ExpandedStruct: true,
		Mapper: func(t reflect.Type) *generate.Schema {
			if t == reflect.TypeFor[cas.Digest]() {
				return &generate.Schema{Type: "string", Pattern: "^sha256:[0-9a-f]{64}$"}
			}
			return nil
		},
	}
	for _, dir := range []string{"internal/graphformat", "internal/graph"} { // comments are found by the path from the module's root
		t.Chdir("../..")
		err := r.AddGoComments("github.com/gantry-build/gantry", dir)
		t.Chdir("internal/graphformat")
		if err != nil {
			t.Fatal(err)
		}
	}
	s := r.Reflect(&Document{})
	s.Title = "plan of gantry graph plan --format json"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.schema.json", string(text)+"\n")
	if !bytes.Equal(Schema, append(text, '\n')) && !*update {
		t.Error("the embedded schema is another one")
	}

	c := check.NewCompiler()
	doc, err := check.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("plan", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("plan")
	if err != nil {
		t.Fatal(err)
	}
	for name, steps := range map[string][]graph.Step{"sample": samplePlan(), "odd": oddPlan(), "empty": nil} {
		value, err := check.UnmarshalJSON(strings.NewReader(write(t, "json", steps, Options{})))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := strings.Replace(write(t, "json", samplePlan(), Options{}), `"counts"`, `"count"`, 1)
	if value, err := check.UnmarshalJSON(strings.NewReader(bad)); err != nil || compiled.Validate(value) == nil {
		t.Errorf("a document without counts is valid (%v)", err)
	}
}
