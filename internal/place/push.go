package place

import (
	"context"
	"slices"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// push brings the image into a registry.
func (c *copying) push(ctx context.Context, s *source) (*outcome.Result, error) {
	dst := c.to.Reference.Name
	p := content.Pusher{
		Repository: c.Registry.Repository(dst, registry.ModePush), Name: dst, Records: c.Records, Progress: c.Progress, Log: c.Log,
		Parallel: c.Parallel, Top: s.top, Image: func(ctx context.Context) (*content.Image, error) { return c.image(ctx, s) },
	}
	if c.from.Scheme == Registry && dst.SameRegistry(c.from.Reference.Name) {
		p.MountFrom = func(image.Descriptor) string { return c.from.Reference.Repository }
	}
	var tags []string
	if t := c.to.Reference.Tag; t != "" {
		tags = append(tags, t)
	}
	for _, t := range c.Tags {
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	did, err := p.Push(ctx, "copy", tags)
	return &did, err
}
