// Package tomltext reads TOML documents so that what is wrong in them can be said with a line.
//
// The library's own decoding into structs tells the line of a syntax error and of a wrong type, but not that of a key that nobody
// knows. So documents are read into plain maps, and the lines of their keys are found in the text.
package tomltext

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Max is the largest configuration file that is read, in bytes.
const Max = 1 << 20

// Document is a TOML document.
type Document struct {
	// Values are the library's: map[string]any for tables, []map[string]any for arrays of tables, string, int64, float64, bool, []any and
	// times.
	Values map[string]any
	// Keys are all keys and tables in their order, each with its path.
	Keys [][]string

	lines map[string]int // by path, "image[1].matrix.os"
}

// Error says where a document is not TOML. Line is counted from 1.
type Error struct {
	Line int
	Text string
}

// Error returns the line and the reason.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Parse reads a document of at most limit bytes. The error is an *Error.
func Parse(data []byte, limit int) (d *Document, err error) {
	if len(data) > limit {
		return nil, &Error{Line: 1, Text: fmt.Sprintf("the document has more than %d bytes", limit)}
	}
	if !utf8.Valid(data) {
		return nil, &Error{Line: 1 + strings.Count(string(data[:validPrefix(data)]), "\n"), Text: "it is not UTF-8"}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	lines, deep := scanLines(text) // before the library, which calls itself
	if deep > 0 {
		return nil, &Error{Line: deep, Text: fmt.Sprintf("values or the parts of a key stand in one another more than %d deep", maxNested)}
	}
	d = &Document{Values: map[string]any{}, lines: lines}
	meta, err := toml.Decode(text, &d.Values)
	if err != nil {
		out := &Error{Line: 1, Text: strings.TrimPrefix(err.Error(), "toml: ")}
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			out.Line, out.Text = max(1, syntax.Position.Line), syntax.Message
		}
		return nil, out
	}
	for _, k := range meta.Keys() {
		d.Keys = append(d.Keys, k)
	}
	return d, nil
}

// validPrefix is the number of bytes before the first that is not UTF-8.
func validPrefix(data []byte) int {
	n := 0
	for n < len(data) {
		r, size := utf8.DecodeRune(data[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// Line is the line, counted from 1, of a key or table, or that of the nearest table around it where it stands in no line of its own. path is
// "cache.dir" or, with the numbers of tables of an array from 0, "registry[1].mirror[0].location".
func (d *Document) Line(path string) int {
	for at := path; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if line, known := d.lines[at]; known {
			return line
		}
	}
	return 1
}
