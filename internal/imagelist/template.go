package imagelist

import (
	"fmt"
	"strings"
)

// A template is a string of gantry.graph.toml. ${NAME} in it stands for a value of the matrix, ${NAME.KEY} for a key of a value that is a
// table, and ${name} for the image's own name. $${ is a plain ${, and any other $ is itself.
type template struct {
	// parts are text and names by turns, beginning with text.
	parts []string
}

func parseTemplate(s string) (template, error) {
	if !strings.Contains(s, "${") {
		return template{[]string{s}}, nil
	}
	var t template
	var text strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			text.WriteString(s)
			t.parts = append(t.parts, text.String())
			return t, nil
		}
		if i > 0 && s[i-1] == '$' {
			text.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		text.WriteString(s[:i])
		name, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed || name == "" || strings.ContainsAny(name, "${ \t\n") {
			return template{}, fmt.Errorf("%q has no name and } behind ${", s[i:min(len(s), i+20)])
		}
		t.parts = append(t.parts, text.String(), name)
		text.Reset()
		s = rest
	}
}

// plain says that there is nothing to replace.
func (t template) plain() bool { return len(t.parts) == 1 }

// expand replaces the names by values. A name without value is returned as missing.
func (t template) expand(values map[string]string) (text, missing string) {
	if t.plain() {
		return t.parts[0], ""
	}
	var room [8]string
	out := room[:0]
	for i, part := range t.parts {
		if i%2 == 1 {
			value, ok := values[part]
			if !ok {
				return "", part
			}
			part = value
		}
		out = append(out, part)
	}
	return strings.Join(out, ""), ""
}
