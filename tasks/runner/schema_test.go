package runner

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	generate "github.com/invopop/jsonschema"
	check "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/tasks/schema"
)

var update = flag.Bool("update", false, "write the schemas anew")

const (
	module    = "github.com/gantry-build/gantry"
	root      = "../.."
	schemaDir = "../schema"
)

// reflector makes schemas as the runner reads: exact names, nothing optional but what is marked so.
func reflector(t *testing.T, response bool) *generate.Reflector {
	t.Helper()
	r := &generate.Reflector{
		AllowAdditionalProperties:  response,
		RequiredFromJSONSchemaTags: !response, // an absent field of a request is an empty one; Validate says which may not be
		DoNotReference:             false,
		Anonymous:                  true,
		ExpandedStruct:             true,
		Mapper: func(t reflect.Type) *generate.Schema {
			switch t {
			case reflect.TypeFor[cas.Digest]():
				return &generate.Schema{Type: "string", Pattern: "^sha256:[0-9a-f]{64}$"}
			case reflect.TypeFor[json.RawMessage]():
				return &generate.Schema{Type: "object"}
			}
			return nil
		},
	}
	for _, dir := range []string{"tasks"} {
		if err := addComments(r, dir); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// addComments reads doc comments from the source below dir.
func addComments(r *generate.Reflector, dir string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil { // the extractor joins the module's path with the folder's as it is given
		return err
	}
	defer func() { _ = os.Chdir(here) }()
	return r.AddGoComments(module, dir)
}

func schemaOf(t *testing.T, r *generate.Reflector, title string, doc any) []byte {
	t.Helper()
	s := r.Reflect(doc)
	s.Title = title
	if _, ok := s.Properties.Get("schemaVersion"); !ok {
		t.Fatalf("%s has no header", title)
	}
	s.Required = append(s.Required, missing(s.Required, "schemaVersion", "stage")...)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func missing(have []string, want ...string) (out []string) {
	for _, w := range want {
		if !strings.Contains("\x00"+strings.Join(have, "\x00")+"\x00", "\x00"+w+"\x00") {
			out = append(out, w)
		}
	}
	return out
}

func TestSchemas(t *testing.T) {
	requests, responses := reflector(t, false), reflector(t, true)
	want := map[string]bool{"schema.go": true}
	for _, s := range Stages() {
		for name, text := range map[string][]byte{
			s.Name + ".request.json":  schemaOf(t, requests, "request of "+s.Name, s.NewRequest()),
			s.Name + ".response.json": schemaOf(t, responses, "response of "+s.Name, s.NewResponse()),
		} {
			want[name] = true
			file := filepath.Join(schemaDir, name)
			if *update {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s is not current (%v): run go test ./tasks/runner -run TestSchemas -update", file, err)
			}
		}
	}
	entries, err := os.ReadDir(schemaDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("%s is of no stage", e.Name())
		}
	}
}

func compile(t *testing.T, text []byte) *check.Schema {
	t.Helper()
	doc, err := check.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := check.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGolden holds every golden request and response against its schema, and every request against the reader.
func TestGolden(t *testing.T) {
	dir := filepath.Join(root, "testdata", "golden")
	count := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		stage, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		kind := strings.TrimSuffix(filepath.Base(path), ".json")
		if kind != "request" && kind != "response" {
			return nil
		}
		count++
		t.Run(filepath.ToSlash(rel), func(t *testing.T) { checkGolden(t, path, stage, kind) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count == 0 {
		t.Errorf("no golden documents below %s", dir)
	}
}

func checkGolden(t *testing.T, path, stage, kind string) {
	s, err := Find(Stages(), stage)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := schema.Request(stage)
	if kind == "response" {
		text = schema.Response(stage)
	}
	doc, err := check.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, text).Validate(doc); err != nil {
		t.Error(err)
	}
	if kind == "request" {
		if _, _, err := s.load(&Env{Dir: t.TempDir()}, mustAbs(t, path)); err != nil {
			t.Error(err)
		}
		return
	}
	resp := s.NewResponse()
	if err := json.Unmarshal(data, resp); err != nil {
		t.Fatal(err)
	}
	if again, err := encode(resp); err != nil || !bytes.Equal(again, data) {
		t.Errorf("%s is no fixed point of the encoder (%v); encoded again it is\n%s", path, err, again)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// TestSchemasAreStrict proves that the schemas refuse what the reader refuses.
func TestSchemasAreStrict(t *testing.T) {
	for _, s := range Stages() {
		sch := compile(t, schema.Request(s.Name))
		good := map[string]any{"schemaVersion": 1.0, "stage": s.Name}
		if err := sch.Validate(good); err != nil {
			t.Errorf("%s: a request with a header alone: %v", s.Name, err)
		}
		if err := sch.Validate(map[string]any{"schemaVersion": 1.0, "stage": s.Name, "stagee": ""}); err == nil {
			t.Errorf("%s: an unknown field was accepted", s.Name)
		}
		if err := sch.Validate(map[string]any{"stage": s.Name}); err == nil {
			t.Errorf("%s: a request without schemaVersion was accepted", s.Name)
		}
	}
}
