// Package content is an image with everything that it names, whatever place it lies in: what is copied from one place to another.
//
// Documents (manifests and indexes) are held in memory, byte for byte, and are proved against their digests; blobs are opened when they
// are needed, as streams that fail at their end when they do not hash to their digest. An Image does not change once it was loaded.
package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// Source is where an image is read; a repository of a registry is one. Manifest takes a digest.
type Source interface {
	pull.Manifests
	pull.Blobs
}

// Image is a manifest, or an index and all that it names.
type Image struct {
	// Top is the manifest or index that the image is known by.
	Top deliver.Document
	// Children are the documents that an index names, those of nested indexes before the index, each once.
	Children []deliver.Document
	// Blobs are all configurations and layers, each once, without foreign layers.
	Blobs []image.Descriptor
	// From opens the blobs.
	From pull.Blobs
	// Prepare, where set, is told of the blobs that are about to be opened, so that they can be fetched side by side.
	Prepare func(ctx context.Context, blobs []image.Descriptor) error
}

// Limits of what an index may name.
const (
	maxNesting   = 4
	maxDocuments = 2000
)

// Load reads all documents that top names. Errors are those of the source and of image.References, and GANTRY2002 for an index that
// names too much.
func Load(ctx context.Context, from Source, top deliver.Document) (*Image, error) {
	l := loader{
		from: from, image: &Image{Top: top, From: from},
		documents: map[cas.Digest]bool{top.Descriptor.Digest: true}, blobs: map[cas.Digest]bool{},
	}
	if err := l.add(ctx, top, 0); err != nil {
		return nil, err
	}
	return l.image, nil
}

// loader tells documents from blobs: registries keep them apart, so what is there as one of them need not be there as the other.
type loader struct {
	from             Source
	image            *Image
	documents, blobs map[cas.Digest]bool
}

func (l *loader) add(ctx context.Context, d deliver.Document, depth int) error {
	manifests, blobs, err := image.References(d.Body, d.Descriptor.MediaType)
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if !l.blobs[b.Digest] {
			l.blobs[b.Digest] = true
			l.image.Blobs = append(l.image.Blobs, b)
		}
	}
	for _, m := range manifests {
		if l.documents[m.Digest] {
			continue
		}
		l.documents[m.Digest] = true
		if depth == maxNesting || len(l.image.Children) == maxDocuments {
			return diag.New(diag.InvalidBaseManifest, fmt.Sprintf("the index %s names more than %d documents, or nests deeper than %d levels",
				l.image.Top.Descriptor.Digest, maxDocuments, maxNesting), "name one of its images by digest")
		}
		child, err := Document(ctx, l.from, m)
		if errors.Is(err, ErrAbsent) {
			return l.incomplete(ctx, d, manifests, m)
		}
		if err != nil {
			return err
		}
		if err := l.add(ctx, child, depth+1); err != nil {
			return err
		}
		l.image.Children = append(l.image.Children, child)
	}
	return nil
}

// incomplete is the error for an index of which the place has a part: docker save writes such archives of images that were pulled for one
// platform, where images are in containerd's store.
func (l *loader) incomplete(ctx context.Context, index deliver.Document, entries []image.Descriptor, missing image.Descriptor) error {
	var have []string
	for _, e := range entries {
		if _, err := Document(ctx, l.from, e); err == nil && e.Platform != nil {
			have = append(have, image.PlatformName(*e.Platform))
		}
	}
	what := fmt.Sprintf("the index %s names %s, which is not there", index.Descriptor.Digest, missing.Digest)
	if missing.Platform != nil {
		what += ", for " + image.PlatformName(*missing.Platform)
	}
	if len(have) == 0 {
		return diag.New(diag.ImageNotThere, what, "make the archive or layout anew")
	}
	return diag.New(diag.ImageNotThere, what, "name one platform that is there: "+strings.Join(have, ", "))
}

// ErrAbsent is in the errors of a Source for what it does not have.
var ErrAbsent = errors.New("it is not there")

