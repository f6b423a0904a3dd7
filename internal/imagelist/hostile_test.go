package imagelist

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// hostile is a list that is made to take all memory or all time, and what is said of it; nothing where it can be read.
type hostile struct{ file, text, want string }

// TestHostile: each ends in an error that says why, or is read.
func TestHostile(t *testing.T) {
	for name, test := range hostileLists() {
		t.Run(name, func(t *testing.T) {
			specs, err := Parse("/r/"+test.file, []byte(test.text), Options{})
			switch {
			case test.want == "":
				if err != nil || specs[0].Context != "/r/a" {
					t.Errorf("%.300v, %v", err, specs)
				}
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %.300v, want %q", err, test.want)
			case err != nil && diag.CodeOf(err) == diag.Internal:
				t.Errorf("no code: %.300v", err)
			}
		})
	}
}

func hostileLists() map[string]hostile {
	deep := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	var yamlBomb, merges, manyLines, groups, variables strings.Builder
	yamlBomb.WriteString("x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n")
	merges.WriteString("x0: &x0 { context: a }\n")
	for i := 1; i < 30; i++ {
		yamlBomb.WriteString(fmt.Sprintf("x%d: &x%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i-1), 10), ", ")))
		merges.WriteString(fmt.Sprintf("x%d: &x%d { <<: [%s] }\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i-1), 10), ", ")))
	}
	groups.WriteString(`{"group": {`)
	variables.WriteString(`{"repos": [{"name": "x", "images": []}], "variables": {"v0": "` + strings.Repeat("x", 1<<10) + `"`)
	for i := range 100 {
		if i > 0 {
			groups.WriteString(",")
		}
		groups.WriteString(fmt.Sprintf(`"g%d": {"targets": [%s]}`, i, strings.TrimSuffix(strings.Repeat(`"gone",`, 1000), ",")))
	}
	groups.WriteString(`}, "target": {"a": {}}}`)
	for i := 1; i < 40; i++ {
		variables.WriteString(fmt.Sprintf(`, "v%d": "$(v%d)$(v%d)"`, i, i-1, i-1))
	}
	variables.WriteString("}}")
	tags := strings.ReplaceAll(variables.String(), `"images": []`, `"images": [{"platforms": [{"dockerfile": "a", "os": "linux", "tags": {"$(v39)": {}}}]}]`)
	for range 10_000 {
		manyLines.WriteString("[[image]]\nname = \"a\"\nx = 1\n")
	}
	axis := func(name string, n int) string {
		return name + " = [" + strings.Repeat("1, ", n) + "]\n"
	}
	var lists strings.Builder
	for i := range 100 {
		lists.WriteString(axis(fmt.Sprintf("a%d", i), 2))
	}
	rules := strings.Repeat("{ a = \"none\" },", 1_000)
	return map[string]hostile{
		"TOML lists in lists":     {"x.toml", "a = " + deep("[", "", "]", 1_000_000), "more than"},
		"TOML tables in tables":   {"x.toml", "a = " + deep("{a=", "1", "}", 1_000_000), "more than"},
		"TOML long key":           {"x.toml", strings.Repeat("a.", 200_000) + "a = 1", "more than"},
		"TOML long inline key":    {"x.toml", "a = { " + strings.Repeat("a.", 200_000) + "a = 1 }", "more than"},
		"TOML long header":        {"x.toml", "[" + strings.Repeat("a.", 200_000) + "a]", "more than"},
		"TOML many problems":      {"x.toml", manyLines.String(), `"x" is not known`},
		"matrix":                  {"x.toml", "[[image]]\nname = \"a\"\n[image.matrix]\n" + axis("a", 1000) + axis("b", 1000), "more than 100000 images"},
		"matrix of many lists":    {"x.toml", "[[image]]\nname = \"a\"\n[image.matrix]\n" + lists.String(), "more than 100000 images"},
		"matrix with many rules":  {"x.toml", "[[image]]\nname = \"a\"\n[image.matrix]\n" + axis("a", 300) + axis("b", 300) + "exclude = [" + rules + "]", "too many"},
		"matrix with a long text": {"x.toml", "[[image]]\nname = \"a\"\nargs.X = \"" + strings.Repeat("${a}", 100_000) + "\"\n[image.matrix]\n" + axis("a", 300) + axis("b", 300), "more than"},
		"JSON lists in lists":     {"x.json", `{"target": ` + deep("[", "", "]", 1_000_000) + "}", "depth"},
		"JSON options":            {"x.json", `{"target": {"a": {"x": ` + deep("[", "", "]", 1_000_000) + "}}}", "depth"},
		"JSON groups":             {"x.json", groups.String(), `there is no target "gone"`},
		"manifest variables":      {"x.json", tags, "too long a text"},
		"YAML lists in lists":     {"x.yaml", "services: " + deep("[", "", "]", 1_000_000), "depth"},
		"YAML aliases":            {"x.yaml", yamlBomb.String() + "services: { a: { build: { context: ., labels: *x29 } } }", "excessive aliasing"},
		"YAML merges":             {"x.yaml", merges.String() + "services: { a: { build: { <<: *x29 } } }", ""},
		"variables in variables":  {"x.yaml", "services: { a: { build: \"" + deep("${A:-", "", "}", 100_000) + "\" } }", "deep"},
	}
}
