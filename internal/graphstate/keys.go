package graphstate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a document that is read. A builder's file has about 12 levels.
const maxDepth = 100

// checkKeys fails for what is not one JSON document and for an object that has a key twice: two readers could see different things in it.
// fold makes one of the keys that count as the same; nil is none.
func checkKeys(body []byte, fold func(string) string) error {
	if !json.Valid(body) {
		return errors.New("it is not one JSON document")
	}
	var levels []level // of all depths so far; those above depth are used again
	depth, key := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '{', '[':
			if depth == maxDepth {
				return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
			}
			if depth == len(levels) {
				levels = append(levels, level{keys: map[string]bool{}})
			}
			clear(levels[depth].keys)
			levels[depth].object, key = c == '{', c == '{'
			depth++
		case '}', ']':
			depth--
		case ',':
			key = levels[depth-1].object
		case '"':
			end := endOfString(body, i)
			if key {
				text := unquote(body[i:end])
				if fold != nil {
					text = fold(text)
				}
				if levels[depth-1].keys[text] {
					return fmt.Errorf("it has the key %.60q twice", text)
				}
				levels[depth-1].keys[text], key = true, false
			}
			i = end - 1
		}
	}
	return nil
}

// level is an object or an array that is open, and the keys so far.
type level struct {
	object bool
	keys   map[string]bool
}

// endOfString is the place behind the string that begins at i of a valid document.
func endOfString(body []byte, i int) int {
	for i++; body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote reads a valid string as a decoder does.
func unquote(quoted []byte) string {
	plain := quoted[1 : len(quoted)-1]
	if !bytes.ContainsFunc(plain, func(r rune) bool { return r == '\\' || r >= utf8.RuneSelf }) {
		return string(plain)
	}
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return string(plain) // cannot be: the document is valid
	}
	return text
}

// object is a JSON object by its exact keys, which Go's decoder into a struct does not look at.
type object map[string]json.RawMessage

// field reads one key into dst and says whether it is there.
func (o object) field(key string, dst any) (bool, error) {
	raw, ok := o[key]
	if !ok {
		return false, nil
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return false, fmt.Errorf("%q is null", key)
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return false, fmt.Errorf("%q: %w", key, err)
	}
	return true, nil
}
