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

// configOf is the digest of the configuration of an image in a registry.
func configOf(t *testing.T, reg *testenv.Registry, repository, tag string) string {
	t.Helper()
	_, _, body := reg.Manifest(repository, tag)
	_, rest, _ := strings.Cut(string(body), `"config":`)
	_, rest, _ = strings.Cut(rest, `"digest":"`)
	digest, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Errorf("%s:%s has no configuration: %s", repository, tag, body)
	}
	return digest
}

// TestCopy_foreign: what other tools save is read as it is, whatever form it has: its manifest, or where Docker's archives have none its
// configuration, stays the same byte for byte, and a second copy sends nothing.
func TestCopy_foreign(t *testing.T) {
	reg := testenv.StartOlareg(t)
	p := testenv.NewPodman(t)
	c := newCopier(t)
	at := func(name string) string { return filepath.Join(c.dir, name) }
	testenv.Require(t, "docker", "skopeo")
	t.Setenv("DOCKER_HOST", serve(t, p))
	onPath(t, p, "podman")
	want := map[string]string{}
	for name, o := range map[string]basemaker.TinyOptions{"oci": {Layers: 2}, "docker": {Layers: 3, Docker: true}} {
		base := testenv.PushTinyBase(t, reg, name, "1", o)
		want[name] = base.Images[0].Config.Digest
		c.copy(base.Reference, "podman:"+name+":1", Options{})
		for _, format := range []string{"docker-archive", "oci-archive"} {
			podman(t, p, "save", "--quiet", "--format", format, "-o", at(name+"-podman-"+format), "localhost/"+name+":1")
			must(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+base.Reference, format+":"+at(name+"-skopeo-"+format)+":"+name+":1")
		}
		must(t, "docker", "save", "-o", at(name+"-docker"), "localhost/"+name+":1")
	}
	podman(t, p, "save", "--quiet", "--multi-image-archive", "-o", at("both"), "localhost/oci:1", "localhost/docker:1")
	for file, scheme := range map[string]string{
		"podman-docker-archive": "docker-archive:", "podman-oci-archive": "oci-archive:", "skopeo-docker-archive": "docker-archive:",
		"skopeo-oci-archive": "oci-archive:", "docker": "docker-archive:",
	} {
		for name, id := range want {
			src, repository := scheme+at(name+"-"+file), "back/"+name+"-"+file
			first := c.copy(src, reg.Host()+"/"+repository+":1", Options{})
			second := c.copy(src, reg.Host()+"/"+repository+":1", Options{})
			if scheme == "oci-archive:" { // which has a manifest of its own; of a Docker image the tools make another
				id = configOf(t, reg, repository, "1")
				if got := strings.TrimSpace(must(t, "skopeo", "inspect", "--format", "{{.Digest}}", src)); got != string(first.Digest) {
					t.Errorf("%s: skopeo says %s, gantry %s", src, got, first.Digest)
				}
			}
			if got := configOf(t, reg, repository, "1"); got != id || first.Digest != second.Digest || second.Pushed.Pushed || !first.Pushed.Pushed {
				t.Errorf("%s: the configuration is %s, want %s; %s; %s", src, got, id, line(first), line(second))
			}
		}
	}
	for name, id := range want { // by the names that Podman wrote, and as people write them
		for _, ref := range []string{"localhost/" + name + ":1", name + ":1"} {
			r, err := c.try("docker-archive:"+at("both")+":"+ref, reg.Host()+"/both/"+name+":1", Options{})
			if err != nil || configOf(t, reg, "both/"+name, "1") != id {
				t.Errorf("%s: %v, %v", ref, r, err)
			}
		}
	}
	if _, err := c.try("docker-archive:"+at("both"), reg.Host()+"/both/any:1", Options{}); diag.CodeOf(err) != diag.ImageNotThere ||
		!strings.Contains(err.Error(), "localhost/oci:1") {
		t.Errorf("%v", err)
	}
}

