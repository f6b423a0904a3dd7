package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
)

// maxImages bounds the images of a Docker archive.
const maxImages = 1000

// dockerEntries makes manifests for the images of a Docker archive, which has none: the configuration and the layers as they lie in the
// archive, in Docker's media types (in OCI's when a layer is compressed with zstd), so that the same archive always gives the same digests. Each layer is read once and must be what the
// configuration says of its content (diff_ids).
func (r *Reader) dockerEntries(ctx context.Context) ([]image.Descriptor, error) {
	body, err := r.small(dockerManifestFile, image.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	var images []dockerEntry
	if err := json.Unmarshal(body, &images); err != nil {
		return nil, fmt.Errorf("%s: %w", dockerManifestFile, err)
	}
	if len(images) == 0 || len(images) > maxImages {
		return nil, fmt.Errorf("%s has %d images", dockerManifestFile, len(images))
	}
	var out []image.Descriptor
	read := map[section]layer{}
	for _, e := range images {
		doc, err := r.dockerImage(ctx, e, read)
		if err != nil {
			return nil, err
		}
		var names []content.Name
		for _, t := range e.RepoTags {
			names = append(names, content.Name{Ref: t})
		}
		out = append(out, content.Entries(doc.Descriptor, names)...)
	}
	return out, nil
}

func (r *Reader) dockerImage(ctx context.Context, e dockerEntry, read map[section]layer) (deliver.Document, error) {
	name, err := cleanName(e.Config)
	if err != nil {
		return deliver.Document{}, fmt.Errorf("configuration %q: %w", e.Config, err)
	}
	body, err := r.small(name, image.MaxConfigBytes)
	if err != nil {
		return deliver.Document{}, err
	}
	config, err := image.ParseConfig(body)
	if err != nil {
		return deliver.Document{}, err
	}
	if len(config.DiffIDs) != len(e.Layers) {
		return deliver.Document{}, fmt.Errorf("the configuration %s has %d layers and %s %d", e.Config, len(config.DiffIDs), dockerManifestFile, len(e.Layers))
	}
	m := image.Manifest{MediaType: image.DockerManifest, Config: deliver.NewDocument(body, image.DockerConfig).Descriptor}
	r.blobs[m.Config.Digest], _ = r.find(name)
	for i, file := range e.Layers {
		l, err := r.dockerLayer(ctx, file, read)
		if err != nil {
			return deliver.Document{}, fmt.Errorf("layer %q: %w", file, err)
		}
		if l.diffID != config.DiffIDs[i] {
			return deliver.Document{}, fmt.Errorf("layer %q holds %s and the configuration says %s", file, l.diffID, config.DiffIDs[i])
		}
		m.Layers = append(m.Layers, l.Descriptor)
	}
	if slices.ContainsFunc(m.Layers, func(l image.Descriptor) bool { return l.MediaType == image.OCILayerZstd }) {
		if err := toOCI(&m); err != nil {
			return deliver.Document{}, err
		}
	}
	if body, err = m.Encode(); err != nil {
		return deliver.Document{}, err
	}
	doc := deliver.NewDocument(body, m.MediaType)
	r.made[doc.Descriptor.Digest] = doc
	return doc, nil
}

// toOCI makes an OCI manifest of one in Docker's format, which has no name for zstd.
func toOCI(m *image.Manifest) error {
	m.MediaType, m.Config.MediaType = image.OCIManifest, image.OCIConfig
	for i, l := range m.Layers {
		t, err := image.LayerType(l.MediaType, image.FormatOCI)
		if err != nil {
			return err
		}
		m.Layers[i].MediaType = t
	}
	return nil
}

// layer is one of a Docker archive, as it lies there.
type layer struct {
	image.Descriptor
	diffID cas.Digest
}

func (r *Reader) dockerLayer(ctx context.Context, file string, read map[section]layer) (layer, error) {
	name, err := cleanName(file)
	if err != nil {
		return layer{}, err
	}
	s, ok := r.find(name)
	if !ok {
		return layer{}, errors.New("it is missing")
	}
	if l, ok := read[s]; ok {
		return l, nil
	}
	l, err := readLayer(content.WithContext(ctx, r.open(s)))
	if err != nil {
		return layer{}, err
	}
	l.Size = s.size
	read[s], r.blobs[l.Digest] = l, s
	return l, nil
}

// readLayer finds out digest, compression and diff ID of a layer.
func readLayer(r io.Reader) (layer, error) {
	stored, inner := sha256.New(), sha256.New()
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return layer{}, err
	}
	head = head[:n]
	in := io.TeeReader(io.MultiReader(bytes.NewReader(head), r), stored)
	mediaType, plain := image.DockerLayerTar, in
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return layer{}, err
		}
		mediaType, plain = image.DockerLayerGzip, z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return layer{}, err
		}
		defer z.Close()
		mediaType, plain = image.OCILayerZstd, z
	}
	if _, err := io.Copy(inner, plain); err != nil {
		return layer{}, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // what stands behind the compressed stream is part of the blob
		return layer{}, err
	}
	return layer{image.Descriptor{MediaType: mediaType, Digest: digestOf(stored)}, digestOf(inner)}, nil
}

func digestOf(h hash.Hash) cas.Digest { return cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }
