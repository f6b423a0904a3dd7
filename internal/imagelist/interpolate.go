package imagelist

import (
	"fmt"
	"strings"
)

// interpolation replaces variables in the values of a Compose file, by the rules of its specification: $NAME, ${NAME}, and with an operator
// :- - (default), :? ? (required) and :+ + (replacement), whose operands may have variables themselves. $$ is a dollar, and a dollar
// before anything else is itself. A variable without value and default is empty, and Compose warns of it.
type interpolation struct {
	getenv func(string) (string, bool)
	empty  func(name string) // is told of variables without value
	depth  int
}

func (in *interpolation) expand(s string) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	if in.depth++; in.depth > maxAliases {
		return "", fmt.Errorf("variables stand in one another more than %d deep", maxAliases)
	}
	defer func() { in.depth-- }()
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return b.String() + s, nil
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		switch {
		case strings.HasPrefix(s, "$"):
			b.WriteByte('$')
			s = s[1:]
		case strings.HasPrefix(s, "{"):
			end := closingBrace(s)
			if end < 0 {
				return "", fmt.Errorf("${ has no } behind it in %q", shorten(s))
			}
			value, err := in.braced(s[1:end])
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			s = s[end+1:]
		case variableLength(s) > 0:
			n := variableLength(s)
			b.WriteString(in.value(s[:n]))
			s = s[n:]
		default:
			b.WriteByte('$')
		}
	}
}

func (in *interpolation) value(name string) string {
	value, ok := in.getenv(name)
	if !ok {
		in.empty(name)
	}
	return value
}

func shorten(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "") }

// closingBrace is where the brace that s begins with is closed.
func closingBrace(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
			i++
		case s[i] == '{' && i == 0:
			depth++
		case s[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func variableLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// braced is the value of what stands in braces.
func (in *interpolation) braced(s string) (string, error) {
	n := variableLength(s)
	if n == 0 {
		return "", fmt.Errorf("${%s} does not begin with the name of a variable", shorten(s))
	}
	name, operator := s[:n], s[n:]
	if operator == "" {
		return in.value(name), nil
	}
	value, set := in.getenv(name)
	operator, nonEmpty := strings.CutPrefix(operator, ":")
	has := set && (!nonEmpty || value != "")
	if operator == "" {
		return "", fmt.Errorf("${%s} has no operator of Compose behind the name", shorten(s))
	}
	operand := operator[1:]
	switch operator[0] {
	case '-':
		if has {
			return value, nil
		}
		return in.expand(operand)
	case '+':
		if !has {
			return "", nil
		}
		return in.expand(operand)
	case '?':
		if has {
			return value, nil
		}
		text, err := in.expand(operand)
		if err != nil {
			return "", err
		}
		return "", fmt.Errorf("the variable %s has to be set: %s", name, text)
	}
	return "", fmt.Errorf("${%s} has no operator of Compose behind the name", shorten(s))
}
