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

// Max is the largest document that is read, in bytes.
const Max = 1 << 20

// Document is a TOML document.
type Document struct {
	// Values are the library's: map[string]any for tables, []map[string]any for arrays of tables, string, int64, float64, bool, []any and
	// times.
	Values map[string]any
	// Keys are all keys and tables in their order, each with its path.
	Keys [][]string

	lines []string
}

// Error says where a document is not TOML. Line is counted from 1.
type Error struct {
	Line int
	Text string
}

// Error returns the line and the reason.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Parse reads a document. The error is an *Error.
func Parse(data []byte) (d *Document, err error) {
	if len(data) > Max {
		return nil, &Error{Line: 1, Text: fmt.Sprintf("the document has more than %d bytes", Max)}
	}
	if !utf8.Valid(data) {
		return nil, &Error{Line: 1 + strings.Count(string(data[:validPrefix(data)]), "\n"), Text: "it is not UTF-8"}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	d = &Document{Values: map[string]any{}, lines: strings.Split(text, "\n")}
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

// Line is the line of a key, counted from 1, and that of its table where the key stands in no line of its own. n counts the tables of
// that name from 0, for arrays of tables. It is for messages: a text that looks like a key inside a string of several lines is taken for
// one.
func (d *Document) Line(n int, path ...string) int {
	name, table := path[len(path)-1], strings.Join(path[:len(path)-1], ".")
	at, best := "", 1
	for i, line := range d.lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			at = strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(strings.Trim(cutComment(line), "[] \t\r"))
			if at == strings.Join(path, ".") || at == table {
				if n--; n >= -1 {
					best = i + 1
				}
			}
			continue
		}
		key, _, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		key = strings.Trim(strings.TrimSpace(key), `"'`)
		if at == table && (n < 0 || table == "") && key == name || at == "" && key == table+"."+name {
			return i + 1
		}
	}
	return best
}

func cutComment(line string) string {
	before, _, _ := strings.Cut(line, "#")
	return before
}
