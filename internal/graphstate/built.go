package graphstate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/platform"
	"github.com/gantry-build/gantry/internal/registry"
)

// built is an image that the registry has.
type built struct {
	name     string
	manifest *registry.Manifest
	index    *image.Index    // nil for a single image
	single   *image.Manifest // nil for an index
}

func (s *State) built(ctx context.Context, repo Repository, q *Request) (*built, error) {
	b := &built{name: q.Image.String() + "@" + string(q.Digest)}
	if _, err := cas.ParseDigest(string(q.Digest)); err != nil {
		return nil, diag.Wrap(diag.StampAbsent, err, "the image of "+q.Image.String()+" that was built is not named by digest",
			"give the digest that the push printed")
	}
	var err error
	b.manifest, err = repo.Manifest(ctx, string(q.Digest))
	if errors.Is(err, registry.ErrNotFound) {
		return nil, diag.Wrap(diag.StampAbsent, err, b.name+" is not in the registry", "push the image to that repository first")
	}
	if err != nil {
		return nil, err
	}
	if image.IsIndex(b.manifest.MediaType) {
		b.index, err = image.ParseIndex(b.manifest.Body, b.manifest.MediaType)
	} else {
		b.single, err = image.ParseManifest(b.manifest.Body, b.manifest.MediaType)
	}
	return b, err
}

// named compares the image with what the builder calls it: by its manifest, or by its configuration, which stays when layers are compressed
// again on their way. The image of one platform may stand for an index.
func (b *built) named(ctx context.Context, repo Repository, c *claims) error {
	names := map[cas.Digest]bool{b.manifest.Digest: true}
	if b.single != nil {
		names[b.single.Config.Digest] = true
	} else {
		for _, m := range b.index.Manifests {
			names[m.Digest] = true
		}
	}
	if c.id != "" && !names[c.id] && b.index != nil {
		if err := b.configs(ctx, repo, names); err != nil {
			return err
		}
	}
	refuse := func(what string) error {
		return diag.New(diag.StampOther, "the builder made another image than "+b.name+": "+what, "give the digest and the builder's file of one build")
	}
	if c.id != "" && !names[c.id] {
		return refuse("its image ID is " + string(c.id))
	}
	var others []string
	for _, what := range slices.Sorted(maps.Keys(c.digests)) {
		if names[c.digests[what]] {
			return nil
		}
		others = append(others, fmt.Sprintf("%s is %s", what, c.digests[what]))
	}
	if len(others) > 0 {
		return refuse(strings.Join(others, ", "))
	}
	return nil
}

// configs adds the configurations of an index's images.
func (b *built) configs(ctx context.Context, repo Repository, names map[cas.Digest]bool) error {
	for _, d := range b.index.Manifests {
		if !image.IsManifest(d.MediaType) || d.Platform == nil || d.Platform.OS == "unknown" { // attestations have no image ID
			continue
		}
		m, err := repo.Manifest(ctx, string(d.Digest))
		if err != nil {
			return err
		}
		single, err := image.ParseManifest(m.Body, m.MediaType)
		if err != nil {
			return err
		}
		names[single.Config.Digest] = true
	}
	return nil
}

// platforms proves that the image is for the record's platforms: a tag that stands for two and names one would keep the other from being
// built for ever.
func (b *built) platforms(ctx context.Context, repo Repository, r *Record) error {
	refuse := func(why string) error {
		return diag.New(diag.StampPlatform, b.name+" "+why, "build it for all platforms of its list, and push them as one index")
	}
	if b.single != nil {
		if len(r.Variants) != 1 {
			return refuse(fmt.Sprintf("is one image, and its list has %d platforms", len(r.Variants)))
		}
		if b.single.Config.Size > image.MaxConfigBytes {
			return refuse(fmt.Sprintf("has a configuration of %d bytes", b.single.Config.Size))
		}
		content, err := readBlob(ctx, repo, b.single.Config.Digest, b.single.Config.Size)
		if err != nil {
			return err
		}
		config, err := image.ParseConfig(content)
		if err != nil {
			return err
		}
		if want := parsePlatform(r.Variants[0].Platform); !platform.Serves(config.Platform, want) {
			return refuse(fmt.Sprintf("is for %s, not for %s", image.PlatformName(config.Platform), want))
		}
		return nil
	}
	for _, v := range r.Variants {
		want := parsePlatform(v.Platform)
		i := slices.IndexFunc(b.index.Manifests, func(m image.Descriptor) bool { return m.Platform != nil && platform.Serves(*m.Platform, want) })
		if i < 0 {
			return refuse("has no image for " + v.Platform)
		}
		// Not every registry looks at what an index names, and some let it be deleted alone.
		m := b.index.Manifests[i]
		if _, err := repo.HeadManifest(ctx, string(m.Digest)); errors.Is(err, registry.ErrNotFound) {
			return refuse(fmt.Sprintf("names %s for %s, which is not there", m.Digest, v.Platform))
		} else if err != nil {
			return err
		}
	}
	return nil
}
