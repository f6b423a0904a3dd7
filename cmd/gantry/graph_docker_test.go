package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/testenv"
)

// dockerSite is a list of five images that a real BuildKit builds: root and tool from scratch, for two platforms; mid from root; leaf from mid,
// with a file of a stage that begins with tool and one of root itself; other from a named context that is mid. A manifest comes to the
// registry one after the other: this Docker pushes a tag several times at once, and docker-registry answers 500 to who asks for one that it writes.
type dockerSite struct {
	t      *testing.T
	dir    string
	gantry string
	reg    *testenv.Proxy
	docker *testenv.Docker
}

func newDockerSite(t *testing.T) *dockerSite {
	s := &dockerSite{t: t, dir: t.TempDir(), docker: testenv.StartDocker(t, testenv.ContainerdStore), gantry: testenv.BuildGantry(t), reg: testenv.StartProxy(t, testenv.StartRegistry(t))}
	var manifests sync.Mutex
	s.reg.Inject(func(r *http.Request) *testenv.Fault {
		if strings.Contains(r.URL.Path, "/manifests/") {
			return &testenv.Fault{Turn: &manifests}
		}
		return nil
	})
	var list strings.Builder
	for _, image := range []struct{ name, dockerfile, more string }{
		{"root", "FROM scratch\nCOPY f /root\n", "platforms = ['linux/amd64', 'linux/arm64']\n"},
		{"tool", "FROM scratch\nCOPY f /tool\n", "platforms = ['linux/amd64', 'linux/arm64']\n"},
		{"mid", "ARG HOST\nFROM $HOST/root:1\nCOPY f /mid\n", "platforms = ['linux/amd64']\n"},
		{"leaf", "ARG HOST\nFROM $HOST/tool:1 AS build\nFROM ${HOST}/mid:1\n" +
			"COPY --from=build /tool /\nCOPY --from=$HOST/root:1 /root /copied\nCOPY f /leaf\n", "platforms = ['linux/amd64']\n"},
		{"other", "FROM base\nCOPY f /other\n", "platforms = ['linux/amd64']\ncontexts = { base = 'target:mid' }\n"},
	} {
		dockerfile := strings.ReplaceAll(image.dockerfile, "--from=$HOST", "--from="+s.reg.Host())
		s.write(image.name+"/Dockerfile", dockerfile)
		s.write(image.name+"/f", "1")
		fmt.Fprintf(&list, "[[image]]\nname = %q\ncontext = %[1]q\ntags = [%q]\nargs = { HOST = %q }\n%s",
			image.name, s.reg.Host()+"/"+image.name+":1", s.reg.Host(), image.more)
	}
	s.write("gantry.graph.toml", list.String())
	return s
}

func (s *dockerSite) write(name, text string) {
	s.t.Helper()
	testenv.WriteFile(s.t, filepath.Join(s.dir, name), text)
}

// run runs gantry graph COMMAND, which has to succeed, and returns what it printed.
func (s *dockerSite) run(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.gantry, append([]string{"graph"}, args...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "DOCKER_HOST="+s.docker.Host(), "GANTRY_CACHE_DIR="+filepath.Join(s.dir, ".store"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (s *dockerSite) builds(want ...string) {
	s.t.Helper()
	var built []string
	out := s.run("run", "--builder", "docker", "--builder-arg=--provenance=mode=max", "--parallel", "2")
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "built "); ok {
			built = append(built, strings.Fields(name)[0])
		}
	}
	if slices.Sort(built); !slices.Equal(built, want) {
		s.t.Fatalf("built %q, want %q\n%s", built, want, out)
	}
}

// materials are the digests of images that BuildKit's provenance of an image says it read.
func (s *dockerSite) materials(image string) []string {
	s.t.Helper()
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	var manifest struct{ Layers []struct{ Digest string } }
	var statement struct {
		Predicate struct {
			Materials []struct{ Digest map[string]string }
		}
	}
	read := func(data []byte, v any) {
		s.t.Helper()
		if err := json.Unmarshal(data, v); err != nil {
			s.t.Fatal(err)
		}
	}
	_, _, body := s.reg.Registry().Manifest(image, "1")
	read(body, &index)
	for _, m := range index.Manifests {
		if m.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			_, _, body = s.reg.Registry().Manifest(image, m.Digest)
			read(body, &manifest)
			read(s.reg.Registry().Blob(image, manifest.Layers[0].Digest), &statement)
		}
	}
	var list []string
	for _, m := range statement.Predicate.Materials {
		list = append(list, "sha256:"+m.Digest["sha256"])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// recorded are the digests of parents that an image's record has.
func (s *dockerSite) recorded(image string) []string {
	s.t.Helper()
	var found struct {
		Variants []struct{ FromImages []struct{ Digest string } }
	}
	if err := json.Unmarshal([]byte(s.run("parents", "--json", s.reg.Host()+"/"+image+":1")), &found); err != nil {
		s.t.Fatal(err)
	}
	var list []string
	for _, v := range found.Variants {
		for _, f := range v.FromImages {
			list = append(list, f.Digest)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestGraphRun_docker: BuildKit builds what changed and what reaches it, from the parents that the records say, by its own provenance.
func TestGraphRun_docker(t *testing.T) {
	s := newDockerSite(t)
	s.builds("leaf", "mid", "other", "root", "tool")
	for image, parents := range map[string]int{"mid": 1, "leaf": 3, "other": 1} {
		got, want := s.recorded(image), s.materials(image)
		if len(want) != parents || !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, and BuildKit read %q", image, got, want)
		}
	}
	s.builds()
	s.write("tool/f", "2") // which leaf reaches through an intermediate stage alone
	s.builds("leaf", "tool")

	// by hand, with what buildx writes
	s.write("leaf/f", "2")
	s.write("plan.json", s.run("plan", "--format", "json", "--target", "leaf"))
	var plan struct {
		Images []struct {
			Name string
			Job  *struct{ Pins map[string]string }
		}
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "plan.json"))
	if err == nil {
		err = json.Unmarshal(data, &plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	leaf := s.reg.Host() + "/leaf:1"
	args := []string{"buildx", "build", "--push", "--tag", leaf, "--metadata-file", s.dir + "/metadata.json", "--build-arg", "HOST=" + s.reg.Host()}
	for _, image := range plan.Images {
		if image.Name == "leaf" && image.Job != nil {
			for name, pin := range image.Job.Pins {
				args = append(args, "--build-context", name+"=docker-image://"+pin)
			}
		}
	}
	out, err := s.docker.Command(append(args, s.dir+"/leaf")...).CombinedOutput()
	if err != nil && engine.LostSnapshot.Match(out) { // as gantry graph run does, see graphrun.Docker
		out, err = s.docker.Command(append(args, s.dir+"/leaf")...).CombinedOutput()
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if tag := s.run("stamp", "leaf", "--metadata-file", "metadata.json", "--plan", "plan.json"); !strings.Contains(tag, "/leaf:src-") {
		t.Errorf("got %q", tag)
	}
	if diff := cmp.Diff("0 stale, 0 unknown, 5 current\n", s.run("stale")); diff != "" {
		t.Error(diff)
	}
	s.builds()
}
