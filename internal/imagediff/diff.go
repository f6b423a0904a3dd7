package imagediff

import (
	"bytes"
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
)

// Run compares. Errors are those of the registry, CONTAINER2009 for a reference and CONTAINER2011 for a folder that cannot be used,
// CONTAINER1011 for a platform that an index does not have, GANTRY2002 to 2004 for an image that is not valid, and GANTRY1009 for two
// folders.
func Run(ctx context.Context, d Deps, o Options) (*Report, error) {
	a, err := d.open(ctx, o.A, o.Dir)
	if err != nil {
		return nil, err
	}
	b, err := d.open(ctx, o.B, o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Report{A: a.subject(), B: b.subject()}
	switch {
	case a.folder != "" && b.folder != "":
		return nil, diag.New(diag.BadUsage, "both are folders", "name an image, or use diff -r for folders")
	case a.folder != "" || b.folder != "":
		err = withFolder(ctx, r, a, b, o.Platform)
	case a.top.Digest == b.top.Digest:
	case a.index != nil && b.index != nil && o.Platform == "":
		err = indexes(ctx, r, a, b)
	default:
		err = single(ctx, r, a, b, o.Platform)
	}
	if err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

// single compares one image of each side.
func single(ctx context.Context, r *Report, a, b *side, platform string) error {
	x, y, err := choose(ctx, a, b, platform)
	if err != nil {
		return err
	}
	r.A, r.B = x.subject(), y.subject()
	return images(ctx, r, x, y)
}

// choose loads an image of each side: when one is an index and no platform was asked for, the platform of the other.
func choose(ctx context.Context, a, b *side, platform string) (x, y *picture, err error) {
	if platform == "" {
		platform = defaultPlatform
		for _, s := range []*side{a, b} {
			if s.index == nil {
				p, err := s.image(ctx, "")
				if err != nil {
					return nil, nil, err
				}
				platform = image.PlatformName(image.Platform{OS: p.config.Platform.OS, Architecture: p.config.Platform.Architecture})
			}
		}
	}
	if x, err = a.image(ctx, platform); err != nil {
		return nil, nil, err
	}
	y, err = b.image(ctx, platform)
	return x, y, err
}

// images compares everything of two images.
func images(ctx context.Context, r *Report, x, y *picture) error {
	if x.digest == y.digest {
		return nil
	}
	c := &comparison{r: r, a: x, b: y}
	c.format()
	c.base()
	c.config()
	c.annotations()
	if err := c.layers(ctx); err != nil {
		return err
	}
	if len(r.Differences) == 0 {
		r.add(Difference{
			Part: PartManifest, Kind: Changed, Name: "bytes", weight: weightWriting,
			Text: "the manifests or configurations say the same and are written differently (order of members or white space)",
		})
	}
	return nil
}

// comparison is the work on two images.
type comparison struct {
	r    *Report
	a, b *picture
}

func (c *comparison) format() {
	if x, y := image.FormatOf(c.a.manifest.MediaType), image.FormatOf(c.b.manifest.MediaType); x != y {
		c.r.add(Difference{
			Part: PartFormat, Kind: Changed, Name: "format", A: x, B: y, weight: weightFormat,
			Text: fmt.Sprintf("the image format changed: %s → %s", x, y), Remedy: "set ContainerImageFormat, so that the format does not follow the base",
		})
	}
	if x, y := c.a.platform(), c.b.platform(); x != y {
		c.r.add(Difference{
			Part: PartPlatform, Kind: Changed, Name: "platform", A: shown(x), B: shown(y), weight: weightPlatform,
			Text: fmt.Sprintf("the platform changed: %s → %s", shown(x), shown(y)),
		})
	}
}

// indexes compares two indexes platform by platform.
func indexes(ctx context.Context, r *Report, a, b *side) error {
	if x, y := a.top.MediaType, b.top.MediaType; x != y {
		r.add(Difference{
			Part: PartFormat, Kind: Changed, Name: "format", A: x, B: y, weight: weightFormat,
			Text: fmt.Sprintf("the index format changed: %s → %s", image.FormatOf(x), image.FormatOf(y)),
		})
	}
	others := map[string]image.Descriptor{}
	for _, d := range b.index.Manifests {
		others[entryName(d)] = d
	}
	for _, d := range a.index.Manifests {
		name := entryName(d)
		other, ok := others[name]
		delete(others, name)
		switch {
		case !ok:
			r.add(platformDifference(Removed, name, "A"))
		case other.Digest != d.Digest:
			if err := entries(ctx, r, a, b, d, other); err != nil {
				return err
			}
		}
	}
	for _, d := range b.index.Manifests {
		if name := entryName(d); others[name].Digest == d.Digest {
			r.add(platformDifference(Added, name, "B"))
		}
	}
	if len(r.Differences) == 0 && len(r.Platforms) == 0 && !bytes.Equal(a.top.Body, b.top.Body) {
		r.add(Difference{
			Part: PartManifest, Kind: Changed, Name: "bytes", weight: weightWriting,
			Text: "the indexes name the same images and are written differently (order, annotations or white space)",
		})
	}
	return nil
}

// entries compares the images of two entries for one platform.
func entries(ctx context.Context, r *Report, a, b *side, d, other image.Descriptor) error {
	if !image.IsManifest(d.MediaType) || !image.IsManifest(other.MediaType) {
		r.add(Difference{
			Part: PartManifest, Kind: Changed, Name: entryName(d), A: string(d.Digest), B: string(other.Digest), weight: weightWriting,
			Text: fmt.Sprintf("the entry %s changed, which is no image", entryName(d)),
		})
		return nil
	}
	x, err := a.entry(ctx, d)
	if err != nil {
		return err
	}
	y, err := b.entry(ctx, other)
	if err != nil {
		return err
	}
	sub := &Report{A: x.subject(), B: y.subject()}
	if err := images(ctx, sub, x, y); err != nil {
		return err
	}
	sub.finish()
	r.Platforms = append(r.Platforms, sub)
	return nil
}

func entryName(d image.Descriptor) string {
	if d.Platform == nil {
		return "without a platform"
	}
	return shown(image.PlatformName(*d.Platform))
}

func platformDifference(kind, name, where string) Difference {
	return Difference{
		Part: PartPlatform, Kind: kind, Name: name, weight: weightPlatform,
		Text: fmt.Sprintf("the platform %s is only in %s", name, where),
	}
}

// containerPath is layer.ContainerPath: where Gantry and the .NET SDK put the app.
func containerPath(dir string, windows bool) string { return layer.ContainerPath(dir, windows) }
