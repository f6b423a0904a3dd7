package createlayers

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
)

// layout writes an OCI image layout with one image, tagged app, made of layers alone.
func (a *app) layout(t testing.TB, layers []tasks.Layer, entrypoint ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	descriptor := func(v any, mediaType string) image.Descriptor {
		data, err := json.Marshal(v)
		must(t, err)
		d := cas.DigestOf(data)
		write(t, dir, "blobs/sha256/"+d.Hex(), string(data))
		return image.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	}
	var diffIDs []cas.Digest
	var descriptors []image.Descriptor
	for _, l := range layers {
		blob, err := a.store.ReadAll(l.Descriptor.Digest)
		must(t, err)
		write(t, dir, "blobs/sha256/"+l.Descriptor.Digest.Hex(), string(blob))
		diffIDs, descriptors = append(diffIDs, l.DiffID), append(descriptors, l.Descriptor)
	}
	type object = map[string]any
	config := descriptor(object{
		"architecture": "amd64", "os": "linux", "config": object{"Entrypoint": entrypoint}, "rootfs": object{"type": "layers", "diff_ids": diffIDs},
	}, "application/vnd.oci.image.config.v1+json")
	manifest := descriptor(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": descriptors},
		"application/vnd.oci.image.manifest.v1+json")
	index, err := json.Marshal(object{"schemaVersion": 2, "manifests": []object{{
		"mediaType": manifest.MediaType, "digest": manifest.Digest, "size": manifest.Size, "annotations": object{"org.opencontainers.image.ref.name": "app"},
	}}})
	must(t, err)
	write(t, dir, "index.json", string(index))
	write(t, dir, "oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	return dir
}

func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// unpack returns what umoci makes of layers: for each path its mode, time and content.
func (a *app) unpack(t testing.TB, layers []tasks.Layer) map[string]string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	tool(t, "umoci", "unpack", "--rootless", "--image", a.layout(t, layers)+":app", bundle)
	root, tree := filepath.Join(bundle, "rootfs"), map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		fi, err := d.Info()
		must(t, err)
		content := ""
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			must(t, err)
			content = string(data)
		}
		tree[strings.TrimPrefix(path, root)] = fmt.Sprintf("%s %d %q", fi.Mode(), fi.ModTime().Unix(), content)
		return nil
	}))
	return tree
}

// However the files are grouped and compressed, the image has the same files and folders as with one layer.
func TestLayersTogetherAreTheSingleLayer(t *testing.T) {
	testenv.Require(t, "umoci")
	a := newApp(t)
	a.base.Format = tasks.FormatOCI
	large := strings.Repeat("package ", smallPackage/8)
	for _, id := range []string{"Polly", "Npgsql", "Two.Halves"} {
		write(t, a.dir, id+".dll", large+id)
		write(t, a.dir, "de/"+id+".resources.dll", id)
	}
	a.list(t, func(files []tasks.FileEntry) []tasks.FileEntry {
		for i := range files {
			if id, _, ok := strings.Cut(filepath.Base(files[i].Path), ".dll"); ok && files[i].Origin == "" {
				files[i].Origin, files[i].OriginName = tasks.OriginPackage, strings.TrimSuffix(id, ".resources")
			}
		}
		return files
	})
	want := a.unpack(t, a.run(t, func(r *Request) { r.Layers = LayersSingle }).Layers)
	if len(want) != 33 {
		t.Errorf("the single layer has %d paths, want 33", len(want))
	}
	for _, tt := range []struct {
		name   string
		layers int
		edit   func(*Request)
	}{
		{"auto", 7, nil},
		{"own layers, not compressed", 9, func(r *Request) {
			r.Compression = "none"
			r.OwnLayers = []OwnLayer{{Name: "web", Files: []string{"wwwroot/**"}}, {Name: "languages", Files: []string{"de/*"}}}
		}},
	} {
		got := a.run(t, tt.edit)
		if len(got.Layers) != tt.layers {
			t.Errorf("%s: layers %s, want %d", tt.name, digests(got), tt.layers)
		}
		if tree := a.unpack(t, got.Layers); !maps.Equal(tree, want) {
			for path := range want {
				if tree[path] != want[path] {
					t.Errorf("%s: %s is %.80s, want %.80s", tt.name, path, tree[path], want[path])
				}
			}
			t.Errorf("%s: %d paths, want %d", tt.name, len(tree), len(want))
		}
	}
}

// Others copy images with such layers through a registry, and run them.
func TestPodmanRunsEachCompression(t *testing.T) {
	testenv.Require(t, "skopeo")
	p, r := testenv.NewPodman(t), testenv.StartRegistry(t)
	a := newApp(t)
	a.base.Format = tasks.FormatOCI
	copyFile(t, testenv.BuildGantry(t), filepath.Join(a.dir, "gantry"))
	a.list(t)
	for _, compression := range []string{"zstd", "none"} {
		layers := a.run(t, func(r *Request) { r.Compression = compression }).Layers
		layout, reference := a.layout(t, layers, "/app/gantry", "--version"), r.Reference("app", compression)
		tool(t, "skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+layout+":app", "docker://"+reference)
		if got := p.Run(reference, nil); got.Code != 0 || !strings.Contains(got.Output, "gantry") {
			t.Errorf("%s: exit status %d, %s", compression, got.Code, got.Output)
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.Create(to)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}
