package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// parallel is how many images of an index are read at once.
const parallel = 8

// found is what the key names, as far as it was read.
type found struct {
	top    *registry.Manifest
	index  bool
	images []*candidate
}

// candidate is one image of it.
type candidate struct {
	rid      string // that it serves
	platform tasks.Platform
	doc      *registry.Manifest
	manifest *image.Manifest
	config   []byte // nil when it was not needed
	labels   map[string]string
	base     string      // digest that it records, after it was looked at
	tag      *oracle.Tag // what its first tag names, where that was asked
}

// inspect holds what the key names against what was asked for: what it is, whose platforms, on which base.
func (c *checker) inspect(ctx context.Context, top *registry.Manifest) (*found, error) {
	f := &found{top: top, index: image.IsIndex(top.MediaType)}
	switch want, asked := c.req.wantsIndex(); {
	case asked && want && !f.index:
		return nil, missf("%s names a single image, and an index is asked for", c.tag)
	case asked && !want && f.index:
		return nil, missf("%s names an index of several images, and a single image is asked for", c.tag)
	}
	if err := pull.Keep(c.Store, top); err != nil {
		return nil, err
	}
	var err error
	if f.index {
		err = c.inspectIndex(ctx, f)
	} else {
		err = c.inspectSingle(ctx, f)
	}
	if err != nil {
		return nil, err
	}
	if err := c.compareBases(ctx, f); err != nil {
		return nil, err
	}
	return f, c.compareLayers(ctx, f)
}

// inspectSingle looks at an image that is no index: its configuration alone says for which platform it is.
func (c *checker) inspectSingle(ctx context.Context, f *found) error {
	i := &candidate{doc: f.top}
	f.images = []*candidate{i}
	if err := c.parse(i); err != nil {
		return err
	}
	if err := c.readConfig(ctx, i); err != nil {
		return err
	}
	rids := c.req.rids()
	if len(rids) == 0 {
		i.rid = image.PlatformRID(i.platform)
		return nil
	}
	i.rid = rids[0]
	if !c.graph.Serves(i.platform, i.rid) {
		return missf("%s names an image for %s, and %s is asked for", c.tag, image.PlatformName(i.platform), i.rid)
	}
	return nil
}

// inspectIndex chooses an image for each runtime identifier as a base's is chosen, and reads each: a manifest that was read is there.
func (c *checker) inspectIndex(ctx context.Context, f *found) error {
	index, err := image.ParseIndex(f.top.Body, f.top.MediaType)
	if err != nil {
		return cachekey.AsMiss(err, "the index that "+c.tag+" names")
	}
	entries, err := c.choose(f, index)
	if err != nil {
		return err
	}
	errs := make([]error, len(entries))
	var group errgroup.Group
	group.SetLimit(parallel)
	for n, e := range entries {
		group.Go(func() error {
			errs[n] = c.readImage(ctx, f.images[n], e)
			return nil
		})
	}
	_ = group.Wait() // never fails: the errors are in errs, in the order of the images
	return first(errs)
}

// first returns an outage before a miss, as a miss is an answer, and of several the first.
func first(errs []error) error {
	var miss error
	for _, err := range errs {
		if _, ok := err.(*cachekey.Miss); ok {
			if miss == nil {
				miss = err
			}
		} else if err != nil {
			return err
		}
	}
	return miss
}

// choose finds the entry of each runtime identifier. The index must have no others: an image more is not what the build would make.
func (c *checker) choose(f *found, index *image.Index) ([]tasks.Descriptor, error) {
	var entries []tasks.Descriptor
	rids := c.req.rids()
	if len(rids) == 0 {
		for _, e := range index.Manifests {
			if e.Platform == nil || image.PlatformRID(*e.Platform) == "" {
				return nil, missf("%s names an index with an entry for no .NET platform: %s", c.tag, e.Digest)
			}
			entries = append(entries, e)
			rids = append(rids, image.PlatformRID(*e.Platform))
		}
	} else {
		for _, rid := range rids {
			e, err := index.Select(c.graph, rid, c.tag)
			if err != nil {
				return nil, missf("%s names an index of %s, and %s is asked for", c.tag, platforms(index), rid)
			}
			entries = append(entries, e)
		}
	}
	if len(index.Manifests) != len(entries) {
		return nil, missf("%s names an index of %s, and asked for is %s alone", c.tag, platforms(index), strings.Join(rids, ", "))
	}
	for n, e := range entries {
		if slices.ContainsFunc(entries[:n], func(o tasks.Descriptor) bool { return o.Digest == e.Digest }) {
			return nil, missf("%s names an index in which one image would serve %s and another runtime identifier", c.tag, rids[n])
		}
		f.images = append(f.images, &candidate{rid: rids[n], platform: *e.Platform})
	}
	return entries, nil
}

