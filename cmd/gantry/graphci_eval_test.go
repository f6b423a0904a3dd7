package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// expression evaluates what the CI files of docs/ci have between ${{ }} or $[ ]: functions, properties, and the operators !, >, ==, && and ||.
type expression struct {
	t      testing.TB
	words  []string
	values map[string]any // of the names that are no function
	ok     bool           // the value of succeeded()
}

var words = regexp.MustCompile(`'[^']*'|\|\||&&|==|[\w-]+|[().,>!\[\]]`)

// evaluate is the value of an expression.
func evaluate(t testing.TB, text string, values map[string]any, succeeded bool) any {
	t.Helper()
	if rest := words.ReplaceAllString(text, ""); strings.TrimSpace(rest) != "" {
		t.Fatalf("the expression %q has %q, which the test does not know", text, rest)
	}
	e := &expression{t, words.FindAllString(text, -1), values, succeeded}
	value := e.either()
	if len(e.words) > 0 {
		t.Fatalf("the expression %q has %q at its end", text, e.words)
	}
	return value
}

func (e *expression) take(word string) bool {
	if len(e.words) == 0 || e.words[0] != word {
		return false
	}
	e.words = e.words[1:]
	return true
}

func (e *expression) must(word string) {
	e.t.Helper()
	if !e.take(word) {
		e.t.Fatalf("%q is where %s should be", e.words, word)
	}
}

func (e *expression) either() any {
	value := e.both()
	for e.take("||") {
		if other := e.both(); !truth(value) {
			value = other
		}
	}
	return value
}

func (e *expression) both() any {
	value := e.compared()
	for e.take("&&") {
		if other := e.compared(); truth(value) {
			value = other
		}
	}
	return value
}

func (e *expression) compared() any {
	if e.take("!") {
		return !truth(e.property())
	}
	value := e.property()
	if e.take("==") {
		return text(value) == text(e.property())
	}
	if e.take(">") {
		a, aok := value.(float64)
		b, bok := e.property().(float64)
		if !aok || !bok {
			e.t.Fatalf("%v is compared with %v", value, b)
		}
		return a > b
	}
	return value
}

// property is a value and what follows it: .name, [0] or ['name']. What is not there is nil, as the services have it.
func (e *expression) property() any {
	value := e.value()
	for {
		switch {
		case e.take("."):
			value = member(value, e.words[0])
			e.words = e.words[1:]
		case e.take("["):
			value = member(value, strings.Trim(e.words[0], "'"))
			e.words = e.words[1:]
			e.must("]")
		default:
			return value
		}
	}
}

func member(value any, name string) any {
	switch value := value.(type) {
	case map[string]any:
		return value[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i < len(value) {
			return value[i]
		}
	}
	return nil
}

func (e *expression) value() any {
	if len(e.words) == 0 {
		e.t.Fatal("an expression ends too soon")
	}
	word := e.words[0]
	e.words = e.words[1:]
	if e.take("(") {
		var args []any
		for !e.take(")") {
			args = append(args, e.either())
			e.take(",")
		}
		return e.call(word, args)
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return n
	}
	if text, ok := strings.CutPrefix(word, "'"); ok {
		return strings.TrimSuffix(text, "'")
	}
	value, ok := e.values[word]
	if !ok {
		e.t.Fatalf("there is no %s", word)
	}
	return value
}

func (e *expression) call(name string, args []any) any {
	switch name {
	case "fromJSON":
		var value any
		if err := json.Unmarshal([]byte(fmt.Sprint(args[0])), &value); err != nil {
			e.t.Fatalf("fromJSON(%q): %v", args[0], err)
		}
		return value
	case "toJSON":
		text, err := json.Marshal(args[0])
		if err != nil {
			e.t.Fatal(err)
		}
		return string(text)
	case "succeeded":
		return e.ok
	case "cancelled", "canceled":
		return false
	case "not":
		return !truth(args[0])
	case "eq":
		return text(args[0]) == text(args[1])
	case "and":
		return truth(args[0]) && truth(args[1])
	case "or":
		return truth(args[0]) || truth(args[1])
	case "ne":
		return text(args[0]) != text(args[1])
	}
	e.t.Fatalf("there is no function %s", name)
	return nil
}

func truth(value any) bool { return value != nil && value != false && value != "" && value != 0.0 }

// text is a value in a string.
func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

var github = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// replaced puts values in place of ${{ }}. A string that is nothing else is the value itself.
func replaced(t testing.TB, s string, values map[string]any) any {
	t.Helper()
	if m := github.FindStringSubmatch(s); m != nil && m[0] == strings.TrimSpace(s) {
		return evaluate(t, m[1], values, true)
	}
	return github.ReplaceAllStringFunc(s, func(e string) string { return text(evaluate(t, e[3:len(e)-2], values, true)) })
}
