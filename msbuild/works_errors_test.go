package msbuild

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// msbuildError is how an error looks in MSBuild's output, from wherever it comes; a coded one has the submatch.
var msbuildError = regexp.MustCompile(`: error ?([A-Z]+[0-9]+)? ?: `)

// errorLines are the lines of a build's output with an error, before the summary that repeats them.
func errorLines(output string) []string {
	output, _, _ = strings.Cut(output, "\nBuild FAILED.")
	var lines []string
	for line := range strings.Lines(output) {
		if msbuildError.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// wantError checks that a build failed with exactly one error line, which has a code and a text.
func wantError(t *testing.T, r testenv.Result, code string, texts ...string) {
	t.Helper()
	lines := errorLines(r.Output)
	if r.Code == 0 || len(lines) != 1 {
		t.Fatalf("got exit code %d and %d error lines, want one %s\n%s", r.Code, len(lines), code, r.Output)
	}
	if m := msbuildError.FindStringSubmatch(lines[0]); m[1] != code {
		t.Errorf("got %s\nwant the code %s", lines[0], code)
	}
	for _, text := range texts {
		if !strings.Contains(lines[0], text) {
			t.Errorf("got %s\nwant %q in it", lines[0], text)
		}
	}
}
