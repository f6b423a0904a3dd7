package msbuild

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/explain"
	"github.com/gantry-build/gantry/internal/testenv"
)

// onlyDotnet is a PATH with neither docker nor podman.
func onlyDotnet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range []string{"dotnet", "sh", "cmp", "cp", "mv", "chmod"} {
		path, err := testenv.Look(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// withPodman puts a podman of this test's own on the PATH of dotnet, and nothing that is called docker.
func (s *site) withPodman() *testenv.Podman {
	s.t.Helper()
	p := testenv.NewPodman(s.t)
	dir := onlyDotnet(s.t)
	cmd := p.Command()
	script := "#!" + filepath.Join(dir, "sh") + "\nPATH='" + os.Getenv("PATH") + "' exec '" + strings.Join(append([]string{cmd.Path}, cmd.Args[1:]...), "' '") + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "PATH="+dir)
	return p
}

// TestLocalDaemon_none has no daemon: the SDK's code comes, alone.
func TestLocalDaemon_none(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.env = append(s.env, "PATH="+onlyDotnet(t))
	wantError(t, s.dotnet(s.saved("-p:LocalRegistry=Docker")...), "CONTAINER1012")
	wantError(t, s.dotnet(s.saved("-p:LocalRegistry=lxc")...), "CONTAINER2002", "lxc")
	s.env = append(s.env, "DOCKER_HOST=unix://"+t.TempDir()+"/none")
	wantError(t, s.dotnet(s.saved("-p:LocalRegistry=Docker")...), "CONTAINER1012", "docker does not answer")
}

// TestLocalDaemon_podman loads the image once, and again when podman lost it.
func TestLocalDaemon_podman(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	p := s.withPodman()
	calls := s.tool()
	s.showOutputs("console.csproj")
	const image = "localhost/app:latest"
	id := func() string {
		return strings.TrimSpace(output(t, p.Command("image", "inspect", "--format", "{{.Id}} {{.Digest}}", image)))
	}
	for _, step := range []struct {
		name, more, calls, says string
		before                  func()
	}{
		{name: "first", calls: cold, says: "Pushed image 'app:latest' to local registry via 'podman' ("},
		{name: "unchanged, with a key", more: "-p:ContainerCacheKey=k", calls: "resolve-base save", says: "Image already present in local registry via 'podman' ("},
		{name: "lost", calls: "save", says: "Pushed image 'app:latest' to local registry via 'podman' (", before: func() { output(t, p.Command("rmi", image)) }},
		{name: "another name of it", calls: "save", says: "named without loading: " + image, before: func() {
			output(t, p.Command("tag", image, "localhost/kept:1"))
			output(t, p.Command("untag", image))
		}},
	} {
		if step.before != nil {
			step.before()
		}
		r := s.save(strings.Fields(step.more)...)
		called(t, calls, step.calls)
		says(t, r, step.says, "in '' as app:latest")
		digest, _, _ := strings.Cut(r.Output[strings.Index(r.Output, "made ")+len("made "):], " ")
		if !strings.HasSuffix(id(), " "+digest) {
			t.Errorf("%s: podman has %s, made was %s", step.name, id(), digest)
		}
	}
	s.hasTags("app")
	if report, text := s.explain(); stage(t, report, "save").State != explain.Skipped || len(report.Folders[0].Stages) != 6 {
		t.Errorf("explained:\n%s", text)
	}
}

// TestLocalDaemon_podmanPlatforms has an image for each runtime identifier under a name of its own, as with the SDK.
func TestLocalDaemon_podmanPlatforms(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	p := s.withPodman()
	args := append([]string{"publish", "--no-restore", "-p:LocalRegistry=Podman"}, s.saved()[2:]...)
	s.must(args...)
	for rid, architecture := range map[string]string{"linux-x64": "amd64", "linux-arm64": "arm64"} {
		name := fmt.Sprintf("localhost/app:latest-%s", rid)
		if got := strings.TrimSpace(output(t, p.Command("image", "inspect", "--format", "{{.Architecture}}", name))); got != architecture {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got := strings.TrimSpace(output(t, p.Command("image", "inspect", "--format", "{{.Architecture}}", "localhost/app:latest"))); got != "amd64" {
		t.Errorf("the image of this machine's platform: got %s", got)
	}
	says(t, s.must(args...), "Image already present in local registry via 'podman'")
}

// TestLocalDaemon_docker has the real Docker, with each of its stores, found by itself: the image is loaded once, and again when the daemon lost
// it. Of two platforms containerd's store holds the index, and the older one the image for the machine's.
func TestLocalDaemon_docker(t *testing.T) {
	for name, store := range map[string]testenv.DockerStore{"containerd": testenv.ContainerdStore, "graph driver": testenv.GraphDriverStore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.StartDocker(t, store)
			image := func(name, field string) string {
				return strings.TrimSpace(output(t, d.Command("image", "inspect", "--format", "{{."+field+"}}", name)))
			}
			s := newSite(t, "console")
			s.env = append(s.env, "PATH="+onlyDotnet(t), "DOCKER_HOST="+d.Host())
			s.showOutputs("console.csproj")
			loaded, there := "Pushed image 'app:latest' to local registry via 'docker' (", "Image already present in local registry via 'docker' ("
			id := ""
			for step, want := range []string{loaded, there, loaded} {
				if step == 2 {
					output(t, d.Command("rmi", "app:latest"))
				}
				r := s.save()
				says(t, r, want)
				if got := image("app:latest", "Id"); id != "" && got != id {
					t.Errorf("%d: docker has %s, and had %s", step, got, id)
				} else {
					id = got
				}
			}
			if store == testenv.ContainerdStore && !strings.Contains(s.save().Output, "made "+id) {
				t.Errorf("docker has %s, and that was not made", id)
			}

			s = newSite(t, "rids")
			s.env = append(s.env, "PATH="+onlyDotnet(t), "DOCKER_HOST="+d.Host())
			args := append([]string{"publish", "--no-restore"}, s.saved()[2:]...)
			r := s.must(append(args, "-getProperty:GeneratedImageIndex", "-getProperty:GeneratedContainerDigest")...)
			want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(outputs(t, r.Stdout).Properties["GeneratedImageIndex"])))
			if got := image("app:latest", "Id"); (got == want) != (store == testenv.ContainerdStore) {
				t.Errorf("docker has %s, and the index is %s", got, want)
			}
			if got := image("app:latest", "Architecture"); got != "amd64" {
				t.Errorf("the image of this machine's platform: got %s", got)
			}
			says(t, s.must(args...), there)
		})
	}
}
