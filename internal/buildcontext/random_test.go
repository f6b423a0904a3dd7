package buildcontext

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestFiles_naive compares random trees and patterns with a reference that looks at every file by itself. There are no links.
func TestFiles_naive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	element := func() string { return pick("a", "b", "ab", "a.c", "b.c", "*", "a*", "?", "*.c", "[ab]") }
	pattern := func() string {
		list := []string{element()}
		for r.IntN(2) == 0 {
			list = append(list, pick(element(), "**"))
		}
		return strings.Join(list, "/")
	}
	for range 200 {
		var names []string
		for range 12 {
			list := []string{pick("a", "b", "ab")}
			for r.IntN(3) > 0 {
				list = append(list, pick("a", "b", "ab"))
			}
			names = append(names, strings.Join(list, "/")+pick(".c", ".d"))
		}
		dir := tree(t, names...)
		var ignore, exclude []string
		for range r.IntN(4) {
			ignore = append(ignore, pick("", "!", "**/")+pattern())
		}
		for range r.IntN(3) {
			exclude = append(exclude, pick("", "!", "**/")+pattern())
		}
		p := Pattern{Path: strings.ReplaceAll(pattern(), "**", "*"), Exclude: exclude}
		c, err := NewStore("").Open(dir, "")
		must(t, err)
		c.ignore, err = parseIgnore("ignore", []byte(strings.Join(ignore, "\n")))
		must(t, err)
		var got []string
		entries, err := c.Files(context.Background(), []Pattern{p})
		if err != nil && diag.CodeOf(err) != diag.MissingContextFile {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Mode.IsRegular() {
				got = append(got, e.Path)
			}
		}
		slices.Sort(names)
		var want []string
		for _, name := range slices.Compact(names) {
			if naive(t, name, p, ignore) {
				want = append(want, name)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("COPY %s, exclude %q, ignore %q: %s", p.Path, exclude, ignore, d)
		}
	}
}

// naive says whether one file is read.
func naive(t *testing.T, name string, p Pattern, ignore []string) bool {
	t.Helper()
	if matches(t, name, ignore) {
		return false
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		if ok, err := path.Match(p.Path, strings.Join(parts[:i+1], "/")); err != nil {
			t.Fatal(err)
		} else if ok {
			return i+1 == len(parts) || !matches(t, strings.Join(parts[i+1:], "/"), p.Exclude)
		}
	}
	return false
}

// matches goes down from the first folder, as an exception for a folder is only one for what no pattern named before.
func matches(t *testing.T, name string, patterns []string) (ok bool) {
	t.Helper()
	m, err := patternmatcher.New(patterns)
	must(t, err)
	var info patternmatcher.MatchInfo
	parts := strings.Split(name, "/")
	for i := range parts {
		ok, info, err = m.MatchesUsingParentResults(strings.Join(parts[:i+1], "/"), info)
		must(t, err)
	}
	return ok
}

func FuzzPattern(f *testing.F) {
	dir := tree(f, files...)
	f.Add("dir/*.txt", "**/*.md", "*\n!dir", true)
	f.Add("[a-", "!", "a[", false)
	f.Add("deep/./one/**", "two", "", true)
	f.Add("/../link/x", "", "**", false)
	f.Fuzz(func(t *testing.T, path, exclude, ignore string, parents bool) {
		c, err := NewStore("").Open(dir, "")
		must(t, err)
		if c.ignore, err = parseIgnore(".dockerignore", []byte(ignore)); err != nil {
			if diag.CodeOf(err) != diag.InvalidIgnoreFile {
				t.Fatal(err)
			}
			return
		}
		p := Pattern{Path: path, Parents: parents}
		if exclude != "" {
			p.Exclude = []string{exclude}
		}
		got, err := c.Files(context.Background(), []Pattern{p})
		if err != nil && diag.CodeOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		for i, e := range got {
			if !fs.ValidPath(e.Path) || i > 0 && got[i-1].Path > e.Path {
				t.Fatalf("entries %v", got)
			}
		}
	})
}
