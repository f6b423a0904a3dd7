package place

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// onPath puts a script of that name, which is podman with storage of its own, first on PATH.
func onPath(t *testing.T, p *testenv.Podman, names ...string) {
	t.Helper()
	dir := t.TempDir()
	cmd := p.Command()
	script := "#!/bin/sh\nexec " + cmd.Path + " " + strings.Join(cmd.Args[1:], " ") + " \"$@\"\n"
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// serve starts Podman's service and returns the value for DOCKER_HOST.
func serve(t *testing.T, p *testenv.Podman) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host := "unix://" + dir + "/s"
	cmd := p.Command("system", "service", "--time", "0", host)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 2400 { // a minute, for machines that have much to do
		if conn, err := net.Dial("unix", dir+"/s"); err == nil {
			conn.Close()
			return host
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("podman's service does not listen")
	return ""
}

func podman(t *testing.T, p *testenv.Podman, args ...string) string {
	t.Helper()
	out, err := p.Command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestEngines: each way to an engine loads an image once, adds names without loading, sends the layers that are new, and gives it back.
func TestEngines(t *testing.T) {
	for name, way := range map[string]func(*testing.T, *testenv.Podman, *copier) string{
		"podman": func(t *testing.T, p *testenv.Podman, _ *copier) string {
			onPath(t, p, "podman")
			return "podman:"
		},
		"docker's command line": func(t *testing.T, p *testenv.Podman, _ *copier) string {
			onPath(t, p, "docker")
			return "docker-daemon:"
		},
		"docker over HTTP": func(t *testing.T, p *testenv.Podman, c *copier) string {
			c.env["DOCKER_HOST"] = serve(t, p)
			return "docker-daemon:"
		},
		"docker's own command line": func(t *testing.T, p *testenv.Podman, c *copier) string {
			testenv.Require(t, "docker")
			t.Setenv("DOCKER_HOST", serve(t, p)) // the program's, which knows no context
			return "docker-daemon:"
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testenv.NewPodman(t)
			c := newCopier(t)
			scheme := way(t, p, c)
			reg := testenv.StartOlareg(t)
			images := []basemaker.TinyOptions{{Layers: 3}, {Layers: 3, Docker: true, Seed: "docker"}}
			if strings.HasSuffix(name, "command line") { // the same code as podman's
				images = images[1:]
			}
			for _, o := range images {
				name := "team/oci"
				if o.Docker {
					name = "team/docker"
				}
				base := testenv.PushTinyBase(t, reg, name, "1", o)
				id := base.Images[0].Config.Digest

				r := c.copy(base.Reference, scheme+name+":1", Options{Tags: []string{"latest"}})
				if !r.Saved.Written || string(r.Digest) != base.Digest || r.Saved.Blobs.Uploaded.Count != 4 {
					t.Errorf("first: %s", line(r))
				}
				for _, tag := range []string{"1", "latest"} {
					if got := podman(t, p, "image", "inspect", "--format", "{{.Id}}", name+":"+tag); "sha256:"+got != id {
						t.Errorf("%s:%s is %s, want %s", name, tag, got, id)
					}
				}
				if r := c.copy(base.Reference, scheme+name+":1", Options{Tags: []string{"latest"}}); r.Saved.Written || !strings.HasPrefix(line(r), "Image already present in local registry via '") {
					t.Errorf("again: %s", line(r))
				}
				r = c.copy(base.Reference, scheme+name+":2", Options{})
				if r.Saved.Written || !strings.Contains(line(r), "named without loading: ") {
					t.Errorf("another name: %s", line(r))
				}
				back := c.copy(scheme+name+":2", "oci:"+c.dir+"/back:"+name, Options{})
				if _, err := os.Stat(filepath.Join(c.dir, "back/blobs/sha256", strings.TrimPrefix(id, "sha256:"))); err != nil {
					t.Errorf("what came back is %s: %v", back.Digest, err)
				}
			}
			if _, err := c.try(scheme+"no/such:1", "oci:"+c.dir+"/none", Options{}); diag.CodeOf(err) != diag.ImageNotThere {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestEngine_newLayer: of an image that has one more layer than the one of that name, or than any other, that layer is sent.
func TestEngine_newLayer(t *testing.T) {
	p := testenv.NewPodman(t)
	onPath(t, p, "podman")
	reg := testenv.StartOlareg(t)
	c := newCopier(t)
	c.env["DOCKER_HOST"] = serve(t, p)
	old := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 2})
	c.copy(old.Reference, "podman:shop:1", Options{})
	grown := testenv.PushTinyBase(t, reg, "shop", "2", basemaker.TinyOptions{Layers: 3})
	r := c.copy(grown.Reference, "podman:shop:1", Options{})
	if b := r.Saved.Blobs; b.Existing.Count != 2 || b.Uploaded.Count != 2 || string(r.Saved.Tags[0].Was) != old.Images[0].Config.Digest {
		t.Errorf("%s: %+v\n%s", line(r), r.Saved, c.said.String())
	}
	if got := podman(t, p, "image", "inspect", "--format", "{{.Digest}}", "shop:1"); got != grown.Digest {
		t.Errorf("podman has %s, want %s", got, grown.Digest)
	}
	// a name that nothing had: the layers of another image count
	for _, name := range []string{"podman:another:1", "docker-daemon:another:2"} {
		app := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{Layers: 4, Config: func(c map[string]any) { c["Labels"] = map[string]string{"for": name} }})
		if r := c.copy(app.Reference, name, Options{}); r.Saved.Blobs.Existing.Count < 3 || r.Saved.Tags[0].Was != "" {
			t.Errorf("%s: %+v\n%s", line(r), r.Saved, c.said.String())
		}
	}
	// another image's layers at that name do not mislead it
	other := testenv.PushTinyBase(t, reg, "other", "1", basemaker.TinyOptions{Layers: 2, Seed: "other"})
	if r := c.copy(other.Reference, "podman:shop:1", Options{}); r.Saved.Blobs.Existing.Count != 0 || !r.Saved.Written {
		t.Errorf("%s", line(r))
	}
}

// TestEngine_absent: an engine that is not there, or that refuses, is an error in its own words.
func TestEngine_absent(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1})
	c := newCopier(t)
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := c.try(base.Reference, "podman:shop:1", Options{}); diag.CodeOf(err) != diag.NoLocalRegistry {
		t.Errorf("%v", err)
	}
	down := func() {
		t.Helper()
		for _, way := range [][2]string{{base.Reference, "docker-daemon:shop:1"}, {"docker-daemon:shop:1", "oci:" + c.dir + "/none"}} {
			_, err := c.try(way[0], way[1], Options{})
			if diag.CodeOf(err) != diag.NoLocalRegistry || !strings.Contains(err.Error(), "docker does not answer") {
				t.Errorf("%v: %v", way, err)
			}
		}
	}
	c.env["DOCKER_HOST"] = "unix://" + dir + "/none"
	down()
	delete(c.env, "DOCKER_HOST")
	for _, script := range []string{"echo no daemon >&2; exit 1", `test $1 = info && echo '{"ServerErrors":["no daemon"]}'`} {
		if err := os.WriteFile(dir+"/docker", []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		down()
	}
	if err := os.WriteFile(dir+"/podman", []byte("#!/bin/sh\necho no space left >&2\nexit 125\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try(base.Reference, "podman:shop:1", Options{}); diag.CodeOf(err) != diag.LocalLoadFailed || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(dir+"/podman", []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try(base.Reference, "podman:shop:1", Options{}); diag.CodeOf(err) != diag.LocalLoadFailed || !strings.Contains(err.Error(), "does not have it") {
		t.Errorf("%v", err)
	}
}
