package imagelist

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// seed adds the lists of testdata.
func seed(f *testing.F, extension string) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, archive := range archives {
		a, err := txtar.ParseFile(archive)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if filepath.Ext(file.Name) == extension {
				f.Add(file.Data)
			}
		}
	}
}

// fuzzList holds what any text is read as to what every list is: images with absolute paths, or coded errors.
func fuzzList(t *testing.T, name string, data []byte, opt Options) {
	if len(data) > 1<<14 {
		return
	}
	dir := t.TempDir()
	specs, err := Parse(filepath.Join(dir, name), data, opt)
	if err != nil {
		if len(specs) > 0 {
			t.Errorf("%d images and %v", len(specs), err)
		}
		for _, e := range parts(err) {
			var coded *diag.Error
			if !errors.As(e, &coded) || !strings.HasPrefix(string(coded.Code), "GANTRY60") {
				t.Errorf("an error without code: %v", e)
			}
		}
		return
	}
	for i := range specs {
		s := &specs[i]
		if s.Origin == "" || !s.Remote() && !filepath.IsAbs(s.Context) || (s.Dockerfile == "") == (s.Inline == "") {
			t.Errorf("%+v", s)
		}
	}
	if len(specs) < 1000 {
		for _, e := range Check(specs) {
			if diag.CodeOf(e) == diag.Internal {
				t.Errorf("an error without code: %v", e)
			}
		}
	}
	again, err := Parse(filepath.Join(dir, name), data, opt)
	if err != nil || len(again) != len(specs) {
		t.Errorf("the same text is read as %d images, and then %d: %v", len(specs), len(again), err)
	}
}

func FuzzGraph(f *testing.F) {
	seed(f, ".toml")
	f.Fuzz(func(t *testing.T, data []byte) { fuzzList(t, FileName, data, Options{}) })
}

func FuzzBake(f *testing.F) {
	seed(f, ".json")
	f.Fuzz(func(t *testing.T, data []byte) { fuzzList(t, "bake.json", data, Options{Format: Bake}) })
}

func FuzzDockerTools(f *testing.F) {
	seed(f, ".json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(bytes.ToLower(data), []byte("includes")) || bytes.Contains(data, []byte(`\u`)) {
			return // other files are not for a fuzzer
		}
		fuzzList(t, "manifest.json", data, Options{Format: DockerTools})
	})
}

func FuzzCompose(f *testing.F) {
	seed(f, ".yaml")
	seed(f, ".yml")
	f.Add([]byte("services: &a\n  x: *a\n"))
	f.Add([]byte("services:\n  x: &a\n    <<: *a\n    build: &b [*b]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzList(t, "compose.yaml", data, Options{Getenv: func(name string) (string, bool) { return "v" + name, len(name) > 2 }})
	})
}

func FuzzDetect(f *testing.F) {
	seed(f, ".json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.Contains(bytes.ToLower(data), []byte("includes")) && !bytes.Contains(data, []byte(`\u`)) {
			fuzzList(t, "list.json", data, Options{})
		}
	})
}

// FuzzImageInfo: what is read can be written, and what is written is read as the same.
func FuzzImageInfo(f *testing.F) {
	data, err := os.ReadFile(infoFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := ParseImageInfo("image-info.json", data)
		if err != nil {
			return
		}
		once, err := info.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseImageInfo("image-info.json", once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%v: written\n%s\nand then\n%s", err, once, twice)
		}
	})
}

func FuzzInterpolate(f *testing.F) {
	for _, s := range []string{"$A", "${A:-${B}}", "$$", "${A?x}", "${A:+$B}", "${"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := &interpolation{empty: func(string) {}, getenv: func(name string) (string, bool) { return "x", name != "B" }}
		out, err := in.expand(s)
		if err == nil && !strings.Contains(s, "$") && out != s {
			t.Errorf("%q becomes %q", s, out)
		}
		if in.depth != 0 {
			t.Errorf("%q: depth %d", s, in.depth)
		}
	})
}

func FuzzRepositoryName(f *testing.F) {
	f.Add("src/My App")
	f.Fuzz(func(t *testing.T, s string) {
		if name := repositoryName(s); len(name) < 200 && registry.ParseRepository(name) != nil {
			t.Errorf("%q makes the repository %q", s, name)
		}
	})
}

func FuzzIgnore(f *testing.F) {
	f.Add([]byte("a/\n!b\n**/c/**\n[x\n"), "a/b/c")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		rules := parseIgnore("", data)
		if ignored(rules, name, false) && !ignored(rules, name, true) && len(rules) == 1 {
			t.Errorf("%q leaves out the file %q, and not a folder of that name", data, name)
		}
	})
}

func FuzzDotenv(f *testing.F) {
	f.Add("A=1\nB='x\n' # c\nC=\"${A}\"\nexport D: $B")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseDotenv(text, func(string) (string, bool) { return "", false })
		for name := range values {
			if err != nil || name == "" || strings.ContainsAny(name, " =:\n") {
				t.Errorf("%q: %q, %v", text, values, err)
			}
		}
	})
}

func FuzzJSONLines(f *testing.F) {
	seed(f, ".json")
	f.Add([]byte(`{"a": {"b": 1}, "c": [{"d": "x"}, 2]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if wholeJSON(data) != nil {
			return
		}
		lines := 1 + bytes.Count(data, []byte("\n"))
		for path, line := range jsonLines(data, 3) {
			if line < 1 || line > lines || path == "" && !bytes.Contains(data, []byte(`""`)) {
				t.Errorf("%q is in line %d of %d", path, line, lines)
			}
		}
	})
}
