package save

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/registry"
)

// held is the part of the image that an engine can hold: all of it, or of an index the one image for the platform of its machine, as with
// podman load.
func (r *run) held(ctx context.Context, e *engine.Engine) (*content.Image, error) {
	if !r.image.IsIndex() {
		return r.image, nil
	}
	platform, err := e.Single(ctx)
	if err != nil || platform == "" {
		return r.image, err
	}
	from := documents{r.blobs, map[string]deliver.Document{}}
	for _, c := range r.image.Children {
		from.by[string(c.Descriptor.Digest)] = c
	}
	doc, err := content.Select(ctx, from, r.image.Top, platform)
	if err != nil {
		return nil, err
	}
	img, err := content.Load(ctx, from, doc)
	if err != nil {
		return nil, err
	}
	img.Prepare = r.image.Prepare
	r.did.Digest = doc.Descriptor.Digest
	r.Log.Info(fmt.Sprintf("%s holds no image for several platforms: it gets that for %s", e.Kind, platform), "digest", doc.Descriptor.Digest)
	return img, nil
}

// documents are the images of an index, with their blobs.
type documents struct {
	*blobs
	by map[string]deliver.Document
}

// Manifest implements content.Source.
func (d documents) Manifest(_ context.Context, digest string) (*registry.Manifest, error) {
	doc, ok := d.by[digest]
	if !ok {
		return nil, content.ErrAbsent
	}
	return &registry.Manifest{MediaType: doc.Descriptor.MediaType, Digest: cas.Digest(digest), Body: doc.Body}, nil
}
