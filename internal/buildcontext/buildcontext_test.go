package buildcontext

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree writes files: "dir/", "link -> target", or a path whose content is the path itself.
func tree(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, link, isLink := strings.Cut(f, " -> ")
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case isLink:
			must(t, os.Symlink(link, path))
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		default:
			must(t, os.WriteFile(path, []byte(name), 0o644))
		}
	}
	return dir
}

func write(t testing.TB, text string, path ...string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(path...), []byte(text), 0o644))
}

// show is one line an entry; a file shows whose content it has.
func show(entries []Entry, contents ...string) string {
	by := map[cas.Digest]string{}
	for _, c := range contents {
		by[cas.DigestOf([]byte(c))] = c
	}
	var lines []string
	for _, e := range entries {
		s := e.Path
		switch {
		case e.Mode.IsDir():
			s += "/"
		case e.Mode&fs.ModeSymlink != 0:
			s += " -> " + e.Link
		case by[e.Digest] != e.Path:
			s += " = " + by[e.Digest]
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

var files = []string{
	"a.txt", "b.txt", "c.md", "[x].txt", "dir/a.txt", "dir/sub/b.md", "dir/sub/c.txt", "dir/empty/", "dir2/a.txt",
	"link -> a.txt", "dirlink -> dir", "abs -> /dir/a.txt", "out -> ../../../../../../a.txt", "broken -> nowhere", "dir/up -> ../b.txt",
	"chain -> link", "loop -> loop", "deep/one/two/x.c", "deep/one/y.c", "deep/z.c", "deep/one/two/x.h", "abs2/link -> /a.txt", "abs2/up -> ../../b.txt",
}

var fileTests = []struct {
	name     string
	ignore   string
	patterns []Pattern
	want     string // lines, or "error" and a part of its text
}{
	{"a file", "", []Pattern{{Path: "a.txt"}}, "a.txt"},
	{"rooted", "", []Pattern{{Path: "/a.txt"}}, "a.txt"},
	{"out of the context", "", []Pattern{{Path: "../../a.txt"}}, "a.txt"},
	{"twice", "", []Pattern{{Path: "a.txt"}, {Path: "./a.txt"}}, "a.txt"},
	{"missing", "", []Pattern{{Path: "nope", Where: "Dockerfile:7"}}, `error Dockerfile:7: "nope" is not in`},
	{"a folder", "", []Pattern{{Path: "dir/"}}, "dir/\ndir/a.txt\ndir/empty/\ndir/sub/\ndir/sub/b.md\ndir/sub/c.txt\ndir/up -> ../b.txt"},
	{"wildcard", "", []Pattern{{Path: "*.txt"}}, "[x].txt\na.txt\nb.txt"},
	{"wildcard of nothing", "", []Pattern{{Path: "*.nope"}, {Path: "a.txt/*"}}, ""},
	{"wildcard in a folder that is not there", "", []Pattern{{Path: "nope/*"}}, `error "nope" is not in`}, // what copies looks into it first
	{"wildcard in a folder that is ignored", "dir", []Pattern{{Path: "dir/*"}}, `error leaves it out`},
	{"wildcard in a folder", "", []Pattern{{Path: "dir/s*/*.md"}}, "dir/sub/b.md"},
	{"wildcard matches folders", "", []Pattern{{Path: "dir?"}}, "dir2/\ndir2/a.txt"},
	{"wildcard matches one element", "", []Pattern{{Path: "*/a.txt"}}, "dir/a.txt\ndir2/a.txt\ndirlink/a.txt = dir/a.txt"},
	{"two stars are one without parents", "", []Pattern{{Path: "deep/**/x.c"}}, ""},
	{"class", "", []Pattern{{Path: "[ab].txt"}}, "a.txt\nb.txt"},
	{"escaped without wildcards is plain", "", []Pattern{{Path: `\[x].txt`}}, `error "\\[x].txt" is not in`},
	{"escaped bracket", "", []Pattern{{Path: `[[]x].txt`}}, "[x].txt"},
	{"bad class", "", []Pattern{{Path: "a[.txt", Where: "D:1"}}, "error D:1"},
	{
		"a link is followed", "",
		[]Pattern{{Path: "link"}, {Path: "chain"}, {Path: "abs"}, {Path: "out"}, {Path: "abs2/*"}},
		"abs = dir/a.txt\nabs2/link = a.txt\nabs2/up = b.txt\nchain = a.txt\nlink = a.txt\nout = a.txt",
	},
	{"a link to a folder", "", []Pattern{{Path: "dirlink/sub"}}, "dirlink/sub/\ndirlink/sub/b.md = dir/sub/b.md\ndirlink/sub/c.txt = dir/sub/c.txt"},
	{"a link at the end of a wildcard", "", []Pattern{{Path: "lin*"}}, "link = a.txt"},
	{"a link on the way of a wildcard", "", []Pattern{{Path: "dirl*/a.txt"}}, "dirlink/a.txt = dir/a.txt"}, // buildah follows it
	{"links on the way that lead nowhere", "", []Pattern{{Path: "[blo]*/*"}}, ""},
	{"a link before the wildcard", "", []Pattern{{Path: "dirlink/*.txt"}}, "dirlink/a.txt = dir/a.txt"},
	{"a broken link", "", []Pattern{{Path: "broken"}}, "error is not in"},
	{"a broken link of a wildcard", "", []Pattern{{Path: "brok*"}}, "error is not in"},
	{"a circle", "", []Pattern{{Path: "loop"}}, "error 255 links"},
	{
		"both ways", "",
		[]Pattern{{Path: "dir"}, {Path: "dir/up"}},
		"dir/\ndir/a.txt\ndir/empty/\ndir/sub/\ndir/sub/b.md\ndir/sub/c.txt\ndir/up = b.txt\ndir/up -> ../b.txt",
	},
	{"literal", "", []Pattern{{Path: "[x].txt", Literal: true}, {Path: "*.txt", Literal: true}}, "error \"*.txt\" is not in"},
	{"exclude", "", []Pattern{{Path: "dir", Exclude: []string{"*.txt", "sub/*.md"}}}, "dir/\ndir/empty/\ndir/sub/\ndir/sub/c.txt\ndir/up -> ../b.txt"},
	{"exclude is for what is in a folder", "", []Pattern{{Path: "a.txt", Exclude: []string{"*"}}, {Path: "?.md", Exclude: []string{"*"}}}, "a.txt\nc.md"},
	{"exclude everywhere", "", []Pattern{{Path: "deep", Exclude: []string{"**/*.c"}}}, "deep/\ndeep/one/\ndeep/one/two/\ndeep/one/two/x.h"},
	{"exclude a folder but one", "", []Pattern{{Path: "deep", Exclude: []string{"one", "!one/y.c"}}}, "deep/\ndeep/one/\ndeep/one/y.c\ndeep/z.c"},
	{
		"exclude of wildcards", "",
		[]Pattern{{Path: "dir*", Exclude: []string{"*.txt", "sub"}}},
		"dir/\ndir/empty/\ndir/up -> ../b.txt\ndir2/\ndirlink/\ndirlink/empty/\ndirlink/up -> ../b.txt",
	},
	{"parents", "", []Pattern{{Path: "deep/one/y.c", Parents: true}}, "deep/\ndeep/one/\ndeep/one/y.c"},
	{
		"parents everywhere", "",
		[]Pattern{{Path: "deep/**/*.c", Parents: true}},
		"deep/\ndeep/one/\ndeep/one/two/\ndeep/one/two/x.c\ndeep/one/y.c\ndeep/z.c",
	},
	{"parents, pivot", "", []Pattern{{Path: "deep/./one/*.c", Parents: true}}, "deep/\ndeep/one/\ndeep/one/y.c"},
	{"parents, exclude", "", []Pattern{{Path: "deep/**", Parents: true, Exclude: []string{"**/two"}}}, "deep/\ndeep/one/\ndeep/one/y.c\ndeep/z.c"},
	{"parents, missing", "", []Pattern{{Path: "deep/nope.c", Parents: true}}, "error is not in"},
	{"parents, nothing", "", []Pattern{{Path: "deep/*.nope", Parents: true}}, ""},
	{"ignored", "a.txt", []Pattern{{Path: "*.txt"}}, "[x].txt\nb.txt"},
	{"ignored by name", "a.txt", []Pattern{{Path: "a.txt"}}, "error leaves it out"},
	{"ignored everywhere", "**/*.txt", []Pattern{{Path: "dir"}}, "dir/\ndir/empty/\ndir/sub/\ndir/sub/b.md\ndir/up -> ../b.txt"},
	{"ignored folder", "dir", []Pattern{{Path: "dir*"}}, "error is not in"}, // dirlink leads there
	{"ignored target of a link", "a.txt", []Pattern{{Path: "link"}}, "error is not in"},
	{"taken back", "*\n!dir/sub/*.md\n", []Pattern{{Path: "."}}, "dir/\ndir/sub/\ndir/sub/b.md"},
	{"taken back and ignored again", "*\n!dir\ndir/sub", []Pattern{{Path: "."}}, "dir/\ndir/a.txt\ndir/empty/\ndir/up -> ../b.txt"},
	{"taken back, all of a folder", "*\n!dir/sub/**\n", []Pattern{{Path: "."}}, "dir/\ndir/sub/\ndir/sub/b.md\ndir/sub/c.txt"},
	{"comments", "# a.txt\n\n  /b.txt  \n", []Pattern{{Path: "?.txt"}}, "a.txt"},
	{"bad ignore file", "ok\n\na[\n", []Pattern{{Path: "."}}, "error .dockerignore:3"},
	{"bad exception", "!\n", []Pattern{{Path: "."}}, "error .dockerignore:1"},
}

func TestFiles(t *testing.T) {
	dir := tree(t, files...)
	for _, test := range fileTests {
		t.Run(test.name, func(t *testing.T) {
			ignore := filepath.Join(dir, ".dockerignore")
			if test.ignore != "" {
				write(t, test.ignore, ignore)
				defer os.Remove(ignore)
			}
			c, err := NewStore("").Open(dir, "")
			var got []Entry
			if err == nil {
				got, err = c.Files(context.Background(), test.patterns)
			}
			if text, ok := strings.CutPrefix(test.want, "error "); ok {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Fatalf("got %q, %v; want %q", show(got, files...), err, text)
				}
				return
			}
			must(t, err)
			var kept []Entry
			for _, e := range got {
				if e.Path != ".dockerignore" {
					kept = append(kept, e)
				}
			}
			if d := cmp.Diff(test.want, show(kept, files...)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestFiles_circles: links to the folder that they are in make many ways of many wildcards.
func TestFiles_circles(t *testing.T) {
	dir := tree(t, "f", "l1 -> .", "l2 -> .", "l3 -> .", "l4 -> .", "l5 -> .", "l6 -> .")
	c, err := NewStore("").Open(dir, "")
	must(t, err)
	list, err := c.Files(context.Background(), []Pattern{{Path: "*/f"}, {Path: strings.Repeat("*/", 20) + "*"}})
	must(t, err)
	if len(list) == 0 || len(list) > 100*maxFollowed {
		t.Errorf("%d entries", len(list))
	}
}

func TestIgnoreFile_which(t *testing.T) {
	dir := tree(t, "a", "b", "Dockerfile", "sub/Dockerfile", ".dockerignore")
	write(t, "a\n.*\nDocker*\nsub", dir, ".dockerignore")
	write(t, "b\n.*\nDocker*\nsub", dir, "Dockerfile.dockerignore")
	write(t, "", dir, "sub", "Dockerfile.dockerignore")
	for dockerfile, want := range map[string]string{
		"":                "b",
		"Dockerfile":      "a",
		"none.Dockerfile": "b",
		"sub/Dockerfile":  ".dockerignore = ?\n.dockerignore = ?\nDockerfile\nDockerfile.dockerignore = ?\na\nb\nsub/\nsub/Dockerfile\nsub/Dockerfile.dockerignore = ?",
	} {
		path := dockerfile
		if path != "" {
			path = filepath.Join(dir, dockerfile)
		}
		c, err := NewStore("").Open(dir, path)
		must(t, err)
		got, err := c.Files(context.Background(), []Pattern{{Path: "/"}})
		must(t, err)
		if d := cmp.Diff(strings.ReplaceAll(want, "?", ""), show(got, "a", "b", "Dockerfile", "sub/Dockerfile")); d != "" {
			t.Errorf("%s: %s", dockerfile, d)
		}
	}
	write(t, strings.Repeat("#", 17<<20), dir, ".dockerignore")
	if _, err := NewStore("").Open(dir, ""); diag.CodeOf(err) != diag.InvalidIgnoreFile {
		t.Errorf("a huge ignore file: %v", err)
	}
	if _, err := NewStore("").Open(filepath.Join(dir, "nope"), ""); diag.CodeOf(err) != diag.UnreadableContext {
		t.Errorf("a missing folder: %v", err)
	}
}

// all returns what a fresh look at a folder sees.
func all(t *testing.T, s *Store, dir string) []Entry {
	t.Helper()
	c, err := s.Open(dir, "")
	must(t, err)
	list, err := c.Files(context.Background(), []Pattern{{Path: "."}})
	must(t, err)
	return list
}

// TestFiles_change: bytes, modes, names and links count, times and owners do not.
func TestFiles_change(t *testing.T) {
	dir := tree(t, "a", "d/b", "l -> a")
	before := all(t, NewStore(""), dir)
	for _, test := range []struct {
		name    string
		do      func() error
		changes bool
	}{
		{"time", func() error { return os.Chtimes(filepath.Join(dir, "a"), time.Unix(1, 0), time.Unix(1, 0)) }, false},
		{"bytes", func() error { return os.WriteFile(filepath.Join(dir, "a"), []byte("b"), 0o644) }, true},
		{"mode of a file", func() error { return os.Chmod(filepath.Join(dir, "d/b"), 0o600) }, true},
		{"mode of a folder", func() error { return os.Chmod(filepath.Join(dir, "d"), 0o700) }, true},
		{"set-user bit", func() error { return os.Chmod(filepath.Join(dir, "a"), 0o644|fs.ModeSetuid) }, true},
		{"name", func() error { return os.Rename(filepath.Join(dir, "d/b"), filepath.Join(dir, "d/c")) }, true},
		{"empty folder", func() error { return os.Mkdir(filepath.Join(dir, "e"), 0o755) }, true},
		{"mode of the root", func() error { return os.Chmod(dir, 0o700) }, false},
		{"link", func() error {
			return os.Remove(filepath.Join(dir, "l"))
		}, true},
	} {
		must(t, test.do())
		after := all(t, NewStore(""), dir)
		if same := cmp.Equal(before, after); same == test.changes {
			t.Errorf("%s: %v", test.name, after)
		}
		before = after
	}
}

func TestFiles_unreadable(t *testing.T) {
	dir := tree(t, "a", "b")
	c, err := NewStore("").Open(dir, "")
	must(t, err)
	if _, err = c.Files(context.Background(), []Pattern{{Path: "a"}}); err != nil {
		t.Fatal(err)
	}
	write(t, "longer than it was", dir, "b")
	c2, err := NewStore("").Open(dir, "")
	must(t, err)
	c2.mu.Lock()
	_, err = c2.at("b")
	c2.mu.Unlock()
	must(t, err)
	write(t, "short", dir, "b")
	if _, err = c2.Files(context.Background(), []Pattern{{Path: "b"}}); diag.CodeOf(err) != diag.UnreadableContext {
		t.Errorf("a file that changes: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Files(ctx, []Pattern{{Path: "b"}}); err == nil {
		t.Error("a cancelled context was read")
	}
}
