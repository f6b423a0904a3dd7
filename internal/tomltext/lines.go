package tomltext

import (
	"fmt"
	"strconv"
	"strings"
)

// scanLines returns the line, counted from 1, of every table and key of a TOML document that stands in a line of its own, by its path:
// "image[1].matrix.os". What only parts of a path name, the a of [a.b] and the image of [[image]], is in the first line that does. What is no
// TOML is passed over. The library keeps the places of keys to itself.
//
// deep is the first line that has more than maxNested values or parts of a key in one another, 0 where none has. What is behind it is not
// looked at.
func scanLines(text string) (lines map[string]int, deep int) {
	s := &scanner{text: text, line: 1, lines: map[string]int{}, counts: map[string]int{}}
	for s.at < len(s.text) && s.deep == 0 {
		s.statement()
	}
	return s.lines, s.deep
}

// maxNested is how deep values and the parts of a key may stand in one another. The library reads them by calling itself.
const maxNested = 64

type scanner struct {
	text   string
	at     int
	line   int
	deep   int // the first line that is too deep
	table  string
	lines  map[string]int
	counts map[string]int // how many tables an array of tables has so far
}

// statement reads a line, or several where a value spans them.
func (s *scanner) statement() {
	s.blanks()
	switch {
	case s.at >= len(s.text):
	case s.text[s.at] == '#' || s.text[s.at] == '\n':
		s.toEnd()
	case s.text[s.at] == '[':
		s.header()
		s.toEnd()
	default:
		line := s.line
		if keys := s.keys('='); len(keys) > 0 {
			s.lines[s.path(s.table, keys, line)] = line
		}
		s.toEnd()
	}
}

func (s *scanner) blanks() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r", s.text[s.at]) >= 0 {
		s.at++
	}
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() {
	array := strings.HasPrefix(s.text[s.at:], "[[")
	s.at++
	if array {
		s.at++
	}
	keys := s.keys(']')
	if len(keys) == 0 {
		return
	}
	s.table = s.path("", keys, s.line)
	if array {
		s.mention(s.table, s.line)
		s.counts[s.table]++
		s.table = fmt.Sprintf("%s[%d]", s.table, s.counts[s.table]-1)
	}
	s.lines[s.table] = s.line
}

// path is a path of keys behind a table; an array of tables on its way means its last one.
func (s *scanner) path(table string, keys []string, line int) string {
	for i, k := range keys {
		table = strings.TrimPrefix(table+"."+k, ".")
		if i == len(keys)-1 {
			break
		}
		s.mention(table, line)
		if n := s.counts[table]; n > 0 {
			table = fmt.Sprintf("%s[%d]", table, n-1)
		}
	}
	return table
}

// mention notes a table that is named on the way to another one. The line of its own, which may come later, is the better one.
func (s *scanner) mention(table string, line int) {
	if _, known := s.lines[table]; !known {
		s.lines[table] = line
	}
}

// keys reads a dotted key up to end and passes over end.
func (s *scanner) keys(end byte) []string {
	var keys []string
	for s.at < len(s.text) {
		s.blanks()
		if s.at >= len(s.text) || s.text[s.at] == '\n' {
			break
		}
		switch c := s.text[s.at]; c {
		case end:
			s.at++
			return keys
		case '.':
			s.at++
		case '"', '\'':
			keys = append(keys, unescaped(c, s.quoted(c)))
		default:
			begin := s.at
			for s.at < len(s.text) && strings.IndexByte(" \t\r\n.\"'", s.text[s.at]) < 0 && s.text[s.at] != end {
				s.at++
			}
			keys = append(keys, s.text[begin:s.at])
		}
		if len(keys) > maxNested {
			s.deep = s.line
			break
		}
	}
	return keys
}

// unescaped is what the text in quotes means.
func unescaped(quote byte, text string) string {
	if quote == '"' && strings.Contains(text, `\`) {
		if plain, err := strconv.Unquote(`"` + text + `"`); err == nil { // Go has the escapes of TOML 1.0
			return plain
		}
	}
	return text
}

// quoted passes over a string and returns what is in it, escapes as they are written.
func (s *scanner) quoted(quote byte) string {
	long := strings.Repeat(string(quote), 3)
	end := string(quote)
	if strings.HasPrefix(s.text[s.at:], long) {
		end = long
	}
	s.at += len(end)
	begin := s.at
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '\\' && quote == '"' && s.at+1 < len(s.text):
			s.at++
		case strings.HasPrefix(s.text[s.at:], end):
			text := s.text[begin:s.at]
			s.at += len(end)
			if len(end) == 3 { // a long string may end in up to two quotes of its own
				for s.at < len(s.text) && s.text[s.at] == quote {
					s.at++
				}
			}
			return text
		}
		if s.text[s.at] == '\n' {
			s.line++
		}
		s.at++
	}
	return s.text[min(begin, len(s.text)):]
}

// toEnd passes over a value and its line's end. A bracket that is open goes on in the next line.
func (s *scanner) toEnd() {
	depth, dots := 0, 0 // dots of what may be a key of an inline table
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '"', '\'':
			s.quoted(c)
			continue
		case '[', '{':
			if depth++; depth > maxNested {
				s.deep = s.line
				return
			}
			dots = 0
		case ']', '}':
			depth--
		case '=', ',':
			dots = 0
		case '.':
			if dots++; dots >= maxNested {
				s.deep = s.line
				return
			}
		case '#':
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
			continue
		case '\n':
			s.line++
			dots = 0
			if depth <= 0 {
				s.at++
				return
			}
		}
		s.at++
	}
}
