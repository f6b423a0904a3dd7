package imagediff

import (
	"context"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
)

// layers compares the layers and the files above those that both images begin with.
func (c *comparison) layers(ctx context.Context) error {
	x, y := c.a.manifest.Layers, c.b.manifest.Layers
	c.r.Layers = shareLayers(x, y)
	same := 0
	for same < min(len(x), len(y)) && x[same].Digest == y[same].Digest {
		same++
	}
	if same == len(x) && same == len(y) {
		c.mediaTypes()
		return nil
	}
	before := len(c.r.Differences)
	files, err := c.a.above(ctx, same)
	if err != nil {
		return err
	}
	others, err := c.b.above(ctx, same)
	if err != nil {
		return err
	}
	f := &fileComparison{r: c.r, root: c.a.workingDirectory(), a: imageFiles{c.a, files}, b: imageFiles{c.b, others}, attributes: true}
	if err := f.run(ctx); err != nil {
		return err
	}
	c.lists(len(c.r.Differences) > before)
	return nil
}

// shareLayers counts a layer that an image has twice twice.
func shareLayers(x, y []image.Descriptor) *Layers {
	l := &Layers{Shared: []LayerInfo{}, OnlyA: []LayerInfo{}, OnlyB: []LayerInfo{}}
	left := map[cas.Digest]int{}
	for _, d := range y {
		left[d.Digest]++
	}
	for _, d := range x {
		if left[d.Digest] > 0 {
			left[d.Digest]--
			l.Shared = append(l.Shared, layerInfo(d))
		} else {
			l.OnlyA = append(l.OnlyA, layerInfo(d))
		}
	}
	for _, d := range slices.Backward(y) { // of two equal ones the first is the shared one
		if left[d.Digest] > 0 {
			left[d.Digest]--
			l.OnlyB = append(l.OnlyB, layerInfo(d))
		}
	}
	slices.Reverse(l.OnlyB)
	return l
}

// lists says that the layers differ: as a consequence of their files, or with equal files for a reason of their own.
func (c *comparison) lists(filesDiffer bool) {
	d := Difference{Part: PartLayers, Kind: Changed, Name: "layers", weight: weightLayers}
	d.A, d.B = fmt.Sprint(len(c.a.manifest.Layers)), fmt.Sprint(len(c.b.manifest.Layers))
	only := len(c.r.Layers.OnlyA) + len(c.r.Layers.OnlyB)
	switch {
	case c.foreign():
		d.Text = "foreign layers differ, whose content no registry has"
	case filesDiffer:
		d.Text = fmt.Sprintf("%d layers are only in A, %d only in B, %d are in both", len(c.r.Layers.OnlyA), len(c.r.Layers.OnlyB), len(c.r.Layers.Shared))
		d.weight, d.Consequence = weightConsequence, true
	case slices.Equal(c.a.config.DiffIDs, c.b.config.DiffIDs):
		d.Text = "the layers have the same content and are compressed differently"
		d.Remedy = "compress with the same version and level on all machines"
	case only == 0:
		d.Text = "the same layers are in another order"
	default:
		d.Text = "the same files are divided into layers differently, or their tar archives are written differently"
	}
	c.r.add(d)
}

func (c *comparison) foreign() bool {
	for _, l := range slices.Concat(c.r.Layers.OnlyA, c.r.Layers.OnlyB) {
		if image.IsForeign(l.MediaType) {
			return true
		}
	}
	return false
}

// mediaTypes compares how the manifests describe layers that are the same.
func (c *comparison) mediaTypes() {
	if image.FormatOf(c.a.manifest.MediaType) != image.FormatOf(c.b.manifest.MediaType) {
		return // they follow the format
	}
	for i, x := range c.a.manifest.Layers {
		if y := c.b.manifest.Layers[i]; x.MediaType != y.MediaType {
			c.r.add(Difference{
				Part: PartLayers, Kind: Changed, Name: string(x.Digest), A: x.MediaType, B: y.MediaType, weight: weightLayers,
				Text: fmt.Sprintf("the media type of layer %s changed: %s → %s", x.Digest, x.MediaType, y.MediaType),
			})
		}
	}
}
