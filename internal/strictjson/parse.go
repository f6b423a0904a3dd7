package strictjson

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
)

type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// node is one value of a parsed document. offset is where it begins, in bytes.
type node struct {
	kind   kind
	offset int
	text   string // a string's content, or a number or boolean as it was written
	items  []node // an array's
	fields []field
}

// field is one member of an object; offset is that of its key.
type field struct {
	key    string
	offset int
	value  node
}

// parser reads one document into nodes. RFC 8259 is the grammar; what it leaves open is refused: duplicate keys, halves of
// surrogate pairs, invalid UTF-8.
type parser struct {
	doc   document
	pos   int
	depth int
	path  path
}

func (p *parser) parse() (node, error) {
	p.space()
	n, err := p.value()
	if err != nil {
		return node{}, err
	}
	p.space()
	if p.pos < len(p.doc.data) {
		return node{}, p.fail(diag.MalformedJSON, p.pos, "more text after the end of the document", "a request is one JSON object: remove the rest")
	}
	return n, nil
}

func (p *parser) fail(code diag.Code, offset int, what, hint string) error {
	return p.doc.fail(code, offset, p.path, what, hint)
}

func (p *parser) malformed(what string) error {
	return p.fail(diag.MalformedJSON, p.pos, what, "repair the JSON there")
}

