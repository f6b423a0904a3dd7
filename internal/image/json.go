package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits of foreign documents: registries accept manifests of up to 4 MiB; nothing legitimate nests deeply.
const (
	MaxManifestBytes = 4 << 20
	MaxConfigBytes   = 8 << 20
	maxDepth         = 64
)

// object is a JSON object with its members by exact name. encoding/json matches names without regard to case, so that two
// readers of one document could see two different images; this does not.
type object map[string]json.RawMessage

// parseDocument checks body as a whole (size, UTF-8, one document, no name twice in an object, bounded depth; RFC 7493 as
// image-spec asks for) and returns its top-level object.
func parseDocument(body []byte, limit int) (object, error) {
	if len(body) > limit {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(body), limit)
	}
	if !utf8.Valid(body) {
		return nil, errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is data after the JSON document")
	}
	return asObject(body)
}

// checkValue reads one value and refuses an object with the same name twice.
func checkValue(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return notJSON(err)
	}
	d, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if d == '{' {
			name, err := dec.Token()
			if err != nil {
				return notJSON(err)
			}
			key, _ := name.(string) // inside an object the decoder gives a string or an error
			if seen[key] {
				return fmt.Errorf("%q is there twice", key)
			}
			seen[key] = true
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return notJSON(err)
	}
	return nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("it is not JSON: %w", err)
}

func asObject(raw json.RawMessage) (object, error) {
	if first(raw) != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, notJSON(err)
	}
	return o, nil
}

// first returns the first significant byte of a JSON value, 0 when there is none.
func first(raw []byte) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// has says whether name is there with a value other than null.
func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && first(raw) != 'n'
}

// object returns the object called name; nil when it is missing or null.
func (o object) object(name string) (object, error) {
	if !o.has(name) {
		return nil, nil
	}
	v, err := asObject(o[name])
	if err != nil {
		return nil, fmt.Errorf("%q is not an object", name)
	}
	return v, nil
}

// list returns the elements of the array called name; nil when it is missing or null.
func (o object) list(name string) ([]json.RawMessage, error) {
	if !o.has(name) {
		return nil, nil
	}
	var l []json.RawMessage
	if err := json.Unmarshal(o[name], &l); err != nil {
		return nil, fmt.Errorf("%q is not a list", name)
	}
	return l, nil
}

// text returns the string called name; "" when it is missing or null.
func (o object) text(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(o[name], &s); err != nil {
		return "", fmt.Errorf("%q is not a string", name)
	}
	return s, nil
}

// texts returns the list of strings called name; nil when it is missing or null.
func (o object) texts(name string) ([]string, error) {
	raw, err := o.list(name)
	if err != nil || raw == nil {
		return nil, err
	}
	out := make([]string, len(raw))
	for i, r := range raw {
		if first(r) != '"' {
			return nil, fmt.Errorf("%q has an element that is not a string", name)
		}
		if err := json.Unmarshal(r, &out[i]); err != nil {
			return nil, fmt.Errorf("%q has an element that is not a string", name)
		}
	}
	return out, nil
}

// textMap returns the object of strings called name; nil when it is missing or null.
func (o object) textMap(name string) (map[string]string, error) {
	v, err := o.object(name)
	if err != nil || v == nil {
		return nil, err
	}
	out := make(map[string]string, len(v))
	for k := range v {
		if out[k], err = v.text(k); err != nil {
			return nil, fmt.Errorf("in %q: %w", name, err)
		}
	}
	return out, nil
}

// number returns the whole number called name, which must be there.
func (o object) number(name string) (int64, error) {
	var n int64
	if !o.has(name) {
		return 0, fmt.Errorf("%q is missing", name)
	}
	if err := json.Unmarshal(o[name], &n); err != nil {
		return 0, fmt.Errorf("%q is not a whole number", name)
	}
	return n, nil
}

// Encode writes v as compact JSON with a stable order of keys (maps sorted, structs as declared), without HTML escapes and without
// a line end: the bytes that are hashed and pushed.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
