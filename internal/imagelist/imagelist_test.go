package imagelist

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
)

var update = flag.Bool("update", false, "write what the lists of testdata are read as")

// TestLists reads each archive of testdata: the files of a repository, lines that say how it is read (load FILE, env NAME=VALUE, variable
// NAME=VALUE, repository NAME, ignore PATTERN), and in "want" the images and problems.
func TestLists(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 12 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) { testList(t, archive) })
	}
}

func testList(t *testing.T, archive string) {
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var want []byte
	at := -1
	for i, f := range a.Files {
		if f.Name == "want" {
			want, at = f.Data, i
			continue
		}
		file := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path, opt := directives(t, string(a.Comment))
	got := result(t, root, filepath.Join(root, path), opt)
	if *update {
		if at < 0 {
			at = len(a.Files)
			a.Files = append(a.Files, txtar.File{Name: "want"})
		}
		a.Files[at].Data = got
		if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func directives(t *testing.T, comment string) (path string, opt Options) {
	t.Helper()
	env := map[string]string{}
	opt.Variables = map[string]string{}
	for line := range strings.Lines(comment) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, value, _ := strings.Cut(rest, "=")
		switch word {
		case "load":
			path = rest
		case "env":
			env[name] = value
		case "variable":
			opt.Variables[name] = value
		case "repository":
			opt.Repository = rest
		case "ignore":
			opt.Ignore = append(opt.Ignore, rest)
		case "#", "":
		default:
			t.Fatalf("%q is no line of a test", line)
		}
	}
	opt.Getenv = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return path, opt
}

// result is what a list is read as, with $ROOT for the folder.
func result(t *testing.T, root, path string, opt Options) []byte {
	t.Helper()
	var b bytes.Buffer
	opt.Warn = func(text string) { b.WriteString("warning: " + text + "\n") }
	specs, err := Load(path, opt)
	if err != nil {
		for _, e := range parts(err) {
			fmt.Fprintf(&b, "%s: %v\n", diag.CodeOf(e), e)
		}
		if len(specs) > 0 {
			t.Errorf("%d images beside the error %v", len(specs), err)
		}
	}
	for _, s := range specs {
		b.WriteString(show(t, s) + "\n")
	}
	if err == nil {
		_, doubles := Doubles(specs, dockerfile.Platform{OS: "linux", Architecture: "amd64"})
		for _, e := range append(Check(specs), doubles...) {
			fmt.Fprintf(&b, "check: %s: %v\n", diag.CodeOf(e), e)
		}
	}
	return []byte(strings.NewReplacer(root, "$ROOT", filepath.Dir(root), "$UP").Replace(b.String()))
}

// parts are the errors of a join.
func parts(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// show is a spec as JSON, without what is empty.
func show(t *testing.T, s Spec) string {
	t.Helper()
	raw, err := encodeJSON(s)
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	var kept object
	for _, m := range o {
		if v := string(m.value); v != `""` && v != "null" {
			kept = append(kept, m)
		}
	}
	raw, err = withMore(struct{}{}, kept)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestParse has what is said beside a list.
func TestParse(t *testing.T) {
	tests := []struct {
		name, file, text string
		opt              Options
		want             string // name and context of the first image, or a part of the error
	}{
		{"dir", "x.toml", "[[image]]\nname = \"a\"", Options{Dir: "/other"}, "a /other"},
		{"inline tables", "x.toml", "image = [{ name = \"a\", context = \"c\", matrix = { v = [1] } }]", Options{}, "a-1 /r/c"},
		{"one table", "x.toml", "[image]\nname = \"a\"", Options{}, "begin each image with [[image]]"},
		{"list of texts", "x.toml", "image = [\"a\"]", Options{}, "begin each image with [[image]]"},
		{"no image", "x.toml", "", Options{}, "it names no image"},
		{"not UTF-8", "x.toml", "a = \"\xff\"", Options{}, "not UTF-8"},
		{"byte order mark", "m.json", "\ufeff{\"target\": {\"a\": {}}}", Options{}, "a /r"},
		{"format", "-", "services: { a: { build: b } }", Options{Format: Compose, Dir: "/r"}, "a /r/b"},
		{"no format", "-", "services: { a: { build: b } }", Options{}, "no list of images that Gantry knows"},
		{"wrong format", "x", "", Options{Format: "hcl"}, "the formats are"},
		{"git context", "b.json", `{"target": {"a": {"context": "git@example.org:a/b.git"}}}`, Options{}, "a git@example.org:a/b.git"},
		{"git by name", "b.json", `{"target": {"a": {"context": "github.com/a/b"}}}`, Options{}, "a github.com/a/b"},
		{"folder with a colon", "b.json", `{"target": {"a": {"context": "./a:b"}}}`, Options{}, "a /r/a:b"},
		{"two documents", "c.yaml", "services: {}\n---\nservices: {}", Options{}, "more than one document"},
		{"merge of itself", "c.yaml", "services:\n  a: &a\n    <<: *a\n    build: x", Options{}, "a /r/x"},
		{"no variables", "c.yaml", "services: { a: { build: \"$X\" } }", Options{}, "a /r"},
		{"scalar build", "c.yaml", "services: { a: { build: } , b: { build: 1 } }", Options{}, "b /r/1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			specs, err := Parse("/r/"+test.file, []byte(test.text), test.opt)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			if got := specs[0].Name + " " + specs[0].Context; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestLoad_tooLarge is not read at all.
func TestLoad_tooLarge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, maxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, Options{}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v", err)
	}
}

// TestSecretNames: where a secret is kept differs from machine to machine, and is nobody's business.
func TestSecretNames(t *testing.T) {
	for raw, want := range map[string]string{
		`["id=b,src=/x", "a=/home/me/key", "default"]`:                  `["a","b","default"]`,
		`[{"id": "x", "env": "TOKEN"}, {"source": "y", "target": "z"}]`: `["x","y as z"]`,
		`{"k": "/home/me", "default": null}`:                            `["default","k"]`,
		`"text"`:                                                        `"text"`,
	} {
		if got := secretNames([]byte(raw)); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}
