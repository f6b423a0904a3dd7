package place

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// containerdDocker answers as Docker does with the containerd image store: an image's ID is the digest of its manifest or index.
type containerdDocker struct {
	t     *testing.T
	off   bool              // the store is the old one, which holds no index
	names map[string]string // repository:tag to ID
	loads int
}

func (d *containerdDocker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/images/")
	switch {
	case path == "/info":
		store := map[bool]string{false: "io.containerd.snapshotter.v1", true: "extfs"}[d.off]
		fmt.Fprintf(w, `{"DockerRootDir":"/var/lib/docker","OSType":"linux","Architecture":"aarch64","DriverStatus":[["driver-type",%q]]}`, store)
	case path == "load":
		d.load(r.Body)
		fmt.Fprintln(w, `{"stream":"Loaded image"}`)
	case path == "json":
		fmt.Fprint(w, "[]")
	case strings.HasSuffix(path, "/json"):
		name := strings.TrimSuffix(path, "/json")
		id := d.names[name]
		for _, known := range d.names {
			if known == name {
				id = name
			}
		}
		if id == "" {
			http.Error(w, `{"message":"No such image"}`, http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"Id":%q,"RootFS":{"Layers":[]}}`, id)
	case strings.HasSuffix(path, "/tag"):
		d.names[r.URL.Query().Get("repo")+":"+r.URL.Query().Get("tag")] = strings.TrimSuffix(path, "/tag")
		w.WriteHeader(http.StatusCreated)
	default:
		d.t.Errorf("%s %s", r.Method, r.URL)
	}
}

// load names what index.json names, which must be in the archive with all that it needs.
func (d *containerdDocker) load(body io.Reader) {
	d.loads++
	files := map[string][]byte{}
	for t := tar.NewReader(body); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			d.t.Error(err)
			return
		}
		if files[h.Name], err = io.ReadAll(t); err != nil {
			d.t.Error(err)
		}
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		d.t.Error(err)
	}
	for _, m := range index.Manifests {
		if files["blobs/sha256/"+strings.TrimPrefix(m.Digest, "sha256:")] == nil {
			d.t.Errorf("%s is not in the archive", m.Digest)
		}
		name := strings.TrimPrefix(m.Annotations[content.ImageName], "docker.io/")
		d.names[strings.TrimPrefix(name, "library/")] = m.Digest
	}
}

// TestDocker_containerd: images are asked for by manifest digest too, and an index is loaded as it is, once.
func TestDocker_containerd(t *testing.T) {
	reg := testenv.StartOlareg(t)
	index := testenv.PushTinyBase(t, reg, "index", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms})
	image := testenv.PushTinyBase(t, reg, "image", "1", basemaker.TinyOptions{Layers: 2})
	d := &containerdDocker{t: t, names: map[string]string{}}
	server := httptest.NewServer(d)
	defer server.Close()
	c := newCopier(t)
	c.env["DOCKER_HOST"] = strings.Replace(server.URL, "http://", "tcp://", 1)
	for _, base := range []testenv.Base{index, image} {
		name := strings.TrimSuffix(base.Reference[strings.LastIndexByte(base.Reference, '/')+1:], ":1")
		before := d.loads
		if r := c.copy(base.Reference, "docker-daemon:"+name+":1", Options{Tags: []string{"latest"}}); !r.Saved.Written || string(r.Digest) != base.Digest {
			t.Errorf("%s: %s", name, line(r))
		}
		if d.names[name+":1"] != base.Digest || d.names[name+":latest"] != base.Digest {
			t.Errorf("%s: %v", name, d.names)
		}
		for _, tag := range []string{"1", "2"} {
			if r := c.copy(base.Reference, "docker-daemon:"+name+":"+tag, Options{}); r.Saved.Written || d.names[name+":"+tag] != base.Digest {
				t.Errorf("%s:%s: %s, %v", name, tag, line(r), d.names)
			}
		}
		if d.loads != before+1 {
			t.Errorf("%s: loaded %d times", name, d.loads-before)
		}
	}
	// another image under a name that it moves: all its layers are sent, as that store takes no archive without some
	other := testenv.PushTinyBase(t, reg, "image", "2", basemaker.TinyOptions{Layers: 3})
	if r := c.copy(other.Reference, "docker-daemon:image:1", Options{}); r.Saved.Blobs.Uploaded.Count != 4 || string(r.Saved.Tags[0].Was) != image.Digest {
		t.Errorf("%s: %+v", line(r), r.Saved)
	}
}

// TestDocker_single: of an index the image for the engine's platform is loaded where the store holds none, and that is said.
func TestDocker_single(t *testing.T) {
	reg := testenv.StartOlareg(t)
	index := testenv.PushTinyBase(t, reg, "index", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms})
	foreign := testenv.PushTinyBase(t, reg, "foreign", "1", basemaker.TinyOptions{Layers: 1, Index: true})
	d := &containerdDocker{t: t, off: true, names: map[string]string{}}
	server := httptest.NewServer(d)
	defer server.Close()
	c := newCopier(t)
	c.env["DOCKER_HOST"] = server.URL
	arm := index.Images[1].Manifest.Digest
	r := c.copy(index.Reference, "docker-daemon:shop:1", Options{})
	if string(r.Digest) != arm || d.names["shop:1"] != arm || !strings.Contains(c.said.String(), "the one for linux/arm64 is loaded, as docker holds no index") {
		t.Errorf("%s: %v\n%s", line(r), d.names, c.said.String())
	}
	if _, err := c.try(foreign.Reference, "docker-daemon:shop:1", Options{}); diag.CodeOf(err) != diag.ImageNotThere || !strings.Contains(err.Error(), "it has linux/amd64") {
		t.Errorf("%v", err)
	}
	p := testenv.NewPodman(t)
	onPath(t, p, "podman")
	for range 2 {
		r = c.copy(index.Reference, "podman:shop:1", Options{})
		if string(r.Digest) != index.Images[0].Manifest.Digest && string(r.Digest) != arm {
			t.Errorf("%s", line(r))
		}
		if got := podman(t, p, "image", "inspect", "--format", "{{.Digest}}", "shop:1"); got != string(r.Digest) {
			t.Errorf("podman has %s, want %s", got, r.Digest)
		}
	}
	if r.Saved.Written {
		t.Errorf("again: %s", line(r))
	}
}
