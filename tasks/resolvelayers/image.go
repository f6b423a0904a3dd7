package resolvelayers

import (
	"context"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Annotations and labels that name an image's base (image-spec, annotations.md).
const (
	baseDigest = "org.opencontainers.image.base.digest"
	baseName   = "org.opencontainers.image.base.name"
)

// image finds the layers of another image above its base, or from a layer on.
func (r *resolver) image(ctx context.Context, it *item) ([]tasks.ExtraLayer, error) {
	ref, err := it.reference(r.req)
	if err != nil {
		return nil, err
	}
	p, err := r.picture(ctx, it.label(), ref)
	if err != nil {
		return nil, err
	}
	first, err := r.first(ctx, it, p)
	if err != nil {
		return nil, err
	}
	if first >= len(p.manifest.Layers) {
		return nil, it.problem(fmt.Sprintf("takes no layer: %s has %d, of which the first %d are left out", ref, len(p.manifest.Layers), first),
			"set From to a smaller number, counted from 0, or name another image")
	}
	r.Log.Info("layers of an image are taken", "stage", Stage, "ref", ref.String(), "digest", p.digest, "first", first, "layers",
		len(p.manifest.Layers)-first)
	var layers []tasks.ExtraLayer
	for n := first; n < len(p.manifest.Layers); n++ {
		l := p.manifest.Layers[n]
		if err := checkLayerType(fmt.Sprintf("%s: layer %d of %s has the media type %s",
			it.label(), n, ref, l.MediaType), l.MediaType, l.URLs); err != nil {
			return nil, err
		}
		b := p.layer(n)
		if known, ok := r.Records.LayerBlob(b.Digest); ok && known.DiffID == b.DiffID && known.Size == b.Size {
			b.Contents, b.In = known.Contents, known.In
		}
		blob, err := r.blob(ctx, it.label(), b, ref.Name)
		if err != nil {
			return nil, err
		}
		layer := it.layer(blob, nil)
		layer.Name = fmt.Sprintf("%s layer %d", it.name, n)
		layers = append(layers, layer)
	}
	return layers, nil
}

// first is the number of the first layer that is taken.
func (r *resolver) first(ctx context.Context, it *item, p *picture) (int, error) {
	if it.from >= 0 {
		return it.from, nil
	}
	if it.Base != "" {
		ref, err := it.full(it.Base, r.req)
		if err != nil {
			return 0, err
		}
		return r.above(ctx, it, p, ref)
	}
	own, why := image.ReadOwn(p.manifest, p.raw)
	if why == nil {
		return len(own.Base), nil
	}
	r.Log.Debug("the image is none that Gantry made", "stage", Stage, "ref", p.ref.String(), "reason", why.Error())
	if ref, ok := p.base(); ok {
		return r.above(ctx, it, p, ref)
	}
	return 0, it.problem(fmt.Sprintf("does not say which layers of %s are wanted, and the image does not say what its base is", p.ref),
		"set Base to the image's base, or From to the number of the first layer, counted from 0; the image has "+fmt.Sprint(len(p.manifest.Layers)))
}

// base is what annotations or labels say of an image's base: its digest, in the repository that they name, else in the image's own.
func (p *picture) base() (registry.Reference, bool) {
	for _, says := range []map[string]string{p.manifest.Annotations, p.config.Labels} {
		d, err := cas.ParseDigest(says[baseDigest])
		if err != nil {
			continue
		}
		ref := registry.Reference{Name: p.ref.Name, Digest: d}
		if name := says[baseName]; name != "" {
			named, err := registry.ParseReference(name)
			if err != nil {
				continue
			}
			ref.Name = named.Name
		}
		return ref, true
	}
	return registry.Reference{}, false
}

// above is the number of layers of the base, which must be the image's lowest. They are compared by diff ID: the same layer may be
// compressed in another way.
func (r *resolver) above(ctx context.Context, it *item, p *picture, ref registry.Reference) (int, error) {
	base, err := r.picture(ctx, it.label(), ref)
	if err != nil {
		return 0, err
	}
	n := len(base.config.DiffIDs)
	if n > len(p.config.DiffIDs) || !slices.Equal(base.config.DiffIDs, p.config.DiffIDs[:n]) {
		return 0, diag.New(diag.InvalidLayerItem, fmt.Sprintf("%s: the lowest layers of %s are not those of %s", it.label(), p.ref, ref),
			"set Base to the image on which it was made, or From to the number of the first layer, counted from 0")
	}
	return n, nil
}
