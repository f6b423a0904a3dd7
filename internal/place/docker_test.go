package place

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// docker is a daemon with one of its stores, and a copier that reaches it in one of the ways to it.
type docker struct {
	*testenv.Docker
	*copier
	store testenv.DockerStore
	reg   *testenv.Registry
	seed  string // of this way's images, which share no layers with those of another
}

// TestDocker is the real Docker, with each of its stores, over HTTP and by its command line.
func TestDocker(t *testing.T) {
	for name, store := range map[string]testenv.DockerStore{"containerd": testenv.ContainerdStore, "graph driver": testenv.GraphDriverStore} {
		t.Run(name, func(t *testing.T) {
			daemon, reg := testenv.StartDocker(t, store), testenv.StartOlareg(t)
			for _, way := range []string{"http", "cli"} {
				t.Run(way, func(t *testing.T) {
					d := docker{daemon, newCopier(t), store, reg, way}
					if way == "http" {
						d.env["DOCKER_HOST"] = d.Host()
					} else {
						t.Setenv("DOCKER_HOST", d.Host()) // the program's, which knows no context
					}
					d.once()
					d.newLayer()
					d.index()
				})
			}
		})
	}
}

// push makes an image of the registry, in a repository of this way.
func (d docker) push(name, tag string, o basemaker.TinyOptions) testenv.Base {
	o.Seed += d.seed
	return testenv.PushTinyBase(d.t, d.reg, d.seed+"/"+name, tag, o)
}

