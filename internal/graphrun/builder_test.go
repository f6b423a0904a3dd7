package graphrun

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
)

const pin = "example.org/pin@sha256:0000000000000000000000000000000000000000000000000000000000000001"

// job is the build of a Dockerfile that reaches images: their references, and how the line of each is.
func job(t *testing.T, text string, parents ...graph.Parent) *Job {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Dockerfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &Job{
		Spec:       &imagelist.Spec{Name: "app", Origin: "list:1", Context: dir, Dockerfile: file, Tags: []string{"example.org/app:1", "example.org/app:2"}},
		Dockerfile: file, Platforms: []string{"linux/amd64"}, Pins: map[string]string{}, Dir: dir, stamp: &graphstate.Request{},
	}
	for _, p := range parents {
		j.Pins[p.Reference] = pin
	}
	j.image = &graph.Image{Spec: j.Spec, Variants: []*graph.Variant{{Parents: parents}}}
	return j
}

func reads(reference string, kind dockerfile.Kind, line int) graph.Parent {
	return graph.Parent{Reference: reference, Uses: []dockerfile.Use{{Kind: kind, Line: line}}}
}

func keys(m map[string]string) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

func TestContexts(t *testing.T) {
	alpine := "docker.io/library/alpine:latest"
	all := "alpine alpine:latest docker.io/alpine docker.io/alpine:latest docker.io/library/alpine docker.io/library/alpine:latest library/alpine library/alpine:latest"
	// Of a name that the list itself gives, BuildKit knows every way to write it as an image.
	called := func(name, more string) string {
		return strings.TrimSpace(strings.ReplaceAll(all, "alpine", name) + " " + more)
	}
	for name, tc := range map[string]struct {
		text            string
		parent          graph.Parent
		contexts        map[string]string
		docker, buildah string
		syntax          string
		code            diag.Code
	}{
		"a variable":     {text: "ARG B\nFROM $B:1\n", parent: reads("example.org/base:1", dockerfile.From, 2), docker: "example.org/base:1", buildah: "$B:1 example.org/base:1"},
		"Docker Hub":     {text: "FROM alpine\n", parent: reads(alpine, dockerfile.From, 1), docker: "alpine", buildah: all},
		"a copy":         {text: "FROM scratch\nCOPY --from=a/b:1 /x /\n", parent: reads("docker.io/a/b:1", dockerfile.CopyFrom, 2), docker: "a/b:1", buildah: "a/b:1 docker.io/a/b:1"},
		"a frontend":     {text: "# syntax=a/b:1\nFROM scratch\n", parent: reads("docker.io/a/b:1", dockerfile.Syntax, 1), syntax: pin},
		"by digest":      {text: "FROM " + pin + "\n", parent: reads(pin, dockerfile.From, 1)},
		"a stage's name": {text: "FROM alpine AS Alpine\n", parent: reads(alpine, dockerfile.From, 1), code: diag.BuilderUnusable},
		"another stage's name": {
			text: "FROM alpine:latest AS alpine\n", parent: reads(alpine, dockerfile.From, 1), buildah: strings.TrimPrefix(all, "alpine "),
		},
		"a target":       {text: "FROM base\n", parent: reads("target:base", dockerfile.From, 1), contexts: map[string]string{"base": "target:base"}, docker: "base", buildah: called("base", "")},
		"not reached":    {text: "FROM scratch\n", contexts: map[string]string{"base": "target:base", "src": "/src"}, docker: "src", buildah: called("src", "")},
		"a named image":  {text: "FROM b\n", parent: reads("docker.io/a/b:1", dockerfile.From, 1), contexts: map[string]string{"b": "docker-image://a/b:1"}, docker: "a/b:1 b", buildah: called("b", "a/b:1 docker.io/a/b:1")},
		"a named folder": {text: "FROM scratch\nCOPY --from=src x /\n", contexts: map[string]string{"src": "/src"}, docker: "src", buildah: called("src", "")},
	} {
		t.Run(name, func(t *testing.T) {
			var parents []graph.Parent
			if tc.parent.Reference != "" {
				parents = append(parents, tc.parent)
			}
			j := job(t, tc.text, parents...)
			j.Spec.Contexts = tc.contexts
			j.stamp.Parents = []graphstate.Parent{{Name: tc.parent.Reference, Pin: pin}}
			docker, syntax, err := j.dockerContexts()
			if given := docker != nil && (tc.docker != "" || syntax != "" || strings.Contains(tc.parent.Reference, "@")); (j.stamp.Parents[0].Pin != "") != given {
				t.Errorf("docker: the stamp has the pin %q", j.stamp.Parents[0].Pin)
			}
			if err != nil || keys(docker) != tc.docker || syntax != tc.syntax {
				t.Errorf("docker: got %q, %q, %v, want %q", keys(docker), syntax, err, tc.docker)
			}
			buildah, err := j.buildahContexts()
			want := strings.Fields(tc.buildah)
			slices.Sort(want)
			if diag.CodeOf(err) != tc.code && tc.code != "" || tc.code == "" && (err != nil || keys(buildah) != strings.Join(want, " ")) {
				t.Errorf("buildah: got %q, %v, want %q", keys(buildah), err, tc.buildah)
			}
			for key, value := range buildah {
				if value != imageScheme+pin && value != "/src" {
					t.Errorf("%s is %s", key, value)
				}
			}
		})
	}
}

