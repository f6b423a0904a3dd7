package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
)

// graphSite is a list of thirteen images that real builds are made of: root and tool are from scratch, mid0 and mid1 from root, leaf0 to leaf3
// from a mid, leaf4 to leaf7 from scratch with what they copy from an intermediate stage of tool, both for two platforms.
type graphSite struct {
	t       *testing.T
	dir     string
	gantry  string
	reg     *testenv.Registry
	files   map[string]string // of contexts
	environ []string
	builder string // empty is buildah
}

// newBuildahSite has no list yet.
func newBuildahSite(t *testing.T) *graphSite {
	testenv.Require(t, "buildah")
	testenv.RequireRoot(t)
	dir, err := os.MkdirTemp("", "gg") // a long path would not fit into a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &graphSite{t: t, dir: dir, gantry: testenv.BuildGantry(t), reg: testenv.StartRegistry(t), files: map[string]string{}}
	s.file("storage.conf", fmt.Sprintf("[storage]\ndriver=\"vfs\"\ngraphroot=%q\nrunroot=%q\n", dir+"/s", dir+"/r"))
	s.file("registries.conf", fmt.Sprintf("[[registry]]\nlocation=%q\ninsecure=true\n", s.reg.Host()))
	s.environ = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+dir+"/storage.conf", "CONTAINERS_REGISTRIES_CONF="+dir+"/registries.conf",
		"BUILDAH_ISOLATION=chroot", "GANTRY_CACHE_DIR="+dir+"/store")
	return s
}

func newGraphSite(t *testing.T) *graphSite {
	s := newBuildahSite(t)
	var list strings.Builder
	add := func(name, dockerfile string) {
		fmt.Fprintf(&list, "[[image]]\nname = %q\ncontext = %q\ntags = [%q]\nargs = { HOST = %q }\n", name, name, s.reg.Host()+"/"+name+":1", s.reg.Host())
		s.file("graph/"+name+"/Dockerfile", dockerfile)
		s.change(name, "1")
	}
	add("root", "FROM scratch\nCOPY root /\n")
	add("tool", "FROM scratch\nCOPY tool /\n")
	for k := range 2 {
		name := fmt.Sprintf("mid%d", k)
		add(name, "ARG HOST\nFROM $HOST/root:1\nCOPY "+name+" /\n")
	}
	for k := range 4 {
		name := fmt.Sprintf("leaf%d", k)
		add(name, fmt.Sprintf("ARG HOST\nARG BASE=mid%d\nFROM ${HOST}/${BASE}:1\nCOPY %s /\n", k%2, name))
	}
	for k := 4; k < 8; k++ {
		name := fmt.Sprintf("leaf%d", k)
		from := "build"
		if k == 7 {
			from = s.reg.Host() + "/tool:1"
		}
		add(name, "ARG HOST\nFROM $HOST/tool:1 AS build\nFROM scratch\nCOPY --from="+from+" /tool /copied\nCOPY "+name+" /\n")
	}
	add("both", "FROM scratch\nCOPY both /\n")
	list.WriteString("platforms = [\"linux/amd64\", \"linux/arm64\"]\n")
	s.file("graph/gantry.graph.toml", list.String())
	return s
}

func (s *graphSite) file(name, text string) {
	s.t.Helper()
	testenv.WriteFile(s.t, filepath.Join(s.dir, name), text)
}

// change writes the one file of an image.
func (s *graphSite) change(image, text string) {
	s.files[image] = image + " " + text
	s.file("graph/"+image+"/"+image, s.files[image])
}

// run runs gantry graph run, and returns the images that were built and what the report says.
func (s *graphSite) run(status int, args ...string) (built []string, outcomes map[string]graphrun.Outcome, output string) {
	s.t.Helper()
	report := filepath.Join(s.dir, "report.json")
	cmd := exec.CommandContext(s.t.Context(), s.gantry, append([]string{
		"graph", "run", "--list", s.dir + "/graph", "--builder", cmp.Or(s.builder, "buildah"), "--builder-arg=--timestamp=0", "--push-arg=--tls-verify=false",
		"--report", report,
	}, args...)...)
	cmd.Env = s.environ
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != status {
		s.t.Fatalf("%v, want status %d\n%s", err, status, out)
	}
	data, err := os.ReadFile(report)
	var doc runReport
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	outcomes = map[string]graphrun.Outcome{}
	for _, r := range doc.Images {
		if outcomes[r.Image] = r.Outcome; r.Outcome == graphrun.Built {
			built = append(built, r.Image)
		}
	}
	slices.Sort(built)
	return built, outcomes, string(out)
}

func (s *graphSite) builds(want []string, args ...string) {
	s.t.Helper()
	got, _, out := s.run(0, args...)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Fatalf("built %q, want %q\n%s", got, want, out)
	}
}

