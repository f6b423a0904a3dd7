// Package archive writes and reads images as one tar file: Docker archives, as docker save of old and the .NET SDK write them, and OCI
// archives, which are OCI image layouts in a tar.
//
// What is written is the same bytes for the same image: entries in a fixed order, with the time 0, the mode 0644 and no owner. It streams:
// no blob is held in memory. A file that has these bytes already is found out by its headers and by the digests of what it holds, so that
// nothing needs to be read from where the image comes from, and is left alone; else it is replaced as a whole.
//
// An OCI archive of one platform has Docker's manifest.json as well, as docker save has written since Docker 25: podman load takes no OCI
// archive with two tags without it (seen with 4.3), and docker load needs it where images are not in containerd's store.
package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

// Archive is an image that is to be written as a tar file.
type Archive struct {
	image   *content.Image
	entries []entry
}

// entry is one file of the archive: a document, or a blob.
type entry struct {
	name string
	data []byte
	blob *image.Descriptor
}

func (e entry) size() int64 {
	if e.blob != nil {
		return e.blob.Size
	}
	return int64(len(e.data))
}

// dockerEntry is one image of manifest.json (moby, image/tarexport).
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// NewDocker plans a Docker archive. It holds one image of one platform, whose layers are in a form that Docker knows: else GANTRY5017.
func NewDocker(img *content.Image, names []content.Name) (*Archive, error) {
	if img.IsIndex() {
		return nil, cannotHold("an image for several platforms")
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		if t, err := image.LayerType(l.MediaType, image.FormatDocker); err != nil || image.IsForeign(t) {
			return nil, cannotHold("a layer of media type " + l.MediaType)
		}
	}
	a := &Archive{image: img}
	doc, err := dockerManifest(m, names,
		func(l cas.Digest) string { return l.Hex() + "/layer.tar" }, func(c cas.Digest) string { return c.Hex() + ".json" })
	if err != nil {
		return nil, err
	}
	for _, b := range img.Blobs {
		name := b.Digest.Hex() + "/layer.tar"
		if b.Digest == m.Config.Digest {
			name = b.Digest.Hex() + ".json"
		}
		a.entries = append(a.entries, entry{name: name, blob: &b})
	}
	a.entries = append(a.entries, entry{name: dockerManifestFile, data: doc})
	return a, nil
}

func cannotHold(what string) error {
	return diag.New(diag.FormatCannotHold, "a Docker archive cannot hold "+what,
		"write an OCI archive (GantryArchiveFormat=oci), or choose one platform or another compression")
}

func dockerManifest(m *image.Manifest, names []content.Name, layer, config func(cas.Digest) string) ([]byte, error) {
	e := dockerEntry{Config: config(m.Config.Digest), RepoTags: []string{}, Layers: []string{}}
	for _, n := range content.Names(names) {
		if n.RepoTag != "" {
			e.RepoTags = append(e.RepoTags, n.RepoTag)
		}
	}
	for _, l := range m.Layers {
		e.Layers = append(e.Layers, layer(l.Digest))
	}
	return image.Encode([]dockerEntry{e})
}

// The files of archives and layouts.
const (
	dockerManifestFile = "manifest.json"
	indexFile          = "index.json"
	layoutFile         = "oci-layout"
	blobsDir           = "blobs/sha256/"
)

// layoutText is the content of oci-layout, byte for byte as the .NET SDK writes it.
const layoutText = `{"imageLayoutVersion": "1.0.0"}`

// NewOCI plans an OCI archive. Every name is an entry of index.json; without names there is one entry.
func NewOCI(img *content.Image, names []content.Name) (*Archive, error) {
	a := &Archive{image: img}
	documents := append(slices.Clone(img.Children), img.Top)
	for _, b := range img.Blobs {
		if !slices.ContainsFunc(documents, func(d deliver.Document) bool { return d.Descriptor.Digest == b.Digest }) {
			a.entries = append(a.entries, entry{name: blobName(b.Digest), blob: &b})
		}
	}
	for _, d := range documents {
		a.entries = append(a.entries, entry{name: blobName(d.Descriptor.Digest), data: d.Body})
	}
	index, err := (&image.Index{MediaType: image.OCIIndex, Manifests: content.Entries(img.Top.Descriptor, names)}).Encode()
	if err != nil {
		return nil, err
	}
	if doc := alsoDocker(img, names); doc != nil {
		a.entries = append(a.entries, entry{name: dockerManifestFile, data: doc})
	}
	a.entries = append(a.entries, entry{name: indexFile, data: index}, entry{name: layoutFile, data: []byte(layoutText)})
	return a, nil
}

func blobName(d cas.Digest) string { return blobsDir + d.Hex() }

// alsoDocker is a manifest.json for an OCI archive; nil for an image that Docker's archives do not know.
func alsoDocker(img *content.Image, names []content.Name) []byte {
	if img.IsIndex() {
		return nil
	}
	m, err := img.Manifest()
	if err != nil {
		return nil
	}
	for _, l := range m.Layers {
		if image.IsForeign(l.MediaType) {
			return nil
		}
	}
	doc, err := dockerManifest(m, names, blobName, blobName)
	if err != nil {
		return nil
	}
	return doc
}

// Blobs are those that the archive holds.
func (a *Archive) Blobs() []image.Descriptor {
	var out []image.Descriptor
	for _, e := range a.entries {
		if e.blob != nil {
			out = append(out, *e.blob)
		}
	}
	return out
}

// Without is the archive without some blobs, for a reader that has them.
func (a *Archive) Without(has map[cas.Digest]bool) *Archive {
	out := &Archive{image: a.image}
	for _, e := range a.entries {
		if e.blob == nil || !has[e.blob.Digest] {
			out.entries = append(out.entries, e)
		}
	}
	return out
}

const blockSize = 512

// Size is that of the file in bytes.
func (a *Archive) Size() (n int64) {
	for _, e := range a.entries {
		n += int64(len(e.header())) + e.size() + int64(len(padding(e.size())))
	}
	return n + int64(len(trailer))
}

var (
	trailer = make([]byte, 2*blockSize) // two empty blocks
	zeros   = make([]byte, blockSize)
)

func padding(size int64) []byte { return zeros[:(blockSize-size%blockSize)%blockSize] }

// header are the bytes that stand before the content of e: one block, or more for a size that needs them.
func (e entry) header() []byte {
	var b bytes.Buffer
	h := tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: e.size(), Mode: 0o644, ModTime: time.Unix(0, 0)}
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		panic(err) // names are ours, and sizes were checked when they were read
	}
	return b.Bytes()
}

// Write streams the archive. Errors are those of the blobs and of w.
func (a *Archive) Write(ctx context.Context, w io.Writer) error {
	for _, e := range a.entries {
		if _, err := w.Write(e.header()); err != nil {
			return err
		}
		if err := a.writeContent(ctx, w, e); err != nil {
			return err
		}
		if _, err := w.Write(padding(e.size())); err != nil {
			return err
		}
	}
	_, err := w.Write(trailer)
	return err
}

func (a *Archive) writeContent(ctx context.Context, w io.Writer, e entry) error {
	if e.blob == nil {
		_, err := w.Write(e.data)
		return err
	}
	return content.CopyBlob(ctx, a.image.From, *e.blob, w)
}
