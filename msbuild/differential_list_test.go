package msbuild

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateDifferences = flag.Bool("update", false, "write testdata/differential/differences.md")

// TestDifferences_listed holds the list that the README shows to what the cases of TestDifferential state. A difference of several
// cases is listed once.
func TestDifferences_listed(t *testing.T) {
	type line struct {
		what, why string
		cases     []string
	}
	var lines []*line
	note := func(d difference, name string) {
		if d.what == "" {
			return // part of one that differs everywhere
		}
		i := slices.IndexFunc(lines, func(l *line) bool { return l.what == d.what })
		if i < 0 {
			lines = append(lines, &line{what: d.what, why: d.why})
			i = len(lines) - 1
		}
		if lines[i].why != d.why {
			t.Errorf("%s: two reasons: %q and %q", d.what, lines[i].why, d.why)
		}
		lines[i].cases = append(lines[i].cases, "`"+name+"`")
	}
	for _, d := range differencesEverywhere {
		note(d, "*")
	}
	for _, c := range differentialCases() {
		for _, d := range c.differs {
			note(d, c.name)
		}
	}
	var text strings.Builder
	text.WriteString("| What differs | Why | Case |\n| --- | --- | --- |\n")
	for _, l := range lines {
		text.WriteString("| " + l.what + " | " + l.why + " | " + strings.ReplaceAll(strings.Join(l.cases, " "), "`*`", "all") + " |\n")
	}
	file := filepath.Join("testdata", "differential", "differences.md")
	if *updateDifferences {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text.String() {
		t.Errorf("%s is not what the cases state; run go test -run TestDifferences_listed -update", file)
	}
}
