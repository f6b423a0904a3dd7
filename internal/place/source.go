package place

import (
	"context"

	"github.com/gantry-build/gantry/internal/archive"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/layout"
	"github.com/gantry-build/gantry/internal/registry"
)

// source is a place that is read.
type source struct {
	content.Source
	top   deliver.Document
	close func() error
}

func (c *copying) open(ctx context.Context, p Place) (*source, error) {
	switch p.Scheme {
	case Registry:
		repo := c.Registry.Repository(p.Reference.Name, c.readMode(p))
		m, err := repo.Manifest(ctx, p.Reference.TagOrDigest())
		if err != nil {
			return nil, err
		}
		return &source{repo, deliver.NewDocument(m.Body, m.MediaType), func() error { return nil }}, nil
	case Layout:
		r, err := layout.Open(p.Path)
		if err != nil {
			return nil, err
		}
		return resolve(ctx, r, p.Name, func() error { return nil })
	case OCIArchive, DockerArchive:
		r, err := archive.Open(p.Path)
		if err != nil {
			return nil, err
		}
		return resolve(ctx, r, p.Name, r.Close)
	}
	e, err := engine.Find(ctx, engine.Options{Getenv: c.Getenv, Log: c.Log}, p.engineKind())
	if err != nil {
		return nil, err
	}
	r, err := e.Save(ctx, p.imageName())
	if err != nil {
		return nil, err
	}
	return resolve(ctx, r, "", r.Close)
}

// resolver is a layout or an archive.
type resolver interface {
	content.Source
	Resolve(ctx context.Context, name string) (deliver.Document, error)
}

func resolve(ctx context.Context, r resolver, name string, closer func() error) (*source, error) {
	top, err := r.Resolve(ctx, name)
	if err != nil {
		_ = closer()
		return nil, err
	}
	return &source{r, top, closer}, nil
}

// readMode is that of a source: which of the SDK's credentials count.
func (c *copying) readMode(p Place) registry.Mode {
	if c.to.Scheme == Registry {
		return registry.PullMode(p.Reference.Registry, c.to.Reference.Registry)
	}
	return registry.ModePull
}

// image reads all documents of the image.
func (c *copying) image(ctx context.Context, s *source) (*content.Image, error) {
	img, err := content.Load(ctx, s, s.top)
	if err != nil {
		return nil, err
	}
	if c.to.Scheme != Registry { // a registry's uploads tell of themselves
		img.From = content.Watch(img.From, c.Progress, "copied")
	}
	return img, nil
}
