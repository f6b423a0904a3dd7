package graphtag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// sharing is a shared tag and its images.
type sharing struct {
	tag    registry.Reference
	images []*Image
}

// shared are the shared tags, in the order in which they are named.
func shared(images []Image) []*sharing {
	var list []*sharing
	at := map[string]*sharing{}
	for i := range images {
		for _, t := range images[i].Shared {
			s := at[t.String()]
			if s == nil {
				s = &sharing{tag: t}
				at[t.String()], list = s, append(list, s)
			}
			if !slices.Contains(s.images, &images[i]) {
				s.images = append(s.images, &images[i])
			}
		}
	}
	return list
}

// shared makes one shared tag an index of its images. owner is an image that has the tag for itself; empty is none.
func (r *run) shared(ctx context.Context, s *sharing, owner string) Result {
	res := Result{Tag: s.tag.String()}
	var absent []string
	var sources []*source
	for _, im := range s.images {
		res.Images = append(res.Images, im.Name)
		at, err := r.sources[im.Name]()
		switch {
		case err != nil:
			res.fail(err)
			return res
		case at.absent != "":
			absent = append(absent, at.absent)
		}
		sources = append(sources, at)
	}
	switch {
	case owner != "":
		res.fail(diag.New(diag.DoubleTag, "the tag of "+owner+" is also one that "+strings.Join(res.Images, " and ")+" share", "give each its own"))
	case len(absent) > 0:
		res.State, res.Reason = Left, strings.Join(absent, "; ")
	default:
		if err := r.write(ctx, s.tag, sources, &res); err != nil {
			res.fail(err)
		}
	}
	return res
}

// write writes the index of a shared tag, where the tag does not name it.
func (r *run) write(ctx context.Context, tag registry.Reference, sources []*source, res *Result) error {
	index, err := newIndex(sources)
	if err != nil {
		return err
	}
	repo := r.Repository(tag.Name, registry.PushMode(tag.Registry, sources[0].Source.Registry))
	o := oracle.Oracle{Repository: repo, Name: tag.Name, Log: r.Log, Parallel: 1}
	found, err := o.Tags(ctx, []string{tag.Tag})
	if err != nil || !res.found(found[0], index.Descriptor.Digest, index.Descriptor.MediaType) || r.DryRun {
		return err
	}
	if err := r.members(ctx, tag, repo, sources); err != nil {
		return err
	}
	w := deliver.Writer{Repository: repo, Name: tag.Name, Log: r.Log, Document: index, Parallel: 1, Skipped: true}
	w.Restore = func(ctx context.Context, reason error) error {
		r.Log.Info("the registry misses an image that it said it has; it is looked at again", "tag", tag.String(), "reason", reason.Error())
		return r.members(ctx, tag, repo, sources)
	}
	_, err = w.Tags(ctx, []string{tag.Tag}, found, false)
	return err
}

// members sees to it that a repository has the images of an index. Those whose own repository it is were found there.
func (r *run) members(ctx context.Context, tag registry.Reference, repo content.Repository, sources []*source) error {
	for _, s := range sources {
		if tag.Same(s.Source.Name) {
			continue
		}
		doc, err := s.document()
		if err == nil {
			err = r.bring(ctx, s, doc, tag.Name, repo)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newIndex makes the index over images, in their format.
func newIndex(sources []*source) (deliver.Document, error) {
	var images, others []image.Descriptor
	format := ""
	for _, s := range sources {
		doc, err := s.document()
		if err != nil {
			return deliver.Document{}, err
		}
		of := image.FormatOf(doc.Descriptor.MediaType)
		if format != "" && of != format {
			return deliver.Document{}, diag.New(diag.IndexMismatch, fmt.Sprintf("some of its images have Docker's format and some OCI's: %s is a %s",
				s.Name, doc.Descriptor.MediaType), "build all of them with the same format, such as --builder-arg=--format=oci")
		}
		format = of
		entries, err := s.entries()
		if err != nil {
			return deliver.Document{}, err
		}
		for _, e := range entries {
			if e.IsPlatformImage() {
				images = append(images, e)
			} else {
				others = append(others, e)
			}
		}
	}
	x, err := image.NewIndex(format, images)
	if err != nil {
		return deliver.Document{}, err
	}
	slices.SortFunc(others, func(a, b image.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	x.Manifests = append(x.Manifests, others...)
	body, err := x.Encode()
	return deliver.NewDocument(body, x.MediaType), err
}

// entries are those of an image's index; an image without one is an entry with the platform of its configuration.
func (r *run) entries(ctx context.Context, s *source) ([]image.Descriptor, error) {
	d, err := s.document()
	if err != nil {
		return nil, err
	}
	if image.IsIndex(d.Descriptor.MediaType) {
		x, err := image.ParseIndex(d.Body, d.Descriptor.MediaType)
		if err != nil {
			return nil, err
		}
		return x.Manifests, nil
	}
	parsed, err := image.ParseManifest(d.Body, d.Descriptor.MediaType)
	if err != nil {
		return nil, err
	}
	body, err := pull.Small(ctx, r.Store, s.repo, parsed.Config, image.MaxConfigBytes, r.Log)
	if err != nil {
		return nil, err
	}
	config, err := image.ParseConfig(body)
	if err != nil {
		return nil, err
	}
	e := d.Descriptor
	e.Platform = &config.Platform
	return []image.Descriptor{e}, nil
}