// pulled are the files of an image.
func (s *graphSite) pulled(repository string) map[string]string {
	s.t.Helper()
	mediaType, _, body := s.reg.Manifest(repository, "1")
	if image.IsIndex(mediaType) {
		x, err := image.ParseIndex(body, mediaType)
		if err != nil {
			s.t.Fatal(err)
		}
		mediaType, _, body = s.reg.Manifest(repository, string(x.Manifests[0].Digest))
	}
	m, err := image.ParseManifest(body, mediaType)
	if err != nil {
		s.t.Fatal(err)
	}
	files := map[string]string{}
	for _, l := range m.Layers {
		s.layer(files, s.reg.Blob(repository, string(l.Digest)))
	}
	return files
}

func (s *graphSite) layer(files map[string]string, blob []byte) {
	s.t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		s.t.Fatal(err)
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(r)
			if err != nil {
				s.t.Fatal(err)
			}
			files[strings.TrimPrefix(h.Name, "/")] = string(text)
		}
	}
}

// compare pulls all images and compares them with what their Dockerfiles say.
func (s *graphSite) compare() {
	s.t.Helper()
	for image := range s.files {
		want := map[string]string{image: s.files[image]}
		switch {
		case strings.HasPrefix(image, "mid"):
			want["root"] = s.files["root"]
		case image >= "leaf0" && image <= "leaf3":
			mid := fmt.Sprintf("mid%d", (image[4]-'0')%2)
			want[mid], want["root"] = s.files[mid], s.files["root"]
		case strings.HasPrefix(image, "leaf"):
			want["copied"] = s.files["tool"]
		}
		if got := s.pulled(image); !maps.Equal(got, want) {
			s.t.Errorf("%s has %q, want %q", image, got, want)
		}
	}
}

// TestGraphRun_buildah builds a graph of twelve images for real.
func TestGraphRun_buildah(t *testing.T) {
	s := newGraphSite(t)
	all := slices.Collect(maps.Keys(s.files))
	s.builds(all)
	s.compare()
	s.builds(nil)

	s.change("leaf5", "2")
	s.builds([]string{"leaf5"})

	// A tag of a parent that somebody else moved changes nothing: what its source tag answers is what a child is built from. At its end the run
	// makes the tags right again, those of images that it skips included.
	s.moveTag("tool:1", "mid0:1")
	s.moveTag("mid1:1", "tool:1")
	for _, image := range []string{"leaf0", "leaf6", "leaf7"} {
		s.change(image, "2")
	}
	built, _, out := s.run(0)
	if !slices.Equal(built, []string{"leaf0", "leaf6", "leaf7"}) || !strings.Contains(out, "tags: 2 tagged, 11 already right, 0 left, 0 failed") ||
		strings.LastIndex(out, "built leaf") > strings.Index(out, "tagged ") {
		t.Fatalf("built %q\n%s", built, out)
	}
	s.compare()

	s.change("root", "2")
	s.builds([]string{"root", "mid0", "mid1", "leaf0", "leaf1", "leaf2", "leaf3"}, "--parallel", "3")
	s.compare()
	s.builds([]string{"root"}, "--force", "root") // to the same digest
	s.builds(nil)
}

// moveTag makes a tag name what another of the registry names, which may be in another repository.
func (s *graphSite) moveTag(from, to string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.gantry, "copy", s.reg.Host()+"/"+from, s.reg.Host()+"/"+to)
	cmd.Env = s.environ
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

// TestGraphRun_readme builds with the command line that README.md shows.
func TestGraphRun_readme(t *testing.T) {
	testenv.Require(t, "jq")
	s := newBuildahSite(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "```shell\n#!/bin/sh\n# build.sh, for gantry graph run")
	text, _, ok := strings.Cut(text, "```\n")
	if !ok {
		t.Fatal("README.md has no build.sh")
	}
	s.file("build.sh", "#!/bin/sh\n#"+text)
	if err := os.Chmod(s.dir+"/build.sh", 0o755); err != nil {
		t.Fatal(err)
	}
	s.file("graph/gantry.graph.toml", fmt.Sprintf("[[image]]\nname = %q\ncontext = %q\ntags = [%q]\n[[image]]\nname = %q\ncontext = %q\nargs = { WHAT = %q }\ntags = [%q, %q]\n",
		"base", "base", s.reg.Host()+"/base:1", "app", "app", "it's $one", s.reg.Host()+"/app:1", s.reg.Host()+"/app:2"))
	s.file("graph/base/Dockerfile", "FROM scratch\nCOPY base /\n")
	s.file("graph/app/Dockerfile", "ARG BASE="+s.reg.Host()+"/base:1\nFROM $BASE\nARG WHAT\nCOPY app /\nLABEL what=$WHAT\n")
	s.change("base", "1")
	s.change("app", "1")
	s.builder = s.dir + "/build.sh"
	s.builds([]string{"app", "base"})
	s.builds(nil)
	want := map[string]string{"base": s.files["base"], "app": s.files["app"]}
	if got := s.pulled("app"); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	mediaType, digest, body := s.reg.Manifest("app", "2")
	m, err := image.ParseManifest(body, mediaType)
	if err != nil {
		t.Fatal(err)
	}
	if config := string(s.reg.Blob("app", string(m.Config.Digest))); !strings.Contains(config, `"what":"it's $one"`) {
		t.Errorf("%s has %s", digest, config)
	}
}
