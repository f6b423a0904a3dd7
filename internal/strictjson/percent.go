package strictjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
)

// decodePercent decodes every string of a document that says it is percent-encoded.
func decodePercent(doc document, root *node) error {
	for _, f := range root.fields {
		if f.key != "encoding" || f.value.kind != kindString {
			continue
		}
		switch f.value.text {
		case "":
		case "percent":
			return percent{doc: doc}.walk(root)
		default:
			return doc.fail(diag.InvalidValue, f.value.offset, path{{name: "encoding"}}, fmt.Sprintf("unknown encoding %q", f.value.text), `write "percent", or leave the field out for plain JSON`)
		}
	}
	return nil
}

// percent decodes the strings of a tree in place.
type percent struct {
	doc  document
	path path
}

func (p percent) walk(n *node) error {
	if n.kind == kindString {
		s, err := p.decode(n)
		n.text = s
		return err
	}
	at := p.path
	for i := range n.items {
		p.path = append(at, step{index: i})
		if err := p.walk(&n.items[i]); err != nil {
			return err
		}
	}
	for i := range n.fields {
		p.path = append(at, step{name: n.fields[i].key})
		if err := p.walk(&n.fields[i].value); err != nil {
			return err
		}
	}
	return nil
}

func (p percent) decode(n *node) (string, error) {
	s := n.text
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			break
		}
		c, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
		if len(rest) < 2 || err != nil {
			return "", p.doc.fail(diag.BadPercentEncoding, n.offset, p.path, "a percent sign without two hexadecimal digits", "write %25 for a percent sign")
		}
		b.WriteByte(byte(c))
		s = rest[2:]
	}
	out := b.String()
	if !utf8.ValidString(out) {
		return "", p.doc.fail(diag.ControlCharacter, n.offset, p.path, "the decoded text is not UTF-8", "encode the UTF-8 form of the text")
	}
	if i := strings.IndexFunc(out, forbidden); i >= 0 {
		return "", p.doc.fail(diag.ControlCharacter, n.offset, p.path, fmt.Sprintf("the text has the control character U+%04X", out[i]), "remove it")
	}
	return out, nil
}

// forbidden says which characters no setting may have.
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f
}
