package save

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/assemble"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// parallel is how many layers of the base are fetched at once.
const parallel = 8

// blobs gives the content of the image's blobs: a configuration from memory, all else from the content store, into which a layer of the
// base, or one that a ContainerLayer item names in a repository, is fetched and an own layer made again when it is not there.
type blobs struct {
	Deps
	small  map[cas.Digest][]byte
	parts  []part
	making sync.Mutex // layers are made once, whoever needs them
}

// part are the layers of one platform.
type part struct {
	*assemble.Parts
	// origins are those layers that are fetched, of the base and of items, with the repositories that have them.
	origins map[cas.Digest]origin
	remake  string // the request of create-layers; empty when it is not known
}

// origin is a layer and the repository that has it.
type origin struct {
	tasks.Descriptor
	from pull.Blobs
	// gone words the error of a repository that does not have the layer.
	gone func(error) error
}

func (b *blobs) add(p *assemble.Parts, req *Request) {
	policy, err := pull.ParsePolicy(req.PullPolicy)
	repository := func(host, name string) pull.Blobs {
		src := registry.NewName(host, name)
		if err != nil || policy == pull.Never {
			return pull.Offline{Name: src}
		}
		return b.Repository(src, registry.ModePull)
	}
	origins := map[cas.Digest]origin{}
	for _, l := range p.Layers {
		if l.Source != nil {
			gone := func(err error) error { return tasks.LayerGone(err, l.Source.Registry+"/"+l.Source.Repository, l) }
			origins[l.Descriptor.Digest] = origin{l.Descriptor, repository(l.Source.Registry, l.Source.Repository), gone}
		}
	}
	base := repository(p.Base.Registry, p.Base.Repository)
	for _, l := range p.Base.Layers {
		origins[l.Digest] = origin{l, base, func(err error) error { return err }}
	}
	b.parts = append(b.parts, part{p, origins, req.CreateLayersRequestPath})
}

// Blob opens a blob of the image.
func (b *blobs) Blob(ctx context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	if body, ok := b.small[d]; ok {
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	if err := b.provide(ctx, image.Descriptor{Digest: d, Size: size}); err != nil {
		return nil, err
	}
	return b.Store.Open(d)
}

// prepare provides blobs before they are read: those that are fetched side by side.
func (b *blobs) prepare(ctx context.Context, needed []image.Descriptor) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, d := range needed {
		if b.own(d.Digest) == nil && b.small[d.Digest] == nil {
			group.Go(func() error { return b.provide(ctx, d) })
		}
	}
	for _, d := range needed { // one after the other, as one call makes all layers of a platform
		if b.own(d.Digest) != nil {
			if err := b.provide(ctx, d); err != nil {
				return cmp.Or(group.Wait(), err) // a fetch that failed ends the making, and is the reason
			}
		}
	}
	return group.Wait()
}

// own is the platform that made a layer; nil for one of a base or of another repository.
func (b *blobs) own(d cas.Digest) *part {
	for i, p := range b.parts {
		for _, l := range p.Layers {
			if l.Descriptor.Digest == d && l.Source == nil {
				return &b.parts[i]
			}
		}
	}
	return nil
}

// provide makes sure that the content store has a layer.
func (b *blobs) provide(ctx context.Context, d image.Descriptor) error {
	if pull.Has(b.Store, d) {
		return nil
	}
	if p := b.own(d.Digest); p != nil {
		return b.remake(ctx, p, d)
	}
	for _, p := range b.parts {
		if o, ok := p.origins[d.Digest]; ok {
			_, err := pull.Ensure(ctx, b.Store, content.Watch(o.from, b.Progress, "downloaded"), o.Descriptor)
			if errors.Is(err, registry.ErrNotFound) {
				return o.gone(err)
			}
			return err
		}
	}
	return diag.New(diag.Internal, fmt.Sprintf("no part of the image has the blob %s", d.Digest), "please report it")
}

// remake has create-layers put its layers into the content store.
func (b *blobs) remake(ctx context.Context, p *part, d image.Descriptor) error {
	missing := diag.New(diag.BlobMissing, fmt.Sprintf("the layer %s is no longer in the content store", d.Digest), "run create-layers again")
	if p.remake == "" || b.RemakeLayers == nil {
		return missing
	}
	b.making.Lock()
	defer b.making.Unlock()
	if pull.Has(b.Store, d) {
		return nil
	}
	b.Log.Info("layers are made again", "reason", missing.Error())
	if err := b.RemakeLayers(ctx, p.remake); err != nil {
		return err
	}
	if !pull.Has(b.Store, d) {
		return missing
	}
	return nil
}
