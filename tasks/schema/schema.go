// Package schema holds the JSON schemas of the stages' requests and responses.
//
// They are generated from the Go types, with the doc comments as descriptions, by
//
//	go test ./tasks/runner -run TestSchemas -update
//
// and a test fails when they are not current. A request's schema is strict, as its reader is; a response's allows fields that
// it does not name, as a later version may add some.
package schema

import "embed"

//go:embed *.json
var files embed.FS

// Request returns the schema of a stage's request. The stage must exist.
func Request(stage string) []byte { return must(stage + ".request.json") }

// Response returns the schema of a stage's response. The stage must exist.
func Response(stage string) []byte { return must(stage + ".response.json") }

func must(name string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic("schema: " + err.Error()) // a stage without schemas is a programmer's error
	}
	return data
}
