// Package basemaker makes base images out of nothing but this machine: one
// that runs .NET apps, from the machine's own runtime, and small ones of any
// shape for tests that run nothing. It also pushes them.
//
// It serves the tests and the demo; the gantry binary never links it. What it
// writes is made by hand and not by Gantry's own image code, so that a fault
// there cannot hide itself.
package basemaker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Media types of manifests, configs and layers (image-spec, media-types.md,
// and the Docker registry's schema 2).
const (
	OCIManifest   = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex      = "application/vnd.oci.image.index.v1+json"
	OCIConfig     = "application/vnd.oci.image.config.v1+json"
	OCILayer      = "application/vnd.oci.image.layer.v1.tar+gzip"
	OCILayerZstd  = "application/vnd.oci.image.layer.v1.tar+zstd"
	OCIForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	DockerImage   = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList    = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig  = "application/vnd.docker.container.image.v1+json"
	DockerLayer   = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// Descriptor is one of image-spec's descriptor.md.
type Descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	URLs      []string  `json:"urls,omitempty"`
	Platform  *Platform `json:"platform,omitempty"`
}

// Platform is that of an image.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	OSVersion    string `json:"os.version,omitempty"`
	Variant      string `json:"variant,omitempty"`
}

// Blob is content of a known digest, in memory or in a file. A blob with
// neither is a foreign layer, which is never pushed.
type Blob struct {
	Descriptor
	Data []byte
	File string
}

// NewBlob describes data.
func NewBlob(mediaType string, data []byte) Blob {
	sum := sha256.Sum256(data)
	return Blob{
		Descriptor: Descriptor{
			MediaType: mediaType,
			Digest:    "sha256:" + hex.EncodeToString(sum[:]),
			Size:      int64(len(data)),
		},
		Data: data,
	}
}

// Open gives the content.
func (b Blob) Open() (io.ReadCloser, error) {
	if b.File != "" {
		return os.Open(b.File)
	}
	return io.NopCloser(bytes.NewReader(b.Data)), nil
}

// Image is an image of one platform.
type Image struct {
	Manifest Blob
	Config   Blob
	Layers   []Blob
	Platform Platform
}

// manifestDocument is image-spec's manifest.md, and Docker's schema 2, which
// have the same fields.
type manifestDocument struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
}

// NewImage writes the manifest of a config and its layers, lowest first.
func NewImage(manifestType string, config Blob, layers []Blob, p Platform) (*Image, error) {
	doc := manifestDocument{SchemaVersion: 2, MediaType: manifestType, Config: config.Descriptor}
	doc.Layers = []Descriptor{}
	for _, l := range layers {
		doc.Layers = append(doc.Layers, l.Descriptor)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return &Image{Manifest: NewBlob(manifestType, body), Config: config, Layers: layers, Platform: p}, nil
}

// NewIndex writes an index, or Docker's manifest list, over images.
func NewIndex(indexType string, images []*Image) (Blob, error) {
	doc := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []Descriptor `json:"manifests"`
	}{SchemaVersion: 2, MediaType: indexType}
	for _, m := range images {
		d := m.Manifest.Descriptor
		p := m.Platform
		d.Platform = &p
		doc.Manifests = append(doc.Manifests, d)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return Blob{}, err
	}
	return NewBlob(indexType, body), nil
}

// readLayout reads the only image of an OCI layout that writeLayout wrote.
func readLayout(dir string) (*Image, error) {
	var index struct {
		Manifests []Descriptor `json:"manifests"`
	}
	body, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &index); err != nil || len(index.Manifests) != 1 {
		return nil, fmt.Errorf("%s: not a layout of one image: %w", dir, err)
	}
	m := blobIn(dir, index.Manifests[0])
	if body, err = os.ReadFile(m.File); err != nil {
		return nil, err
	}
	m.Data, m.File = body, ""
	var doc manifestDocument
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	image := &Image{Manifest: m, Config: blobIn(dir, doc.Config), Platform: *index.Manifests[0].Platform}
	for _, l := range doc.Layers {
		image.Layers = append(image.Layers, blobIn(dir, l))
	}
	return image, nil
}

// writeLayout writes an OCI layout (image-spec, image-layout.md) of one image
// whose layers already lie in dir.
func writeLayout(ctx context.Context, dir string, image *Image) error {
	for _, b := range []Blob{image.Config, image.Manifest} {
		if err := os.WriteFile(blobIn(dir, b.Descriptor).File, b.Data, 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	index, err := NewIndex(OCIIndex, []*Image{image})
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), index.Data, 0o644)
}

func blobIn(dir string, d Descriptor) Blob {
	return Blob{Descriptor: d, File: filepath.Join(dir, "blobs", "sha256", d.Digest[len("sha256:"):])}
}
