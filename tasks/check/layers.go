package check

import (
	"context"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// compareLayers holds the layers that the project names in registries, as they are now, against those that each image records: an item
// may name a tag, and a tag moves without a change of the sources that the key stands for. What lies on the machine is the key's business,
// as all sources are.
func (c *checker) compareLayers(ctx context.Context, f *found) error {
	if c.Layers == nil {
		return nil
	}
	for _, i := range f.images {
		now, err := c.Layers(ctx, i.rid)
		if err != nil {
			return err // as the build would say
		}
		if i.config == nil {
			if err := c.readConfig(ctx, i); err != nil {
				return err
			}
		}
		own, err := image.ReadOwn(i.manifest, i.config)
		if err != nil {
			return missf("the layers of the image %s cannot be told: %v", i.doc.Digest, err)
		}
		if why := layersDiffer(own, now); why != "" {
			return missf("the image %s does not have the layers that the project names now: %s", i.doc.Digest, why)
		}
	}
	return nil
}

// layersDiffer says what an image's layers that were taken as they are differ in from those that the items name now; empty means nothing.
// The blobs of tarballs are taken as they are, too, and are not compared: they count.
func layersDiffer(own *image.Own, now *tasks.ExtraLayers) string {
	var have []cas.Digest
	for _, l := range own.Layers {
		if l.Key == tasks.BlobKey(l.Descriptor.Digest) {
			have = append(have, l.Descriptor.Digest)
		}
	}
	var want []*tasks.ExtraLayer
	for _, order := range []string{tasks.OrderBeforeApp, tasks.OrderAfterApp} {
		for i := range now.Layers {
			if l := &now.Layers[i]; l.Blob != nil && l.Order == order {
				want = append(want, l)
			}
		}
	}
	for n, l := range want {
		if d := l.Blob.Descriptor.Digest; l.Blob.Source != nil && (n >= len(have) || have[n] != d) {
			if slices.Contains(have, d) {
				return fmt.Sprintf("%s, of %s, is at another place", d, l.Name)
			}
			return fmt.Sprintf("%s, of %s, is not there", d, l.Name)
		}
	}
	if len(have) != len(want) {
		return fmt.Sprintf("it has %d that were taken as they are, and %d are named", len(have), len(want))
	}
	return ""
}
