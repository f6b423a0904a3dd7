package layertoc

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// header is the first line of a list.
const header = "gantry layer contents 1\n"

// Encode writes the list: a line for each entry with its kind, its digest or "-", and path and target as Go quotes strings, a space
// between two.
func (c *Contents) Encode() []byte {
	b := []byte(header)
	for _, e := range c.Entries {
		digest := string(e.Digest)
		if digest == "" {
			digest = "-"
		}
		b = append(append(append(append(b, e.Kind...), ' '), digest...), ' ')
		b = append(strconv.AppendQuote(b, e.Path), ' ')
		b = append(strconv.AppendQuote(b, e.Target), '\n')
	}
	return b
}

var errText = errors.New("it is no list of a layer's contents")

// Parse reads what Encode writes, and nothing else.
func Parse(data []byte) ([]Entry, error) {
	rest, ok := bytes.CutPrefix(data, []byte(header))
	if !ok {
		return nil, errText
	}
	entries := make([]Entry, 0, bytes.Count(rest, []byte("\n")))
	last := ""
	for n := 2; len(rest) > 0; n++ {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		e, err := parseLine(string(line))
		if err == nil && (!found || e.Path <= last) {
			err = errText
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries, rest, last = append(entries, e), after, e.Path
	}
	if !bytes.Equal((&Contents{Entries: entries}).Encode(), data) { // quoted in another way
		return nil, errText
	}
	return entries, nil
}

func parseLine(line string) (e Entry, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	digest, rest, _ := strings.Cut(rest, " ")
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return e, errText
	}
	rest = rest[len(quoted):]
	e.Kind = Kind(kind)
	if e.Path, err = strconv.Unquote(quoted); err != nil || !strings.HasPrefix(rest, ` "`) {
		return e, errText
	}
	if e.Target, err = strconv.Unquote(rest[1:]); err != nil {
		return e, errText
	}
	if digest != "-" {
		if e.Digest, err = cas.ParseDigest(digest); err != nil {
			return e, err
		}
	}
	return e, e.check()
}

// check refuses what Read would not list.
func (e Entry) check() error {
	p := e.Path
	switch e.Kind {
	case Opaque:
		p = strings.TrimSuffix(p, "/")
		if p == e.Path {
			return errText
		}
	case File, Folder, Link, Special, Deleted:
	default:
		return errText
	}
	switch {
	case p != clean(p) || p == "" && e.Kind != Opaque || strings.Contains(p, "\x00") || path.IsAbs(p):
		return errText
	case e.Digest != "" && (e.Kind != File || e.Target != ""):
		return errText
	}
	return nil
}

func quote(s string) string { return strconv.Quote(s) }
