package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
)

// mediaType returns a Content-Type without parameters, in lower case.
func mediaType(contentType string) string {
	if t, _, err := mime.ParseMediaType(contentType); err == nil {
		return t
	}
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func isManifestType(t string) bool {
	return t == DockerManifest || t == DockerIndex || t == OCIManifest || t == OCIIndex
}

// isVague says that a Content-Type names no kind of document, as of servers
// that serve a folder of files.
func isVague(t string) bool {
	switch t {
	case "", "application/json", "application/octet-stream", "text/plain", "binary/octet-stream":
		return true
	}
	return false
}

// manifestType finds the one kind that a document can be read as. Two readers
// that see different images in the same bytes is an attack
// (CVE-2021-41190), so the header, the mediaType field and the shape have to
// agree, and no key may be there twice.
func manifestType(contentType string, body []byte) (string, error) {
	keys, err := topKeys(body)
	if err != nil {
		return "", err
	}
	var doc struct {
		SchemaVersion json.RawMessage `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", errors.New("a field has the wrong type")
	}
	header := mediaType(contentType)
	kind := header
	if isVague(header) {
		kind = doc.MediaType
	}
	switch {
	case !isManifestType(kind) && kind == "":
		return "", errors.New("its media type is not known")
	case !isManifestType(kind):
		return "", fmt.Errorf("the media type %q is not that of an image", shorten(kind, 100))
	case doc.MediaType != "" && doc.MediaType != kind:
		return "", fmt.Errorf("it is sent as %s and says it is %q", kind, shorten(doc.MediaType, 100))
	case strings.TrimSpace(string(doc.SchemaVersion)) != "2":
		return "", errors.New("its schemaVersion is not 2")
	}
	return kind, checkShape(kind, keys)
}

func checkShape(kind string, keys map[string]bool) error {
	image := keys["config"] || keys["layers"]
	index := keys["manifests"]
	switch {
	case keys["fslayers"] || keys["history"] || keys["signatures"]:
		return errors.New("it has fields of the old schema 1")
	case image && index:
		return errors.New("it can be read both as an image and as an index")
	case (kind == OCIIndex || kind == DockerIndex) && !index:
		return errors.New("it is an index without manifests")
	case (kind == OCIManifest || kind == DockerManifest) && !(keys["config"] && keys["layers"]):
		return errors.New("it is an image without config or layers")
	}
	return nil
}

// foldKey returns the name of a field that Go's decoder would take k for;
// other keys, as of annotations, are what they are.
func foldKey(k string) string {
	switch lower := strings.ToLower(k); lower {
	case "schemaversion", "mediatype", "config", "layers", "manifests", "digest", "size", "urls", "data", "platform",
		"annotations", "subject", "artifacttype", "fslayers", "history", "signatures":
		return lower
	}
	return k
}

// topKeys walks a whole document and returns the keys of its top object, the
// known ones in lower case. It fails for what is not one JSON object, for trailing data and
// for a key that an object has twice, also in other case: Go's decoder would
// take either.
func topKeys(body []byte) (map[string]bool, error) {
	if !json.Valid(body) {
		return nil, errors.New("it is not one JSON document")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var stack []map[string]bool // nil for an array
	var top map[string]bool
	wantKey := false
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.New("it is not one JSON document")
		}
		switch v := t.(type) {
		case json.Delim:
			switch v {
			case '{':
				stack = append(stack, map[string]bool{})
				if top == nil && len(stack) == 1 {
					top = stack[0]
				}
			case '[':
				stack = append(stack, nil)
			default:
				stack = stack[:len(stack)-1]
			}
			wantKey = len(stack) > 0 && stack[len(stack)-1] != nil
			continue
		case string:
			if wantKey {
				k := foldKey(v)
				if stack[len(stack)-1][k] {
					return nil, fmt.Errorf("it has the key %q twice", shorten(v, 60))
				}
				stack[len(stack)-1][k] = true
				wantKey = false
				continue
			}
		}
		wantKey = len(stack) > 0 && stack[len(stack)-1] != nil
	}
	if top == nil {
		return nil, errors.New("it is not a JSON object")
	}
	return top, nil
}
