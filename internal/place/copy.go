package place

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/gantry-build/gantry/internal/archive"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layout"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
)

// Deps are what copies need of the process.
type Deps struct {
	Registry *registry.Client
	Records  *records.Records
	Log      *slog.Logger
	Progress progress.Progress
	Getenv   func(string) string
	// Parallel bounds the blobs in transfer at once; 0 means 8.
	Parallel int
}

// Options say what is copied.
type Options struct {
	// Platform is os/architecture[/variant]: that image of an index alone. Empty means all, or as much as the destination holds.
	Platform string
	// Tags are further names in a registry, Docker or Podman.
	Tags []string
}

// Result is what a copy did: Pushed for a registry, Saved for any other destination.
type Result struct {
	Digest cas.Digest
	Pushed *outcome.Result
	Saved  *outcome.Saved
}

type copying struct {
	Deps
	Options
	from, to Place
}

const defaultParallel = 8

// Copy brings the image in from to the place to. Errors are those of the two places.
func Copy(ctx context.Context, d Deps, from, to Place, o Options) (Result, error) {
	if d.Parallel <= 0 {
		d.Parallel = defaultParallel
	}
	c := &copying{d, o, from, to}
	if err := c.check(); err != nil {
		return Result{}, err
	}
	s, err := c.open(ctx, from)
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	if c.Platform != "" {
		if s.top, err = content.Select(ctx, s, s.top, c.Platform); err != nil {
			return Result{}, err
		}
	}
	r := Result{Digest: s.top.Descriptor.Digest}
	if d := to.Reference.Digest; d != "" && d != r.Digest {
		return r, diag.New(diag.BadUsage, fmt.Sprintf("%s names another digest than the image's, %s", to, r.Digest), "leave the digest out")
	}
	switch to.Scheme {
	case Registry:
		r.Pushed, err = c.push(ctx, s)
		return r, err
	case Docker, Podman:
		r.Saved, err = c.load(ctx, s)
	default:
		r.Saved, err = c.save(ctx, s)
	}
	if err == nil {
		r.Digest = r.Saved.Digest
	}
	return r, err
}

// check refuses what cannot be meant.
func (c *copying) check() error {
	if c.to.Scheme != Registry && c.to.Reference.Digest != "" {
		return diag.New(diag.BadUsage, fmt.Sprintf("%s cannot be named by digest as a destination", c.to), "name it by a tag")
	}
	if len(c.Tags) > 0 && slices.Contains([]Scheme{Layout, OCIArchive, DockerArchive}, c.to.Scheme) && c.to.Name == "" {
		return diag.New(diag.BadUsage, "further tags need a first name", fmt.Sprintf("write %s:NAME", c.to))
	}
	for _, t := range c.Tags {
		if err := registry.ParseTag(t); err != nil {
			return err
		}
	}
	return nil
}

// save brings the image into a layout or archive.
func (c *copying) save(ctx context.Context, s *source) (*outcome.Saved, error) {
	if err := c.alone(ctx, s); err != nil {
		return nil, err
	}
	img, err := c.image(ctx, s)
	if err != nil {
		return nil, err
	}
	names := c.fileNames()
	did := &outcome.Saved{Kind: outcome.Archive, Digest: img.Top.Descriptor.Digest, Where: c.to.Path, Name: content.List(names)}
	if c.to.Scheme != Layout {
		return did, c.saveArchive(ctx, img, names, did)
	}
	did.Kind = outcome.Layout
	added, err := layout.Add(ctx, c.to.Path, img, names)
	did.Written, did.Blobs = added.Changed, added.Blobs
	return did, err
}

// alone takes the only image of an index for a Docker archive, which holds no index: docker buildx makes one of an image and its attestation.
func (c *copying) alone(ctx context.Context, s *source) error {
	if c.to.Scheme != DockerArchive || !image.IsIndex(s.top.Descriptor.MediaType) {
		return nil
	}
	x, err := image.ParseIndex(s.top.Body, s.top.Descriptor.MediaType)
	if err != nil {
		return err
	}
	images := slices.DeleteFunc(x.Manifests, func(d image.Descriptor) bool { return !d.IsPlatformImage() })
	if len(images) != 1 {
		return nil // which the archive refuses
	}
	c.Log.Info(fmt.Sprintf("of %s the image for %s is written, as a Docker archive holds no index", s.top.Descriptor.Digest, image.PlatformName(*images[0].Platform)))
	s.top, err = content.Document(ctx, s, images[0])
	return err
}

// load brings the image into Docker or Podman: of an index the image for the engine's own platform, where that is all that it holds.
func (c *copying) load(ctx context.Context, s *source) (*outcome.Saved, error) {
	e, err := engine.Find(ctx, engine.Options{Getenv: c.Getenv, Log: c.Log}, c.to.engineKind())
	if err != nil {
		return nil, err
	}
	if image.IsIndex(s.top.Descriptor.MediaType) {
		platform, err := e.Single(ctx)
		if err == nil && platform != "" {
			c.Log.Info(fmt.Sprintf("of the images of %s the one for %s is loaded, as %s holds no index", s.top.Descriptor.Digest, platform, e.Kind))
			s.top, err = content.Select(ctx, s, s.top, platform)
		}
		if err != nil {
			return nil, err
		}
	}
	img, err := c.image(ctx, s)
	if err != nil {
		return nil, err
	}
	names := []content.Name{c.to.engineName(e)}
	for _, t := range c.Tags {
		other := c.to
		other.Reference.Tag = t
		names = append(names, other.engineName(e))
	}
	did := &outcome.Saved{Kind: string(e.Kind), Digest: img.Top.Descriptor.Digest, Name: content.List(names)}
	loaded, err := e.Load(ctx, img, names)
	did.Written, did.Tags, did.Blobs = loaded.Sent, loaded.Tags, loaded.Blobs
	return did, err
}

// fileNames are the names in a layout or archive: further tags take the place of the first's.
func (c *copying) fileNames() []content.Name {
	names := c.to.fileNames()
	for _, t := range c.Tags {
		other := c.to
		other.Name = withTag(c.to.Name, t)
		names = append(names, other.fileNames()...)
	}
	return names
}

func (c *copying) saveArchive(ctx context.Context, img *content.Image, names []content.Name, did *outcome.Saved) error {
	plan := archive.NewOCI
	if c.to.Scheme == DockerArchive {
		plan = archive.NewDocker
	}
	a, err := plan(img, names)
	if err != nil {
		return err
	}
	if did.Written, err = a.Save(ctx, c.to.Path); err == nil {
		did.Count(a.Blobs())
	}
	return err
}
