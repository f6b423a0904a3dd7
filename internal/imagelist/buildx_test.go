package imagelist

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/testenv"
)

// printed is what docker buildx bake --print makes of a file of testdata/buildx, in the folder that paths begin in.
func printed(t *testing.T, dir, file string, env ...string) map[string]Spec {
	t.Helper()
	testenv.Require(t, "docker-buildx")
	program, err := testenv.Look("docker-buildx")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "bake", "-f", file, "--print")
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	specs, err := Parse(filepath.Join(dir, "bake.json"), out, Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return byName(specs)
}

func byName(specs []Spec) map[string]Spec {
	all := map[string]Spec{}
	for _, s := range specs {
		all[s.Name] = s
	}
	return all
}

// given are the arguments with a value.
func given(s Spec) map[string]string {
	all := map[string]string{}
	for name, value := range s.Args {
		if value != nil {
			all[name] = *value
		}
	}
	return all
}

// TestCompose_asBuildx reads a Compose file as Compose's own library does, which buildx has: anchors, merges, types of YAML, .env, variables.
func TestCompose_asBuildx(t *testing.T) {
	dir, err := filepath.Abs("testdata/buildx")
	if err != nil {
		t.Fatal(err)
	}
	want := printed(t, dir, "compose.yaml", "FROM_ENV=e")
	specs, err := Load(filepath.Join(dir, "compose.yaml"), Options{Getenv: func(name string) (string, bool) { return "e", name == "FROM_ENV" }})
	if err != nil {
		t.Fatal(err)
	}
	got := byName(specs)
	if len(got) != 3 || len(want) != 3 {
		t.Fatalf("got %d images, want %d", len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if d := cmp.Diff(given(w), given(g)); d != "" {
			t.Errorf("arguments of %s (- buildx, + Gantry):\n%s", name, d)
		}
		w.Dockerfile = map[bool]string{true: "", false: w.Dockerfile}[w.Inline != ""]
		for what, pair := range map[string][2]string{
			"context": {w.Context, g.Context}, "Dockerfile": {w.Dockerfile, g.Dockerfile}, "inline": {w.Inline, g.Inline}, "target": {w.Target, g.Target},
			"labels": {w.Options["labels"], g.Options["labels"]}, "docs": {w.Contexts["docs"], g.Contexts["docs"]}, "go": {w.Contexts["go"], g.Contexts["go"]},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s of %s: got %q, want %q", what, name, pair[1], pair[0])
			}
		}
	}
}

// TestBake_asBuildx reads what buildx itself prints of a file with variables, groups, inheritance and a matrix.
func TestBake_asBuildx(t *testing.T) {
	dir, err := filepath.Abs("testdata/buildx")
	if err != nil {
		t.Fatal(err)
	}
	got := printed(t, dir, "docker-bake.hcl")
	if len(got) != 6 {
		t.Fatalf("%d images", len(got))
	}
	app, base, tool := got["app"], got["base"], got["tool-lint-2-0"]
	want := map[string]string{"BUILDKIT_INLINE_CACHE": "1", "EMPTY": "", "TEMPLATE": "${NAME}-%{if}"}
	if d := cmp.Diff(want, given(app)); d != "" {
		t.Error(d)
	}
	if base.Inline != "FROM alpine:3.22\nRUN echo \"${HOME}\"\n" || base.Dockerfile != "" || app.Contexts["base"] != "target:base" {
		t.Errorf("%+v", base)
	}
	if app.Options["output"] != `["compression=zstd"]` || app.Dockerfile != filepath.Join(dir, "docker/app.Dockerfile") || app.Target != "final" {
		t.Errorf("%+v", app)
	}
	if tool.Tags[0] != "registry.example.org/lint:2.0" || tool.Context != filepath.Join(dir, "tools/lint") || *tool.Args["VERSION"] != "2.0" {
		t.Errorf("%+v", tool)
	}
}
