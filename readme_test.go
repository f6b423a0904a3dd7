// Package gantry_test holds the README to the code: its tables are generated from the stages, the codes and the differential test
// (go test . -update), and the properties that it names are those of the targets.
package gantry_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/settings"
	"github.com/gantry-build/gantry/tasks/runner"
)

var update = flag.Bool("update", false, "write the generated parts of README.md")

func TestReadme_generatedParts(t *testing.T) {
	readme := read(t, "README.md")
	want := readme
	for name, text := range map[string]string{
		"stages":      stageTable(),
		"codes":       codeTable(),
		"settings":    settingsTable(),
		"listkeys":    listTable(),
		"differences": read(t, "msbuild/testdata/differential/differences.md"),
		"bench":       read(t, "bench/summary.md"),
	} {
		want = replacePart(t, want, name, text)
	}
	if want == readme {
		return
	}
	if !*update {
		t.Fatal("README.md is not current: run go test . -update")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replacePart(t *testing.T, text, name, part string) string {
	t.Helper()
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
	i, j := strings.Index(text, begin), strings.Index(text, end)
	if i < 0 || j < i {
		t.Fatalf("README.md has no part %s", name)
	}
	return text[:i+len(begin)] + strings.TrimSpace(part) + "\n" + text[j:]
}

func stageTable() string {
	var b strings.Builder
	b.WriteString("| stage | what it does | reads | writes | runs again when |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range runner.Stages() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Summary, s.Reads, s.Writes, s.RunsWhen)
	}
	return b.String()
}

func codeTable() string {
	var b strings.Builder
	b.WriteString("| code | kind | meaning | what to do |\n| --- | --- | --- | --- |\n")
	for _, e := range diag.Table {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Code, e.Kind, e.Meaning, e.Remedy)
	}
	return b.String()
}

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| setting | variable | property | value | default | what it is |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, s := range settings.Table {
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s | %s | %s |\n", s.Name, s.Env(), s.Property(), s.Kind, s.Default, s.Meaning)
	}
	return b.String()
}

func listTable() string {
	var b strings.Builder
	b.WriteString("| key of an image | value | in [defaults] | what it is |\n| --- | --- | --- | --- |\n")
	for _, k := range imagelist.Table {
		defaults := ""
		if k.Defaults {
			defaults = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, k.Kind, defaults, strings.ReplaceAll(k.Meaning, "${...}", "`${…}`"))
	}
	return b.String()
}

// The list of images in the README is one, and makes what it says.
func TestReadme_imageList(t *testing.T) {
	_, rest, _ := strings.Cut(read(t, "README.md"), "```toml\n#:schema")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README.md has no list of images")
	}
	specs, err := imagelist.Parse("/repo/"+imagelist.FileName, []byte("#"+text), imagelist.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range specs {
		got = append(got, s.Name)
		if len(s.Platforms) != 2 || *s.Args["MIRROR"] != "mirror.example.org" {
			t.Errorf("%+v", s)
		}
	}
	want := []string{"base", "tool-lint-bookworm", "tool-lint-alpine", "tool-format-bookworm", "tool-fix-alpine"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if last := specs[4]; last.Tags[0] != "registry.example.org/fix:0.1.0-alpine" || *last.Args["LIBC"] != "musl" || *specs[1].Args["LIBC"] != "glibc" {
		t.Errorf("%+v", last)
	}
}

// The targets' public properties are those that the README lists, no more and no fewer.
func TestReadme_properties(t *testing.T) {
	used := map[string]bool{}
	for _, file := range targetsFiles(t) {
		text := regexp.MustCompile(`(?s)<!--.*?-->`).ReplaceAllString(read(t, file), "")
		for _, m := range regexp.MustCompile(`\$\((Gantry[A-Z]\w+)\)`).FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
	}
	for _, internal := range []string{"GantryVersion", "GantryBaseReference", "GantryOutputRegistry"} { // set by the package itself
		delete(used, internal)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(Gantry\\w+)` \\|").FindAllStringSubmatch(read(t, "README.md"), -1) {
		listed[m[1]] = true
	}
	for _, s := range settings.Table { // in their own table
		listed[s.Property()] = true
	}
	for name := range used {
		if !listed[name] {
			t.Errorf("README.md does not list %s", name)
		}
	}
	for name := range listed {
		if !used[name] {
			t.Errorf("README.md lists %s, which no target uses", name)
		}
	}
}

// Codes that the targets raise themselves are in the table, and so are those in the code's constants.
func TestCodes_areInTheTable(t *testing.T) {
	var table []string
	for _, e := range diag.Table {
		table = append(table, string(e.Code))
	}
	table = append(table, "CONTAINERS0666") // the SDK's own text
	files := append(targetsFiles(t), "internal/diag/codes.go")
	for _, file := range files {
		for _, m := range regexp.MustCompile(`"((?:GANTRY|CONTAINERS?)\d+)"`).FindAllStringSubmatch(read(t, file), -1) {
			if !slices.Contains(table, m[1]) {
				t.Errorf("%s: %s is not in diag.Table", file, m[1])
			}
		}
	}
	for i := 1; i < len(table)-1; i++ {
		if table[i-1] >= table[i] {
			t.Errorf("diag.Table: %s stands before %s", table[i-1], table[i])
		}
	}
}

func targetsFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"targets/build/*", "targets/buildMultiTargeting/*", "targets/gantry/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