// TestCopy_umoci: a layout that umoci made, whose manifests do not say what they are, is read, and written to beside umoci's images.
func TestCopy_umoci(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1})
	c := newCopier(t)
	dir := filepath.Join(c.dir, "layout")
	must(t, "umoci", "init", "--layout", dir)
	must(t, "umoci", "new", "--image", dir+":theirs")
	must(t, "umoci", "unpack", "--image", dir+":theirs", filepath.Join(c.dir, "bundle"))
	if err := os.WriteFile(filepath.Join(c.dir, "bundle/rootfs/hello"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "umoci", "repack", "--image", dir+":theirs", filepath.Join(c.dir, "bundle"))
	c.copy(base.Reference, "oci:"+dir+":ours", Options{})
	for range 2 {
		r := c.copy("oci:"+dir+":theirs", reg.Host()+"/theirs:1", Options{})
		if b := r.Pushed.Blobs; b.Uploaded.Count != 2 && r.Pushed.Pushed {
			t.Errorf("%s", line(r))
		}
	}
	must(t, "umoci", "gc", "--layout", dir) // which keeps what index.json names
	if said := must(t, "umoci", "list", "--layout", dir); !strings.Contains(said, "theirs") || !strings.Contains(said, "ours") {
		t.Error(said)
	}
	if r := c.copy(base.Reference, "oci:"+dir+":ours", Options{}); r.Saved.Written {
		t.Errorf("after umoci's gc: %s", line(r))
	}
	must(t, "umoci", "unpack", "--image", dir+":ours", filepath.Join(c.dir, "ours"))
	if entries, err := os.ReadDir(filepath.Join(c.dir, "ours/rootfs")); err != nil || len(entries) == 0 {
		t.Errorf("umoci unpacked nothing: %v", err)
	}
}

// TestCopy_partial: docker save writes an index of which it has one image when that is all that was pulled: it can be copied by its
// platform, and the error says which.
func TestCopy_partial(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1, Platforms: twoPlatforms})
	c := newCopier(t)
	c.copy(base.Reference, "oci:"+c.dir+"/layout", Options{})
	if err := os.Remove(filepath.Join(c.dir, "layout/blobs/sha256", strings.TrimPrefix(base.Images[1].Manifest.Digest, "sha256:"))); err != nil {
		t.Fatal(err)
	}
	must(t, "tar", "-C", c.dir+"/layout", "-cf", c.dir+"/a.tar", "index.json", "oci-layout", "blobs")
	for _, src := range []string{"oci:" + c.dir + "/layout", "oci-archive:" + c.dir + "/a.tar"} {
		_, err := c.try(src, reg.Host()+"/back:1", Options{})
		if diag.CodeOf(err) != diag.ImageNotThere || !strings.Contains(err.Error(), "which is not there, for linux/arm64; name one platform that is there: linux/amd64") {
			t.Errorf("%s: %v", src, err)
		}
		if r := c.copy(src, reg.Host()+"/back:1", Options{Platform: "linux/amd64"}); string(r.Digest) != base.Images[0].Manifest.Digest {
			t.Errorf("%s: %s", src, line(r))
		}
	}
}

// TestCopy_blobOfIndex: what an artifact has as a blob and an index names as a manifest is brought as both.
func TestCopy_blobOfIndex(t *testing.T) {
	reg, to := testenv.StartOlareg(t), testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1})
	image := base.Images[0]
	holder, err := basemaker.NewImage(basemaker.OCIManifest, image.Config, []basemaker.Blob{basemaker.NewBlob("application/vnd.x+json", image.Manifest.Data)}, basemaker.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	index, err := basemaker.NewIndex(basemaker.OCIIndex, []*basemaker.Image{holder, image})
	if err == nil {
		err = reg.Target().PushIndex(t.Context(), "shop", "both", index, []*basemaker.Image{holder, image})
	}
	if err != nil {
		t.Fatal(err)
	}
	c := newCopier(t)
	c.copy(reg.Reference("shop", "both"), "oci-archive:"+c.dir+"/a.tar", Options{})
	if r := c.copy("oci-archive:"+c.dir+"/a.tar", to.Host()+"/shop:both", Options{}); string(r.Digest) != index.Digest || r.Pushed.Blobs.Uploaded.Count != 3 {
		t.Errorf("%s", line(r))
	}
}