// TestContexts_ignored: buildah copies what the ignore file of a named context leaves out, so that it would not show in the hash.
func TestContexts_ignored(t *testing.T) {
	for name, refused := range map[string]bool{"": false, "src": true, "other": false} {
		j := job(t, "FROM scratch\nCOPY --from=src x /\n")
		folder := t.TempDir()
		j.Spec.Contexts = map[string]string{"src": folder, "other": t.TempDir()}
		for _, dir := range []string{folder, j.Spec.Context} {
			if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j.image.Variants[0].Reach = &dockerfile.Reach{Files: []dockerfile.Pattern{{Context: name}}}
		if _, err := j.buildahContexts(); (err != nil) != refused || refused && diag.CodeOf(err) != diag.BuilderUnusable {
			t.Errorf("context %q: got %v", name, err)
		}
	}
}

func TestBeganWithPins(t *testing.T) {
	j := job(t, "FROM a AS one\nFROM one\n")
	for line, ok := range map[string]bool{
		"STEP 1/2: FROM scratch":                           true,
		"[1/2] STEP 1/1: FROM " + pin + " AS one":          true,
		"[2/2] STEP 1/3: FROM one":                         true,
		"STEP 1/3: FROM --platform=linux/amd64 " + pin:     true,
		"STEP 1: FROM example.org/base:1":                  false,
		"[linux/arm64] [1/2] STEP 1/1: FROM alpine AS one": false,
		"STEP 2/2: RUN echo STEP 1: FROM x":                true,
	} {
		j.began = nil
		o := &output{to: &Programs{}, job: j}
		for _, part := range []string{"before\nSTEP 1/1: FROM scratch\n" + line[:5], line[5:], "\nafter"} {
			if _, err := o.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.beganWithPins(); (err == nil) != ok {
			t.Errorf("%s: got %v", line, err)
		}
	}
	j.began = nil
	if err := j.beganWithPins(); err == nil {
		t.Error("nothing was said, and that passes")
	}
}

func TestOptions(t *testing.T) {
	for key, tc := range map[string]struct{ value, want string }{
		"labels":      {`{"b":"2","a":"1"}`, "--label a=1 --label b=2"},
		"annotations": {`["index:a=1"]`, "--annotation index:a=1"},
		"network":     {`"none"`, "--network none"},
		"shm-size":    {`1024`, "--shm-size 1024"},
		"extra_hosts": {`{"a":"1.2.3.4"}`, "--add-host a:1.2.3.4"},
		"no-cache":    {`true`, ""},
		"privileged":  {`false`, ""},
		"secret":      {`["token"]`, "GANTRY6061"},
		"ulimits":     {`{"nofile":{"soft":1}}`, "GANTRY6061"},
	} {
		got, err := options(&imagelist.Spec{Name: "app", Options: map[string]string{key: tc.value}})
		if text := strings.Join(got, " "); err == nil && text != tc.want || err != nil && string(diag.CodeOf(err)) != tc.want {
			t.Errorf("%s: got %q, %v", key, text, err)
		}
	}
}

// TestDocker gives docker what it has to have, and takes the digest from the file that it writes.
func TestDocker(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$SOURCE_DATE_EPOCH$BUILDX_GIT_LABELS$BUILDX_METADATA_PROVENANCE $*\" >" + dir + "/seen\n" +
		"while [ \"$1\" != --metadata-file ]; do shift; done\necho '{\"containerimage.digest\":\"" + pin[len("example.org/pin@"):] + "\"}' >$2\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("BUILDX_GIT_LABELS", "full")
	j := job(t, "# syntax=a/b:1\nFROM example.org/base:1\n", reads("docker.io/a/b:1", dockerfile.Syntax, 1), reads("example.org/base:1", dockerfile.From, 2))
	one := "1"
	j.Spec.Target, j.Spec.Args = "final", map[string]*string{"A": &one, "B": nil}
	made, err := Docker{&Programs{Env: os.Environ(), Extra: []string{"--no-cache"}}}.Build(t.Context(), j)
	if err != nil || made.Digest != cas.Digest(pin[len("example.org/pin@"):]) || made.Builder.Metadata == nil {
		t.Fatalf("got %+v, %v", made, err)
	}
	seen, err := os.ReadFile(dir + "/seen")
	if err != nil {
		t.Fatal(err)
	}
	want := "max buildx build --output=type=image,push=true,unpack=false --progress plain --metadata-file " + j.Dir + "/metadata.json --file " + j.Dockerfile +
		" --platform linux/amd64 --target final --build-arg A=1 --build-context example.org/base:1=docker-image://" + pin +
		" --build-arg BUILDKIT_SYNTAX=" + pin + " --tag example.org/app:1 --tag example.org/app:2 --no-cache " + j.Spec.Context + "\n"
	if string(seen) != want {
		t.Errorf("got  %s\nwant %s", seen, want)
	}
}

// TestDocker_lostSnapshot: a build that fails because containerd collected a snapshot meanwhile is tried again, and no other one is.
func TestDocker_lostSnapshot(t *testing.T) {
	const lost = `#13 ERROR: failed to prepare extraction snapshot "extract-1-a sha256:2a": parent snapshot sha256:58 does not exist: not found`
	for name, tc := range map[string]struct {
		prints  string
		fails   int
		refused bool
		runs    int
	}{
		"lost once":   {prints: lost, fails: 1, runs: 2},
		"lost always": {prints: lost, fails: 9, refused: true, runs: attempts},
		"another":     {prints: "#13 ERROR: snapshot does not exist", fails: 1, refused: true, runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\necho run >>%[1]s/runs\nif [ $(wc -l <%[1]s/runs) -le %[2]d ]; then echo '%[3]s'; exit 1; fi\n"+
				"while [ \"$1\" != --metadata-file ]; do shift; done\necho '{\"containerimage.digest\":\"%[4]s\"}' >$2\n", dir, tc.fails, tc.prints, pin[len("example.org/pin@"):])
			if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			_, err := Docker{&Programs{Env: os.Environ()}}.Build(t.Context(), job(t, "FROM scratch\n"))
			runs, readErr := os.ReadFile(filepath.Join(dir, "runs"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			if failed := err != nil; failed != tc.refused || strings.Count(string(runs), "run") != tc.runs {
				t.Errorf("got %v after %q, want %d runs", err, runs, tc.runs)
			}
		})
	}
}

func TestPrograms_failure(t *testing.T) {
	j := job(t, "FROM scratch\n")
	p := &Programs{Env: os.Environ()}
	_, err := p.start(t.Context(), j, nil, "/none/such")
	if diag.CodeOf(err) != diag.BuilderUnusable {
		t.Errorf("got %v", err)
	}
	var out strings.Builder
	p.Output = &out
	_, err = p.start(t.Context(), j, nil, "sh", "-c", "seq 100; printf end; exit 7")
	if diag.CodeOf(err) != diag.BuildFailed || strings.Contains(err.Error(), "\n80\n") || !strings.Contains(err.Error(), "\n100\nend") {
		t.Errorf("got %v", err)
	}
	if !strings.HasPrefix(out.String(), "[app] 1\n[app] 2\n") || !strings.HasSuffix(out.String(), "[app] end\n") {
		t.Errorf("got %q", out.String())
	}
}
