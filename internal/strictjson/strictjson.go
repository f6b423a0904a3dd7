// Package strictjson reads requests: JSON documents in which anything that is not exactly right is an error, so that a typing
// error in a setting is never silently ignored.
//
// Refused are unknown fields (names are compared exactly, case included; encoding/json does not), duplicate keys at any depth,
// text after the document, values of another type, null for a value that is not optional, numbers that do not fit, invalid
// UTF-8, and documents that are too large or too deep. Each error carries a code and names the file, line, column and the
// field's path, for example "labels[2].value".
//
// A document whose top-level field "encoding" is "percent" has percent-encoded strings: MSBuild cannot write a backslash,
// and so no JSON escape. Every string value is then decoded after parsing; keys never are. Control characters other than
// tab, line feed and carriage return are refused in such a document, as no image setting can mean them.
//
// The package keeps no state and reads no files.
package strictjson

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
)

const (
	// MaxBytes is the largest document that is read. A request names each published file in about 200 bytes, so this is room
	// for 300 000 files.
	MaxBytes = 64 << 20
	// MaxDepth is the deepest nesting; requests need 4 levels.
	MaxDepth = 64
)

// Decode reads the document data over *dst, a pointer to a struct: fields that the document has replace those of dst, lists
// and maps as a whole, and fields that it does not have stay as they are. name is the file's name for errors.
//
// The error is a *diag.Error with code GANTRY1001 (unknown field), 1002 (duplicate key), 1003 (wrong type), 1004 (malformed),
// 1005 (a value that its type refuses), 1010 (control character or not UTF-8) or 1011 (bad percent escape).
func Decode(name string, data []byte, dst any) error {
	doc := document{name: name, data: trimBOM(data)}
	if len(data) > MaxBytes {
		return diag.New(diag.MalformedJSON, fmt.Sprintf("%s: %d bytes are too many for a request; at most %d are read", name, len(data), MaxBytes),
			"check that this is the right file")
	}
	p := &parser{doc: doc}
	root, err := p.parse()
	if err != nil {
		return err
	}
	if root.kind != kindObject {
		return doc.fail(diag.WrongType, root.offset, nil, "the document is "+root.kind.String()+", not an object", "begin it with a brace")
	}
	if err := decodePercent(doc, &root); err != nil {
		return err
	}
	return newDecoder(doc).into(root, dst)
}

// trimBOM drops the byte order mark that some editors on Windows write (RFC 8259, section 8.1, allows to ignore it).
func trimBOM(data []byte) []byte {
	if strings.HasPrefix(string(data[:min(3, len(data))]), "\ufeff") {
		return data[3:]
	}
	return data
}

// document is a text and its name, which together make places in errors.
type document struct {
	name string
	data []byte
}

// fail makes an error that begins with the place of offset, and names the field when there is one.
func (d document) fail(code diag.Code, offset int, at path, what, hint string) error {
	line, column := d.place(offset)
	where := fmt.Sprintf("%s:%d:%d: ", d.name, line, column)
	if len(at) > 0 {
		where += at.String() + ": "
	}
	return diag.New(code, where+what, hint)
}

// place returns the line and the column, in characters, both from 1.
func (d document) place(offset int) (line, column int) {
	before := string(d.data[:min(offset, len(d.data))])
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// step leads from a value into a part of it: by name, or by index when there is no name.
type step struct {
	name  string
	index int
}

// path leads from the document to a value.
type path []step

// String renders a path as a person would write it: labels[2].value.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.name == "" && i > 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteByte('.')
			fallthrough
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}