// next is the byte at the current place, and 0 at the end: a byte that is never valid where it is looked for.
func (p *parser) next() byte {
	if p.pos < len(p.doc.data) {
		return p.doc.data[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.doc.data) {
		switch p.doc.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// unexpected says what stands at the current place instead of want.
func (p *parser) unexpected(want string) error {
	if p.pos >= len(p.doc.data) {
		return p.malformed("the document ends where " + want + " is expected")
	}
	r, size := utf8.DecodeRune(p.doc.data[p.pos:])
	if r == utf8.RuneError && size < 2 {
		return p.fail(diag.ControlCharacter, p.pos, fmt.Sprintf("byte 0x%02X is not UTF-8", p.doc.data[p.pos]), "save the file as UTF-8")
	}
	return p.malformed(fmt.Sprintf("%q where %s is expected", r, want))
}

func (p *parser) value() (node, error) {
	start := p.pos
	switch c := p.next(); {
	case c == '{':
		return p.nested(p.object)
	case c == '[':
		return p.nested(p.array)
	case c == '"':
		s, err := p.str()
		return node{kind: kindString, offset: start, text: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case p.word("true"):
		return node{kind: kindBool, offset: start, text: "true"}, nil
	case p.word("false"):
		return node{kind: kindBool, offset: start, text: "false"}, nil
	case p.word("null"):
		return node{kind: kindNull, offset: start, text: "null"}, nil
	}
	return node{}, p.unexpected("a value")
}

func (p *parser) word(w string) bool {
	if len(p.doc.data)-p.pos < len(w) || string(p.doc.data[p.pos:p.pos+len(w)]) != w {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *parser) nested(parse func() (node, error)) (node, error) {
	if p.depth == MaxDepth {
		return node{}, p.malformed(fmt.Sprintf("more than %d levels of nesting", MaxDepth))
	}
	p.depth++
	defer func() { p.depth-- }()
	return parse()
}

func (p *parser) object() (node, error) {
	n := node{kind: kindObject, offset: p.pos}
	seen := map[string]bool{}
	for first := true; ; first = false {
		p.pos++ // the brace or the comma
		p.space()
		if first && p.next() == '}' {
			p.pos++
			return n, nil
		}
		f, err := p.member(seen)
		if err != nil {
			return node{}, err
		}
		n.fields = append(n.fields, f)
		switch p.space(); p.next() {
		case ',':
		case '}':
			p.pos++
			return n, nil
		default:
			return node{}, p.unexpected("a comma or a closing brace")
		}
	}
}

func (p *parser) member(seen map[string]bool) (field, error) {
	f := field{offset: p.pos}
	if p.next() != '"' {
		return f, p.unexpected("a field's name in quotes")
	}
	var err error
	if f.key, err = p.str(); err != nil {
		return f, err
	}
	p.path = append(p.path, step{name: f.key})
	defer func() { p.path = p.path[:len(p.path)-1] }()
	if seen[f.key] {
		return f, p.fail(diag.DuplicateKey, f.offset, "the same key a second time", "keep one of the two")
	}
	seen[f.key] = true
	p.space()
	if p.next() != ':' {
		return f, p.unexpected("a colon")
	}
	p.pos++
	p.space()
	f.value, err = p.value()
	return f, err
}

func (p *parser) array() (node, error) {
	n := node{kind: kindArray, offset: p.pos}
	for {
		p.pos++ // the bracket or the comma
		p.space()
		if len(n.items) == 0 && p.next() == ']' {
			p.pos++
			return n, nil
		}
		p.path = append(p.path, step{index: len(n.items)})
		item, err := p.value()
		if err != nil {
			return node{}, err
		}
		p.path = p.path[:len(p.path)-1]
		n.items = append(n.items, item)
		switch p.space(); p.next() {
		case ',':
		case ']':
			p.pos++
			return n, nil
		default:
			return node{}, p.unexpected("a comma or a closing bracket")
		}
	}
}

func (p *parser) number() (node, error) {
	start := p.pos
	p.accept('-')
	if p.next() == '0' {
		p.pos++
	} else if !p.digits() {
		return node{}, p.unexpected("a digit")
	}
	if p.accept('.') && !p.digits() {
		return node{}, p.unexpected("a digit")
	}
	if p.accept('e') || p.accept('E') {
		if !p.accept('+') {
			p.accept('-')
		}
		if !p.digits() {
			return node{}, p.unexpected("a digit")
		}
	}
	if c := p.next(); c >= '0' && c <= '9' {
		return node{}, p.malformed("a number with a leading zero")
	}
	return node{kind: kindNumber, offset: start, text: string(p.doc.data[start:p.pos])}, nil
}

func (p *parser) accept(c byte) bool {
	if p.next() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) digits() bool {
	start := p.pos
	for p.next() >= '0' && p.next() <= '9' {
		p.pos++
	}
	return p.pos > start
}

// str reads a string in quotes. Strings without escapes, which is nearly all of them, are copied in one piece.
func (p *parser) str() (string, error) {
	start := p.pos
	p.pos++
	var out []byte
	for from := p.pos; ; {
		switch c := p.next(); {
		case p.pos >= len(p.doc.data):
			p.pos = start
			return "", p.malformed("a string without a closing quote")
		case c == '"':
			s := string(append(out, p.doc.data[from:p.pos]...))
			p.pos++
			return s, nil
		case c == '\\':
			out = append(out, p.doc.data[from:p.pos]...)
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			from = p.pos
		case c == '\n' || c == '\r':
			p.pos = start
			return "", p.malformed("a string without a closing quote on its line")
		case c < ' ':
			return "", p.fail(diag.ControlCharacter, p.pos, fmt.Sprintf("control character U+%04X in a string", c), "remove it, or write it as a JSON escape")
		case c < utf8.RuneSelf:
			p.pos++
		default:
			r, size := utf8.DecodeRune(p.doc.data[p.pos:])
			if r == utf8.RuneError && size < 2 {
				return "", p.unexpected("text")
			}
			p.pos += size
		}
	}
}

// escape reads what a backslash begins.
func (p *parser) escape() (rune, error) {
	start := p.pos
	p.pos++
	c := p.next()
	if c == 'u' {
		p.pos++
		return p.unicodeEscape(start)
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	for i := range len(from) {
		if c == from[i] {
			p.pos++
			return rune(to[i]), nil
		}
	}
	p.pos = start
	return 0, p.malformed("an escape that JSON does not know")
}

func (p *parser) unicodeEscape(start int) (rune, error) {
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.word(`\u`) {
		low, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, p.fail(diag.ControlCharacter, start, "an escape that is half of a surrogate pair", "write both halves, or the character itself")
}

func (p *parser) hex4() (rune, error) {
	if len(p.doc.data)-p.pos < 4 {
		return 0, p.malformed("an escape without four hexadecimal digits")
	}
	v, err := strconv.ParseUint(string(p.doc.data[p.pos:p.pos+4]), 16, 16)
	if err != nil {
		return 0, p.malformed("an escape without four hexadecimal digits")
	}
	p.pos += 4
	return rune(v), nil
}
