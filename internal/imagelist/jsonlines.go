package imagelist

import "strconv"

// jsonLines returns the line, counted from 1, of the keys and elements of a JSON document down to a depth, by their paths:
// "target.app", "repos[0].images[1].platforms[0]". The document is one that the library has read.
func jsonLines(data []byte, depth int) map[string]int {
	lines := map[string]int{}
	addJSONLines(lines, "", data, depth)
	return lines
}

// addJSONLines adds those of a document whose paths have a prefix.
func addJSONLines(lines map[string]int, prefix string, data []byte, depth int) {
	s := &jsonScanner{data: data, line: 1, depth: depth, prefix: prefix, lines: lines}
	s.value("", 0)
}

type jsonScanner struct {
	data  []byte
	at    int
	line  int
	depth int
	// prefix stands before all paths.
	prefix string
	lines  map[string]int
}

// value passes over a value. What is too deep is passed over without looking at its keys, in a loop.
func (s *jsonScanner) value(path string, depth int) {
	s.blanks()
	switch {
	case s.at >= len(s.data):
	case depth >= s.depth || s.data[s.at] != '{' && s.data[s.at] != '[':
		s.skip()
	default:
		s.members(path, depth, s.data[s.at] == '{')
	}
}

func (s *jsonScanner) members(path string, depth int, object bool) {
	s.at++
	for k := 0; ; k++ {
		s.blanks()
		if s.at >= len(s.data) || s.data[s.at] == '}' || s.data[s.at] == ']' {
			s.at++
			return
		}
		at, line := "", s.line
		if object {
			at = join(path, s.text())
			s.blanks() // :
		} else {
			at = path + "[" + strconv.Itoa(k) + "]"
		}
		s.lines[s.prefix+at] = line
		s.value(at, depth+1)
	}
}

// blanks passes over what stands between values.
func (s *jsonScanner) blanks() {
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\n':
			s.line++
		case ' ', '\t', '\r', ',', ':':
		default:
			return
		}
	}
}

// text passes over a string and returns it.
func (s *jsonScanner) text() string {
	begin := s.at
	for s.at++; s.at < len(s.data) && s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at = min(s.at+1, len(s.data))
	text, err := strconv.Unquote(string(s.data[begin:s.at]))
	if err != nil { // an escape that Go does not have
		return string(s.data[min(begin+1, s.at):max(begin+1, s.at-1)])
	}
	return text
}

// skip passes over a value of any kind.
func (s *jsonScanner) skip() {
	for open := 0; s.at < len(s.data); {
		switch c := s.data[s.at]; c {
		case '"':
			s.text()
			if open == 0 {
				return
			}
			continue
		case '{', '[':
			open++
		case '}', ']':
			if open--; open < 0 {
				return // the end of what is around a number
			}
			if open == 0 {
				s.at++
				return
			}
		case ',':
			if open == 0 {
				return
			}
		case '\n':
			s.line++
		}
		s.at++
	}
}
