package imagelist

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"
	check "github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "gantry.graph.schema.json"

// TestSchema holds the schema of gantry.graph.toml to the reader's own table, and every list of testdata to both.
func TestSchema(t *testing.T) {
	want, err := json.MarshalIndent(schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(Schema, want) && !*update {
		t.Fatalf("%s is not current: run go test ./internal/imagelist -update", schemaFile)
	}
	doc, err := check.UnmarshalJSON(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	c := check.NewCompiler()
	if err := c.AddResource(schemaFile, doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	archives, err := filepath.Glob("testdata/graph*.txtar")
	if err != nil || len(archives) < 5 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	for _, archive := range archives {
		a, err := txtar.ParseFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if _, err := toml.Decode(string(a.Files[0].Data), &values); err != nil {
			continue // TestLists has it
		}
		// What has no number with a point or a date is JSON.
		raw, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		list, err := check.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		bad := strings.Contains(archive, "_unknown") || strings.Contains(archive, "_values")
		if err := compiled.Validate(list); (err != nil) != bad {
			t.Errorf("%s: %v", archive, err)
		}
	}
}

type dict = map[string]any

// schema is the JSON schema of a list: what can be said without its matrix.
func schema() dict {
	scalar := dict{"type": []string{"string", "integer", "boolean"}}
	table := func(values dict) dict {
		return dict{"type": "object", "additionalProperties": values}
	}
	value := dict{"anyOf": []any{scalar, table(scalar)}}
	rules := dict{"type": "array", "items": dict{"type": "object", "minProperties": 1, "additionalProperties": value}}
	matrix := dict{
		"type":                 "object",
		"properties":           dict{includeKey: rules, excludeKey: rules},
		"additionalProperties": dict{"type": "array", "items": value},
		"propertyNames":        dict{"pattern": "^[A-Za-z0-9_-]+$"},
	}
	of := func(k Key) dict {
		d := dict{"type": "string"}
		switch {
		case k.Name == "matrix":
			d = dict{"$ref": "#/$defs/matrix"}
		case k.Name == "args":
			d = table(scalar)
		case k.Kind == values:
			d = table(dict{"type": "string"})
		case k.Kind == texts:
			d = dict{"type": "array", "items": dict{"type": "string"}}
		}
		d["description"] = k.Meaning
		return d
	}
	image, defaults := dict{}, dict{}
	for _, k := range Table {
		image[k.Name] = of(k)
		if k.Defaults {
			defaults[k.Name] = of(k)
		}
	}
	return dict{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                FileName,
		"description":          "The images of a repository. ${NAME} in a string stands for a value of the matrix, ${name} for the image's own name, $${ for a plain ${.",
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"image"},
		"$defs":                dict{"matrix": matrix},
		"properties": dict{
			"defaults": dict{"type": "object", "additionalProperties": false, "properties": defaults, "description": rootKeys[0].Meaning},
			"image": dict{
				"type": "array", "minItems": 1, "description": rootKeys[1].Meaning,
				"items": dict{"type": "object", "additionalProperties": false, "required": []string{"name"}, "properties": image},
			},
		},
	}
}
