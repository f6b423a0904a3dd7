package image

import (
	"errors"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// References are the manifests and blobs that a manifest or index names, each once, in the document's order: an index names manifests
// and nested indexes, a manifest its layers, lowest first, and then its configuration. It asks less than ParseManifest and ParseIndex, as content that
// is carried elsewhere as it is needs no meaning: layers may be of any media type, as those of attestations are. Foreign layers are left
// out. Errors are CONTAINER2003 for another type of document and GANTRY2002 for what is malformed.
func References(body []byte, mediaType string) (manifests, blobs []Descriptor, err error) {
	switch {
	case IsIndex(mediaType):
		var x *Index
		if x, err = ParseIndex(body, mediaType); err == nil {
			manifests = distinct(x.Manifests)
		}
	case IsManifest(mediaType):
		if blobs, err = manifestBlobs(body, mediaType); err != nil {
			err = coded(diag.InvalidBaseManifest, err, "the image's manifest is not valid")
		}
	default:
		err = unknownManifest(mediaType)
	}
	return manifests, blobs, err
}

func manifestBlobs(body []byte, mediaType string) ([]Descriptor, error) {
	o, err := parseTop(body, mediaType)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"manifests", "fsLayers"} {
		if o.has(name) {
			return nil, fmt.Errorf("it has %q, which belongs to another type of document", name)
		}
	}
	if !o.has("config") || !o.has("layers") {
		return nil, errors.New(`"config" or "layers" is missing`)
	}
	raw, err := o.list("layers")
	if err != nil {
		return nil, err
	}
	if len(raw) > maxLayers {
		return nil, fmt.Errorf("it has %d layers, more than %d", len(raw), maxLayers)
	}
	config, err := parseDescriptor(o["config"])
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var blobs []Descriptor
	for i, r := range raw {
		l, err := parseDescriptor(r)
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		if !IsForeign(l.MediaType) {
			blobs = append(blobs, l)
		}
	}
	return distinct(append(blobs, config)), nil
}

func distinct(descs []Descriptor) []Descriptor {
	var out []Descriptor
	seen := map[cas.Digest]bool{}
	for _, d := range descs {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			out = append(out, d)
		}
	}
	return out
}
