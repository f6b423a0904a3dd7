package tasks

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Document is a response: a type that embeds ResponseHeader.
type Document interface{ ResponseOf() *ResponseHeader }

// ReadResponse reads the response file of an earlier stage into v, which needs to declare only the fields that the reader uses:
// responses are open, a reader ignores what it does not know. It returns the file as an input of the stage that reads it. Errors are
// GANTRY1006 for a file that cannot be read, 1004 for one that is no such document, 1008 for one of another stage or version.
func ReadResponse(path, stage string, v Document) (FileDigest, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return FileDigest{}, diag.Wrap(diag.RequestUnreadable, err, fmt.Sprintf("the response of %s cannot be read", stage),
			"run that stage first, and check the path")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return FileDigest{}, diag.Wrap(diag.MalformedJSON, err, fmt.Sprintf("%s is no response of %s", path, stage), "run that stage again")
	}
	if h := v.ResponseOf(); h.SchemaVersion != SchemaVersion || h.Stage != stage {
		return FileDigest{}, diag.New(diag.UnsupportedSchema,
			fmt.Sprintf("%s is a response of %q, version %d; wanted is one of %s, version %d", path, h.Stage, h.SchemaVersion, stage, SchemaVersion),
			"run that stage again with this version of gantry")
	}
	return FileDigest{Path: path, Digest: cas.DigestOf(data)}, nil
}

// Resolved is the part of resolve-base's response that other stages read.
type Resolved struct {
	ResponseHeader
	Reference  string     `json:"reference"`
	Registry   string     `json:"registry"`
	Repository string     `json:"repository"`
	Digest     cas.Digest `json:"digest"`
	MediaType  string     `json:"mediaType"`
}

// ReadBase reads the response of select-base.
func ReadBase(path string) (*Base, FileDigest, error) {
	var doc struct {
		ResponseHeader
		Base Base `json:"base"`
	}
	in, err := ReadResponse(path, "select-base", &doc)
	if err != nil {
		return nil, in, err
	}
	return &doc.Base, in, nil
}
