package msbuild

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// files are those of a layer: their contents by path.
type files map[string]string

// tar is an archive of them, in the order of their paths.
func (f files) tar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o755, Size: int64(len(f[path]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gzip is the archive, compressed.
func (f files) gzip(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(f.tar(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pushLayers makes an image of layers on a base, or on nothing, with a client that is not ours, and returns the digests of the layers.
func (s *site) pushLayers(reference string, base v1.Image, layers ...files) []string {
	s.t.Helper()
	image, err := base, error(nil)
	if image == nil {
		image = mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var digests []string
	for _, f := range layers {
		data := f.tar(s.t)
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
		layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
		if err == nil {
			image, err = mutate.AppendLayers(image, layer)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		digest, err := layer.Digest()
		if err != nil {
			s.t.Fatal(err)
		}
		digests = append(digests, digest.String())
	}
	if err := remote.Write(parseReference(s.t, s.registry.Reference(reference, "1")), image); err != nil {
		s.t.Fatal(err)
	}
	return digests
}

// layerOf is the number of the layer that has a file, counted from the lowest.
func layerOf(t *testing.T, image v1.Image, path string) int {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, layer := range layers {
		if _, ok := appFiles(t, oneLayer{image, layer}, 0)[path]; ok {
			return n
		}
	}
	t.Errorf("no layer has %s", path)
	return -1
}

// oneLayer is an image as if it had one layer alone.
type oneLayer struct {
	v1.Image
	layer v1.Layer
}

// Layers implements v1.Image.
func (o oneLayer) Layers() ([]v1.Layer, error) { return []v1.Layer{o.layer}, nil }

// layerDigests are those of an image, lowest first.
func (s *site) layerDigests(repository, reference string) []string {
	s.t.Helper()
	manifest, err := s.image(repository, reference).Manifest()
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, l := range manifest.Layers {
		all = append(all, l.Digest.String())
	}
	return all
}

// layerItems puts ContainerLayer items into a project.
func (s *site) layerItems(file string, items ...string) {
	s.t.Helper()
	s.add(file, "<ItemGroup>\n"+strings.Join(items, "\n")+"\n</ItemGroup>")
}