// id is what the daemon calls an image; empty where it has none of that name.
func (d docker) id(name string) string {
	out, err := d.Command("image", "inspect", "--format", "{{.Id}}", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// idOf is what the daemon should call it.
func (d docker) idOf(base testenv.Base) string {
	if d.store == testenv.ContainerdStore {
		return base.Digest
	}
	return base.Images[0].Config.Digest
}

// once: an image of either format is loaded once and under all its names, gets more names without being loaded, and comes back.
func (d docker) once() {
	for name, o := range map[string]basemaker.TinyOptions{"team/oci": {Layers: 3}, "team/docker": {Layers: 3, Docker: true, Seed: "docker"}} {
		base := d.push(name, "1", o)
		for i, to := range []struct {
			tag, more, says string
			written         bool
		}{
			{tag: "1", more: "latest", written: true, says: "Pushed image"},
			{tag: "1", more: "latest", says: "Image already present in local registry via 'docker'"},
			{tag: "2", more: "3", says: "named without loading: "},
		} {
			r := d.copy(base.Reference, "docker-daemon:"+d.seed+"/"+name+":"+to.tag, Options{Tags: []string{to.more}})
			if r.Saved.Written != to.written || string(r.Digest) != base.Digest || !strings.Contains(line(r), to.says) {
				d.t.Errorf("%d: %s", i, line(r))
			}
			for _, tag := range []string{to.tag, to.more} {
				if got, want := d.id(d.seed+"/"+name+":"+tag), d.idOf(base); got != want {
					d.t.Errorf("%d: %s:%s is %q, want %s", i, name, tag, got, want)
				}
			}
		}
		d.copy("docker-daemon:"+d.seed+"/"+name+":2", "oci:"+d.dir+"/back:"+name, Options{})
		config := strings.TrimPrefix(base.Images[0].Config.Digest, "sha256:")
		if _, err := os.Stat(filepath.Join(d.dir, "back/blobs/sha256", config)); err != nil {
			d.t.Errorf("what came back is another image: %v", err)
		}
	}
	if _, err := d.try("docker-daemon:no/such:1", "oci:"+d.dir+"/none", Options{}); diag.CodeOf(err) != diag.ImageNotThere {
		d.t.Errorf("%v", err)
	}
}

// newLayer: of an image with one more layer than the one that has its name, that layer is sent, or all of them to containerd's
// store, which takes no archive without some.
func (d docker) newLayer() {
	old := d.push("shop", "1", basemaker.TinyOptions{Layers: 2, Seed: "shop"})
	d.copy(old.Reference, "docker-daemon:"+d.seed+"/shop:1", Options{})
	grown := d.push("shop", "2", basemaker.TinyOptions{Layers: 3, Seed: "shop"})
	r := d.copy(grown.Reference, "docker-daemon:"+d.seed+"/shop:1", Options{})
	sent := 2
	if d.store == testenv.ContainerdStore {
		sent = 4
	}
	if r.Saved.Blobs.Uploaded.Count != sent || string(r.Saved.Tags[0].Was) != d.idOf(old) {
		d.t.Errorf("%s: %+v\n%s", line(r), r.Saved, d.said.String())
	}
	if got := d.id(d.seed + "/shop:1"); got != d.idOf(grown) {
		d.t.Errorf("shop:1 is %s, want %s", got, d.idOf(grown))
	}
}

// index: an index is loaded as it is, once, or its image for the engine's platform where the store holds none, and that is said.
func (d docker) index() {
	index := d.push("index", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms, Seed: "index"})
	for i := range 2 {
		r := d.copy(index.Reference, "docker-daemon:"+d.seed+"/index:1", Options{})
		want, note := index.Digest, false
		if d.store == testenv.GraphDriverStore {
			want, note = index.Images[0].Manifest.Digest, true
		}
		if string(r.Digest) != want || r.Saved.Written != (i == 0) {
			d.t.Errorf("%d: %s, want %s", i, line(r), want)
		}
		if said := strings.Contains(d.said.String(), "the one for linux/amd64 is loaded, as docker holds no index"); said != note {
			d.t.Errorf("%d: said %v:\n%s", i, said, d.said.String())
		}
		if got, want := d.id(d.seed+"/index:1"), d.idOf(index); got != want {
			d.t.Errorf("%d: docker has %s, want %s", i, got, want)
		}
	}
	if d.store == testenv.ContainerdStore {
		d.pulledIndex()
	}
	foreign := d.push("foreign", "1", basemaker.TinyOptions{
		Layers: 1, Index: true, Seed: "foreign", Platforms: []basemaker.Platform{{OS: "linux", Architecture: "s390x"}},
	})
	_, err := d.try(foreign.Reference, "docker-daemon:"+d.seed+"/foreign:1", Options{})
	if d.store == testenv.ContainerdStore && err != nil || d.store == testenv.GraphDriverStore &&
		(diag.CodeOf(err) != diag.ImageNotThere || !strings.Contains(err.Error(), "it has linux/s390x")) {
		d.t.Errorf("for another platform alone: %v", err)
	}
}

// pulledIndex: of an index that Docker pulled it has the part for its own platform, and is sent all of it under another name.
func (d docker) pulledIndex() {
	index := d.push("pulled", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms, Seed: "pulled"})
	if out, err := d.Command("pull", "--quiet", index.Reference).CombinedOutput(); err != nil {
		d.t.Fatalf("docker pull: %v\n%s", err, out)
	}
	for i := range 2 {
		r := d.copy(index.Reference, "docker-daemon:"+d.seed+"/pulled:2", Options{})
		if r.Saved.Written != (i == 0) {
			d.t.Errorf("%d: %s", i, line(r))
		}
	}
	if r := d.copy("docker-daemon:"+d.seed+"/pulled:2", "oci:"+d.dir+"/pulled", Options{}); string(r.Digest) != index.Digest {
		d.t.Errorf("%s came back, want %s", r.Digest, index.Digest)
	}
}

// TestPodman_single: of an index the image for the engine's platform is loaded, once.
func TestPodman_single(t *testing.T) {
	index := testenv.PushTinyBase(t, testenv.StartOlareg(t), "index", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms})
	c := newCopier(t)
	p := testenv.NewPodman(t)
	onPath(t, p, "podman")
	for i := range 2 {
		r := c.copy(index.Reference, "podman:shop:1", Options{})
		if string(r.Digest) != index.Images[0].Manifest.Digest || r.Saved.Written != (i == 0) {
			t.Errorf("%d: %s", i, line(r))
		}
		if got := podman(t, p, "image", "inspect", "--format", "{{.Digest}}", "shop:1"); got != string(r.Digest) {
			t.Errorf("podman has %s, want %s", got, r.Digest)
		}
	}
}