// Document reads the manifest or index that a descriptor names, which must be of its media type and size.
func Document(ctx context.Context, from pull.Manifests, d image.Descriptor) (deliver.Document, error) {
	m, err := from.Manifest(ctx, string(d.Digest))
	if err != nil {
		return deliver.Document{}, err
	}
	doc := deliver.NewDocument(m.Body, m.MediaType)
	switch {
	case doc.Descriptor.Digest != d.Digest:
		return doc, diag.New(diag.DigestMismatch, fmt.Sprintf("the manifest %s has the digest %s", d.Digest, doc.Descriptor.Digest), "run again")
	case doc.Descriptor.Size != d.Size || doc.Descriptor.MediaType != d.MediaType:
		return doc, diag.New(diag.InvalidBaseManifest, fmt.Sprintf("the manifest %s is announced as %s of %d bytes and is %s of %d bytes",
			d.Digest, d.MediaType, d.Size, doc.Descriptor.MediaType, doc.Descriptor.Size), "use another image")
	}
	return doc, nil
}

// Select finds the one image of top for a platform, written os/architecture[/variant]; a top that is no index is taken when its
// configuration says that it is for that platform. Fails with GANTRY5016, which lists the platforms that there are.
func Select(ctx context.Context, from Source, top deliver.Document, platform string) (deliver.Document, error) {
	want, err := ParsePlatform(platform)
	if err != nil {
		return top, err
	}
	var have []string
	if !image.IsIndex(top.Descriptor.MediaType) {
		config, err := (&Image{Top: top, From: from}).Config(ctx)
		if err != nil || matches(config.Platform, want) {
			return top, err
		}
		have = []string{image.PlatformName(config.Platform)}
	} else {
		x, err := image.ParseIndex(top.Body, top.Descriptor.MediaType)
		if err != nil {
			return top, err
		}
		for _, m := range x.Manifests {
			if !m.IsPlatformImage() {
				continue
			}
			if matches(*m.Platform, want) {
				return Document(ctx, from, m)
			}
			have = append(have, image.PlatformName(*m.Platform))
		}
	}
	return top, diag.New(diag.ImageNotThere, fmt.Sprintf("%s has no image for %s", top.Descriptor.Digest, platform),
		"it has "+strings.Join(have, ", "))
}

// ParsePlatform reads os/architecture[/variant]. Anything else is GANTRY1009.
func ParsePlatform(s string) (image.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return image.Platform{}, diag.New(diag.BadUsage, fmt.Sprintf("%q is no platform", s), "write os/architecture[/variant], such as linux/arm64")
	}
	p := image.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// matches says whether an image for have runs where want is asked for: arm64 is arm64/v8, and a variant counts only when it is named.
func matches(have, want image.Platform) bool {
	if have.Architecture == "arm64" && have.Variant == "v8" {
		have.Variant = ""
	}
	if want.Architecture == "arm64" && want.Variant == "v8" {
		want.Variant = ""
	}
	return have.OS == want.OS && have.Architecture == want.Architecture && (want.Variant == "" || have.Variant == want.Variant)
}

// IsIndex says whether the image is one for several platforms.
func (i *Image) IsIndex() bool { return image.IsIndex(i.Top.Descriptor.MediaType) }

// Manifest is that of an image of one platform.
func (i *Image) Manifest() (*image.Manifest, error) {
	return image.ParseManifest(i.Top.Body, i.Top.Descriptor.MediaType)
}

// Config is the configuration of an image of one platform.
func (i *Image) Config(ctx context.Context) (*image.Config, error) {
	body, err := i.ConfigBody(ctx)
	if err != nil {
		return nil, err
	}
	return image.ParseConfig(body)
}

// ConfigBody is the configuration of an image of one platform, byte for byte. One larger than image.MaxConfigBytes is GANTRY2003.
func (i *Image) ConfigBody(ctx context.Context) ([]byte, error) {
	m, err := i.Manifest()
	if err != nil {
		return nil, err
	}
	if m.Config.Size > image.MaxConfigBytes {
		return nil, diag.New(diag.InvalidBaseConfig, fmt.Sprintf("the configuration %s has %d bytes, more than %d", m.Config.Digest, m.Config.Size, image.MaxConfigBytes),
			"use another image")
	}
	from := i.From
	if w, ok := from.(watched); ok {
		from = w.from // it is only looked at here, and is told of when it is copied
	}
	var body []byte
	err = registry.Retrieve(ctx, from, m.Config.Digest, m.Config.Size, func(r io.Reader) (err error) {
		body, err = io.ReadAll(r)
		return err
	})
	return body, err
}

// Ready has the blobs fetched that are about to be opened.
func (i *Image) Ready(ctx context.Context, blobs []image.Descriptor) error {
	if i.Prepare == nil {
		return nil
	}
	return i.Prepare(ctx, blobs)
}
