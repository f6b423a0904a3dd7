package resolvelayers

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
)

// picture is one image: its manifest and configuration.
type picture struct {
	ref      registry.Reference
	named    cas.Digest // of what the reference names: the manifest, or the index that has it
	digest   cas.Digest // of the manifest
	manifest *image.Manifest
	config   *image.Config
	raw      []byte // of the configuration
}

// picture reads an image, of an index the one for the platform. label begins messages.
func (r *resolver) picture(ctx context.Context, label string, ref registry.Reference) (*picture, error) {
	from := r.repository(ref.Name)
	doc, err := pull.Reference(ctx, r.Store, from, ref, r.policy, r.Log)
	if err != nil {
		return nil, err
	}
	p := &picture{ref: ref, named: doc.Digest}
	if image.IsIndex(doc.MediaType) {
		index, err := image.ParseIndex(doc.Body, doc.MediaType)
		if err != nil {
			return nil, inImage(label, ref, err)
		}
		if r.req.RuntimeIdentifier == "" {
			return nil, diag.New(diag.InvalidLayerItem, fmt.Sprintf("%s: %s is an index, and the image's runtime identifier is not known",
				label, ref), "set ContainerRuntimeIdentifier")
		}
		entry, err := index.Select(r.graph, r.req.RuntimeIdentifier, ref.String())
		if err != nil {
			return nil, inImage(label, ref, err)
		}
		if doc, err = pull.Manifest(ctx, r.Store, from, entry.Digest, r.Log); err != nil {
			return nil, err
		}
		doc.MediaType = entry.MediaType
	}
	p.digest = doc.Digest
	if p.manifest, err = image.ParseManifest(doc.Body, doc.MediaType); err != nil {
		return nil, inImage(label, ref, err)
	}
	if p.raw, err = pull.Small(ctx, r.Store, from, p.manifest.Config, image.MaxConfigBytes, r.Log); err != nil {
		return nil, err
	}
	if p.config, err = image.ParseConfig(p.raw); err != nil {
		return nil, inImage(label, ref, err)
	}
	if layers, ids := len(p.manifest.Layers), len(p.config.DiffIDs); layers != ids {
		return nil, diag.New(diag.InvalidLayerItem, fmt.Sprintf("%s: %s has %d layers and %d diff IDs", label, ref, layers, ids),
			"name another image")
	}
	return p, nil
}

// inImage says in which image something is wrong.
func inImage(label string, ref registry.Reference, err error) error {
	code := diag.CodeOf(err)
	if code == diag.UnknownMediaType {
		code = diag.UnknownCompression
	}
	return diag.Wrap(code, err, fmt.Sprintf("%s: the image %s cannot be used", label, ref), "")
}

// layer is what the image says of one of its layers.
func (p *picture) layer(n int) *records.LayerBlob {
	d := p.manifest.Layers[n]
	return &records.LayerBlob{Digest: d.Digest, MediaType: d.MediaType, Size: d.Size, DiffID: p.config.DiffIDs[n], By: records.ByManifest}
}

// said is what the image that Reference names says of the item's layer; nil without a Reference.
func (r *resolver) said(ctx context.Context, it *item) (*records.LayerBlob, error) {
	if it.Reference == "" {
		return nil, nil
	}
	ref, err := it.reference(r.req)
	if err != nil {
		return nil, err
	}
	p, err := r.picture(ctx, it.label(), ref)
	if err != nil {
		return nil, err
	}
	switch it.digest {
	case p.digest, p.named:
		return nil, diag.New(diag.NotALayer, fmt.Sprintf("%s is the digest of %s itself", it.label(), ref),
			"name the digest of a layer, as the manifest lists it, or set Type=Image")
	case p.manifest.Config.Digest:
		return nil, diag.New(diag.NotALayer, fmt.Sprintf("%s is the digest of the configuration of %s", it.label(), ref),
			"name the digest of a layer, as the manifest lists it")
	}
	for n, l := range p.manifest.Layers {
		if l.Digest != it.digest {
			continue
		}
		if err := checkLayerType(fmt.Sprintf("%s: in %s it has the media type %s",
			it.label(), ref, l.MediaType), l.MediaType, l.URLs); err != nil {
			return nil, err
		}
		return p.layer(n), nil
	}
	return nil, diag.New(diag.LayerNotFound, fmt.Sprintf("%s: the image %s, which Reference names, has no such layer; it has %d others",
		it.label(), ref, len(p.manifest.Layers)),
		"name an image that has the layer, or remove Reference")
}
