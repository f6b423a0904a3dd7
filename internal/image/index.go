package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
)

// maxManifests bounds the entries of an index.
const maxManifests = 1000

// Index is an image index or manifest list.
type Index struct {
	MediaType string
	Manifests []Descriptor // in the document's order; Platform is nil where the entry has none
}

// ParseIndex reads an index. mediaType is what the registry said that it is. Errors are CONTAINER2003 for another type of document,
// GANTRY2002 for what is malformed. Entries of other media types (attestations, nested indexes) are kept: Select refuses them only
// when they would be used.
func ParseIndex(body []byte, mediaType string) (*Index, error) {
	if !IsIndex(mediaType) {
		return nil, unknownManifest(mediaType)
	}
	x := &Index{MediaType: mediaType}
	if err := x.parse(body); err != nil {
		return nil, coded(diag.InvalidBaseManifest, err, "the base image's index is not valid")
	}
	return x, nil
}

func (x *Index) parse(body []byte) error {
	o, err := parseTop(body, x.MediaType)
	if err != nil {
		return err
	}
	for _, name := range []string{"config", "layers", "fsLayers"} {
		if o.has(name) {
			return fmt.Errorf("it has %q, which belongs to another type of document", name)
		}
	}
	if !o.has("manifests") {
		return errors.New(`"manifests" is missing`)
	}
	raw, err := o.list("manifests")
	if err != nil {
		return err
	}
	if len(raw) > maxManifests {
		return fmt.Errorf("it has %d manifests, more than %d", len(raw), maxManifests)
	}
	for i, r := range raw {
		d, err := parseEntry(r)
		if err != nil {
			return fmt.Errorf("manifest %d: %w", i, err)
		}
		x.Manifests = append(x.Manifests, d)
	}
	return nil
}

func parseEntry(raw json.RawMessage) (Descriptor, error) {
	d, err := parseDescriptor(raw)
	if err != nil {
		return d, err
	}
	o, err := asObject(raw)
	if err != nil {
		return d, err
	}
	p, err := o.object("platform")
	if err != nil || p == nil {
		return d, err
	}
	platform, err := parsePlatform(p)
	if err != nil {
		return d, fmt.Errorf("platform: %w", err)
	}
	d.Platform = &platform
	return d, nil
}

// parsePlatform reads the members that index entries and configurations share (image-spec, image-index.md and config.md).
func parsePlatform(o object) (p Platform, err error) {
	for name, at := range map[string]*string{
		"architecture": &p.Architecture, "os": &p.OS, "os.version": &p.OSVersion, "variant": &p.Variant,
	} {
		if *at, err = o.text(name); err != nil {
			return p, err
		}
	}
	p.OSFeatures, err = o.texts("os.features")
	return p, err
}

// NewIndex makes an index of images in one format, sorted by platform (os, architecture, variant, version). Two images of one platform
// are refused with GANTRY5004: which of them would run would be the client's choice.
func NewIndex(format string, manifests []Descriptor) (*Index, error) {
	sorted := slices.Clone(manifests)
	slices.SortFunc(sorted, func(a, b Descriptor) int { return comparePlatforms(a.Platform, b.Platform) })
	for i := 1; i < len(sorted); i++ {
		if comparePlatforms(sorted[i-1].Platform, sorted[i].Platform) == 0 {
			return nil, diag.New(diag.IndexMismatch,
				fmt.Sprintf("two images are for the platform %s: %s and %s", PlatformName(*sorted[i].Platform), sorted[i-1].Digest, sorted[i].Digest),
				"name each runtime identifier once, and use a base image that has a variant for each of them")
		}
	}
	return &Index{MediaType: IndexType(format), Manifests: sorted}, nil
}

func comparePlatforms(a, b *Platform) int {
	return cmp.Or(cmp.Compare(a.OS, b.OS), cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Variant, b.Variant),
		cmp.Compare(a.OSVersion, b.OSVersion), slices.Compare(a.OSFeatures, b.OSFeatures))
}

// IsPlatformImage tells an entry that is the image of a platform from what only lies beside it, such as the attestations of docker buildx, whose
// platform is unknown/unknown.
func (d Descriptor) IsPlatformImage() bool {
	return IsManifest(d.MediaType) && d.Platform != nil && d.Platform.OS != "unknown"
}

// PlatformName writes a platform as os/architecture/variant, with the version behind it.
func PlatformName(p Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	if p.OSVersion != "" {
		s += " (" + p.OSVersion + ")"
	}
	return s
}

// indexJSON fixes the order of an index's members.
type indexJSON struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []Descriptor `json:"manifests"`
}

// Encode writes the index as compact JSON with its members always in the same order.
func (x *Index) Encode() ([]byte, error) {
	return Encode(indexJSON{2, x.MediaType, x.Manifests})
}