// platforms lists those of an index.
func platforms(index *image.Index) string {
	var out []string
	for _, e := range index.Manifests {
		name := "an unknown platform"
		if e.Platform != nil {
			name = image.PlatformName(*e.Platform)
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// readImage reads one image of an index from the destination.
func (c *checker) readImage(ctx context.Context, i *candidate, e tasks.Descriptor) error {
	what := fmt.Sprintf("the image for %s, %s, which the index of %s names,", i.rid, e.Digest, c.tag)
	doc, err := c.manifest(ctx, i, e.Digest)
	if err != nil {
		return cachekey.AsMiss(err, what)
	}
	if doc.MediaType != e.MediaType || int64(len(doc.Body)) != e.Size {
		return missf("%s is a %s of %d bytes, and the index says %s of %d", what, doc.MediaType, len(doc.Body), e.MediaType, e.Size)
	}
	i.doc = doc
	if err := pull.Keep(c.Store, doc); err != nil {
		return err
	}
	return c.parse(i)
}

// manifest reads an image of an index. One that has a tag of its own is read by that tag: the answer says what the tag names as well,
// which would be a question more. Whatever goes wrong there, the digest decides.
func (c *checker) manifest(ctx context.Context, i *candidate, d cas.Digest) (*registry.Manifest, error) {
	if tags := c.req.platformTags(i.rid); len(tags) > 0 && c.req.TagsOnHit != TagsNone {
		doc, err := c.repo.Manifest(ctx, tags[0])
		switch {
		case err == nil:
			i.tag = &oracle.Tag{Name: tags[0], Digest: doc.Digest}
		case errors.Is(err, registry.ErrNotFound):
			i.tag = &oracle.Tag{Name: tags[0]}
		}
		if err == nil && doc.Digest == d {
			return doc, nil
		}
	}
	return c.repo.Manifest(ctx, string(d))
}

func (c *checker) parse(i *candidate) (err error) {
	i.manifest, err = image.ParseManifest(i.doc.Body, i.doc.MediaType)
	return cachekey.AsMiss(err, "the manifest "+string(i.doc.Digest))
}

// readConfig reads an image's configuration: its platform and its labels.
func (c *checker) readConfig(ctx context.Context, i *candidate) error {
	what := "the configuration of the image " + string(i.doc.Digest)
	body, err := pull.Small(ctx, c.Store, c.repo, i.manifest.Config, image.MaxConfigBytes, c.Log)
	if err != nil {
		return cachekey.AsMiss(err, what)
	}
	config, err := image.ParseConfig(body)
	if err != nil {
		return cachekey.AsMiss(err, what)
	}
	i.config, i.platform, i.labels = body, config.Platform, config.Labels
	return nil
}

// probe asks for one byte of each blob, where the request wants that. A blob that the registry lost makes a miss: the push repairs it.
func (c *checker) probe(ctx context.Context, f *found) error {
	if !c.req.verifies(tasks.VerifyBlobs) {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	asked := map[cas.Digest]bool{}
	for _, i := range f.images {
		for _, d := range append([]tasks.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
			if asked[d.Digest] || image.IsForeign(d.MediaType) {
				continue
			}
			asked[d.Digest] = true
			group.Go(func() error {
				there, err := c.repo.ProbeBlob(ctx, d.Digest, d.Size)
				if err == nil && !there {
					err = missf("the registry has the image %s and misses the content of one of its blobs, %s", i.doc.Digest, d.Digest)
				}
				return cachekey.AsMiss(err, "the blob "+string(d.Digest))
			})
		}
	}
	return group.Wait()
}
