package imagelist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// object is a JSON object whose members keep their order, which encoding/json forgets.
type object []member

type member struct {
	key   string
	value json.RawMessage
}

// jsonError is an error with its place in the document.
type jsonError struct {
	offset int
	text   string
}

func (e *jsonError) Error() string { return e.text }

func jsonText(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }

// get is the value of a key.
func (o object) get(key string) (json.RawMessage, bool) {
	for _, m := range o {
		if m.key == key {
			return m.value, true
		}
	}
	return nil, false
}

// parseObject reads a document that is one object. Keys that come twice are an error: the tools take the last one silently.
func parseObject(data []byte) (object, error) {
	if err := wholeJSON(data); err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, located(err)
	}
	return o, nil
}

// wholeJSON says where a document is not JSON.
func wholeJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return located(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &jsonError{int(d.InputOffset()), "there is text behind the document"}
	}
	return nil
}

func located(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &jsonError{int(syntax.Offset) - 1, syntax.Error()}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &jsonError{1 << 62, "the document ends too early"}
	}
	return err
}

// UnmarshalJSON reads an object; null is one without members.
func (o *object) UnmarshalJSON(data []byte) error {
	if string(bytes.TrimSpace(data)) == "null" {
		*o = nil
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not an object")
	}
	*o = object{}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return errors.New("a key is not a string")
		}
		if seen[key] {
			return fmt.Errorf("the key %q is there twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, member{key, value})
	}
	return nil
}

// compact is a value as the shortest JSON with sorted keys: equal values have equal text.
func compact(raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return string(raw)
	}
	return compactValue(v)
}

func compactValue(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// into reads a value of a list into dst, and tells what is wrong with it.
func (p *problems) into(where string, raw json.RawMessage, dst any, want string) bool {
	if err := json.Unmarshal(raw, dst); err != nil {
		why := jsonText(err)
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			why = "it is " + article(wrong.Value)
			if wrong.Field != "" {
				where, want = join(where, wrong.Field), jsonKind(wrong.Type)
			}
		}
		p.invalid(where, "it has to be %s: %s", want, why)
		return false
	}
	return true
}

func article(noun string) string {
	if strings.HasPrefix(noun, "a") || strings.HasPrefix(noun, "o") {
		return "an " + noun
	}
	return "a " + noun
}

// jsonKind is what JSON calls the values of a type.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonKind(t.Elem())
	case reflect.Slice:
		if t != reflect.TypeFor[object]() {
			return "an array"
		}
	case reflect.String:
		return "a string"
	case reflect.Int64:
		return "a number"
	}
	return "an object"
}
