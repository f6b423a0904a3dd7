package check

import (
	"cmp"
	"context"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Where an image records its base (image-spec, annotations.md): annotations of the manifest in OCI's format, labels of the configuration
// in Docker's, which has no annotations.
const (
	baseDigest = "org.opencontainers.image.base.digest"
	baseName   = "org.opencontainers.image.base.name"
)

// base is a base image as its reference is resolved now.
type base struct {
	reference string
	digest    cas.Digest
	mediaType string
	index     *image.Index // nil for a single image
}

// bases are what was found out about the bases so far.
type bases struct {
	asked  *tasks.Resolved // resolve-base's response
	byName map[string]*base
}

// readInputs reads the files that the request names.
func (c *checker) readInputs() error {
	c.bases.byName = map[string]*base{}
	if c.req.ResolveBasePath != "" && c.req.includesBase() {
		c.bases.asked = &tasks.Resolved{}
		in, err := tasks.ReadResponse(c.req.ResolveBasePath, "resolve-base", c.bases.asked)
		if err != nil {
			return err
		}
		c.inputs = append(c.inputs, in)
	}
	graph, read, err := tasks.ReadGraph(c.req.RidGraphPath)
	c.graph, c.inputs = graph, append(c.inputs, read...)
	return err
}

// compareBases holds the base that each image records against the base as it is now, and the image's format against that asked for.
func (c *checker) compareBases(ctx context.Context, f *found) error {
	format, err := image.ParseFormat(c.req.ImageFormat)
	if err != nil {
		return err
	}
	for _, i := range f.images {
		want := format
		if c.req.includesBase() {
			now, err := c.compareBase(ctx, i)
			if err != nil {
				return err
			}
			want = cmp.Or(format, now)
		}
		for _, doc := range []*registry.Manifest{f.top, i.doc} {
			if is := image.FormatOf(doc.MediaType); want != "" && is != want {
				return missf("%s has the format %s, and %s is asked for", c.tag, is, want)
			}
		}
	}
	return nil
}

// compareBase returns the format of the base for one image whose base has not moved.
func (c *checker) compareBase(ctx context.Context, i *candidate) (format string, err error) {
	// A Docker image's platform, too, is that of its base; nothing else of its configuration is needed.
	if image.FormatOf(i.doc.MediaType) == image.FormatDocker && i.config == nil {
		platform := i.platform
		if err := c.readConfig(ctx, i); err != nil {
			return "", err
		}
		if image.PlatformRID(platform) != image.PlatformRID(i.platform) {
			return "", missf("the index of %s names %s for %s, and it is for %s", c.tag, i.doc.Digest, image.PlatformName(platform), image.PlatformName(i.platform))
		}
	}
	if i.base = i.recorded(baseDigest); i.base == "" {
		return "", missf("the image %s does not record its base: its %s has no %s", i.doc.Digest, i.recordKind(), baseDigest)
	}
	b, err := c.baseOf(ctx, i)
	if err != nil {
		return "", err
	}
	digest, mediaType := b.digest, b.mediaType
	if b.index != nil {
		e, err := b.index.Select(c.graph, i.rid, b.reference)
		if err != nil && len(c.req.rids()) == 0 {
			return "", missf("the base %s has no variant for %s any more", b.reference, i.rid)
		}
		if err != nil {
			return "", err // as the build would say
		}
		digest, mediaType = e.Digest, e.MediaType
	}
	if i.base != string(digest) {
		return "", missf("the base moved: the image %s records %s, and %s is %s now", i.doc.Digest, i.base, b.reference, digest)
	}
	return image.FormatOf(mediaType), nil
}

// recorded is what the image says of its base.
func (i *candidate) recorded(name string) string {
	if image.FormatOf(i.doc.MediaType) == image.FormatOCI {
		return i.manifest.Annotations[name]
	}
	return i.labels[name]
}

func (i *candidate) recordKind() string {
	if image.FormatOf(i.doc.MediaType) == image.FormatOCI {
		return "manifest"
	}
	return "configuration (Docker's format: ContainerGenerateLabelsImageBaseDigest writes it)"
}

// baseOf resolves the base: the one that the request names, else the one that the image names.
func (c *checker) baseOf(ctx context.Context, i *candidate) (*base, error) {
	if c.bases.asked != nil {
		r := c.bases.asked
		return c.remember(r.Reference, func() (*base, error) {
			b := &base{reference: r.Reference, digest: r.Digest, mediaType: r.MediaType}
			if !image.IsIndex(r.MediaType) {
				return b, nil
			}
			doc, err := pull.Manifest(ctx, c.Store, c.source(registry.Name{Registry: r.Registry, Repository: r.Repository}), r.Digest, c.Log)
			if err != nil {
				return nil, err
			}
			return b, b.parse(doc)
		})
	}
	if c.req.Reference != "" {
		return c.resolve(ctx, c.req.Reference)
	}
	name := i.recorded(baseName)
	if name == "" {
		return nil, missf("the image %s does not name its base, and no base is given", i.doc.Digest)
	}
	if _, err := registry.ParseReference(name); err != nil {
		return nil, missf("the image %s names a base that cannot be asked for: %v", i.doc.Digest, err)
	}
	b, err := c.resolve(ctx, name)
	return b, cachekey.AsMiss(err, "the base "+name+", which the image names,")
}

// remember makes each base once.
func (c *checker) remember(reference string, make func() (*base, error)) (*base, error) {
	if b := c.bases.byName[reference]; b != nil {
		return b, nil
	}
	b, err := make()
	if err == nil {
		c.bases.byName[reference] = b
	}
	return b, err
}

// resolve asks what a reference is now, as resolve-base does: a tag always, a digest when the store does not have it.
func (c *checker) resolve(ctx context.Context, reference string) (*base, error) {
	return c.remember(reference, func() (*base, error) {
		ref, err := registry.ParseReference(reference)
		if err != nil {
			return nil, err
		}
		var doc *registry.Manifest
		if ref.Digest != "" {
			doc, err = pull.Manifest(ctx, c.Store, c.source(ref.Name), ref.Digest, c.Log)
		} else if doc, err = c.source(ref.Name).Manifest(ctx, ref.Tag); err == nil {
			err = pull.Keep(c.Store, doc)
		}
		if err != nil {
			return nil, err
		}
		b := &base{reference: reference, digest: doc.Digest, mediaType: doc.MediaType}
		return b, b.parse(doc)
	})
}

func (b *base) parse(doc *registry.Manifest) (err error) {
	if image.IsIndex(b.mediaType) {
		b.index, err = image.ParseIndex(doc.Body, b.mediaType)
	}
	return err
}

// source is where a base is read.
func (c *checker) source(name registry.Name) Repository {
	return c.Repository(name, registry.PullMode(name.Registry, cmp.Or(c.req.OutputRegistry, c.req.Registry)))
}
