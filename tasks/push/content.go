package push

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// opener opens a blob to read it.
type opener = func(context.Context) (io.ReadCloser, error)

// sources are all blobs of the image that the destination must have, each once: first those that another repository may have, as their
// answers show what a refused mount means. The others are asked for as a mount from the destination itself: a registry that has the
// blob says so, one that has not has opened the upload. What was brought to a repository beside the destination in this run is mounted
// from there. With forcePush nothing is mounted.
func (r *run) sources() []deliver.Blob {
	var out []deliver.Blob
	seen := map[cas.Digest]bool{}
	add := func(desc tasks.Descriptor, shared bool, mountFrom string, open opener) {
		if !seen[desc.Digest] && !image.IsForeign(desc.MediaType) {
			seen[desc.Digest] = true
			source := registry.BlobSource{Digest: desc.Digest, Size: desc.Size, MountFrom: mountFrom, Open: open}
			out = append(out, deliver.Blob{BlobSource: source, Shared: shared})
		}
	}
	here := cmp.Or(r.to.Beside, r.dst.Repository)
	named := func(src registry.Name, l tasks.Descriptor, open opener) { // in a repository that the user named
		near, from := r.dst.SameRegistry(src), here
		if near {
			from = src.Repository
		}
		add(l, !near, from, open)
	}
	for _, l := range r.parts.Base.Layers {
		src := registry.NewName(r.parts.Base.Registry, r.parts.Base.Repository)
		named(src, l, r.openNamed(src, l))
	}
	for _, l := range r.parts.Layers {
		if l.Source != nil {
			src := registry.NewName(l.Source.Registry, l.Source.Repository)
			named(src, l.Descriptor, r.openItem(src, l))
			continue
		}
		from := here
		if r.to.Beside == "" && r.recalled.has(l.Descriptor.Digest) && r.dst.SameRegistry(r.recalled.name) {
			from = r.recalled.name.Repository
		}
		add(l.Descriptor, true, from, func(ctx context.Context) (io.ReadCloser, error) { return r.openLayer(ctx, l) })
	}
	add(r.config.Descriptor, false, here, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(r.config.Body)), nil
	})
	if r.req.ForcePush {
		return unmounted(out)
	}
	return out
}

// openNamed reads a layer of the base, or one that a ContainerLayer item names.
func (r *run) openNamed(src registry.Name, l tasks.Descriptor) opener {
	var origin pull.Blobs = pull.Offline{Name: src}
	if policy, err := pull.ParsePolicy(r.req.PullPolicy); err == nil && policy != pull.Never {
		origin = r.Repository(src, registry.PullMode(src.Registry, r.req.Registry))
	}
	return func(ctx context.Context) (io.ReadCloser, error) { return r.openFrom(ctx, origin, l) }
}

// openItem reads a layer that a ContainerLayer item names: from its repository, else from the recalled image. GANTRY4019 says that the
// repository no longer has it: that it has a layer is asked once and remembered.
func (r *run) openItem(src registry.Name, l tasks.Layer) opener {
	open := r.openNamed(src, l.Descriptor)
	return func(ctx context.Context) (io.ReadCloser, error) {
		body, err := open(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return body, err
		case r.recalled.has(l.Descriptor.Digest):
			r.Log.Info("a layer is read from the earlier image", "digest", l.Descriptor.Digest, "repository", r.recalled.name.String(), "reason", err.Error())
			return r.recalled.open(ctx, l.Descriptor)
		case errors.Is(err, registry.ErrNotFound):
			return nil, tasks.LayerGone(err, src.String(), l)
		}
		return nil, err
	}
}

// openFrom reads a layer that the content store may lack from a repository: as a stream, but for several destinations through the store,
// so that it is read once for all.
func (r *run) openFrom(ctx context.Context, origin pull.Blobs, l tasks.Descriptor) (io.ReadCloser, error) {
	switch {
	case pull.Has(r.Store, l):
	case r.Together == nil:
		return origin.Blob(ctx, l.Digest, l.Size)
	default:
		_, err, _ := r.Together.Do(string(l.Digest), func() (any, error) { return pull.Ensure(r.ctx, r.Store, origin, l) })
		if err != nil {
			return nil, err
		}
	}
	return r.Store.Open(l.Digest)
}

// openLayer reads a layer of the app: from the content store, else from the recalled image, else it is made again.
func (r *run) openLayer(ctx context.Context, l tasks.Layer) (io.ReadCloser, error) {
	if !pull.Has(r.Store, l.Descriptor) {
		if r.recalled.has(l.Descriptor.Digest) {
			body, err := r.recalled.open(ctx, l.Descriptor)
			if err == nil || ctx.Err() != nil {
				return body, err
			}
			r.Log.Info("a layer cannot be read from the image that has it", "digest", l.Descriptor.Digest, "repository", r.recalled.name.String(), "reason", err.Error())
		}
		if err := r.remake(ctx, l); err != nil {
			return nil, err
		}
	}
	return r.Store.Open(l.Descriptor.Digest)
}

// remake has create-layers put its layers into the content store. Fails with GANTRY4011 when it cannot, or when the layer is not among
// them: the publish folder is not what create-layers saw.
func (r *run) remake(ctx context.Context, l tasks.Layer) error {
	r.making.Lock()
	defer r.making.Unlock()
	if pull.Has(r.Store, l.Descriptor) {
		return nil
	}
	missing := diag.New(diag.BlobMissing, fmt.Sprintf("the layer %s (%s) is no longer in the content store", l.Descriptor.Digest, l.Name),
		"run create-layers again")
	if r.req.CreateLayersRequestPath == "" || r.RemakeLayers == nil {
		return missing
	}
	r.Log.Info("layers are made again", "reason", missing.Error())
	if err := r.RemakeLayers(ctx, r.req.CreateLayersRequestPath); err != nil {
		return err
	}
	if !pull.Has(r.Store, l.Descriptor) {
		return missing
	}
	return nil
}

// checkStore makes sure, before anything is sent, that the app's layers among blobs can be had: those that neither the content store
// nor another repository has are made again.
func (r *run) checkStore(ctx context.Context, blobs []deliver.Blob) error {
	for _, l := range r.parts.Layers {
		i := slices.IndexFunc(blobs, func(b deliver.Blob) bool { return b.Digest == l.Descriptor.Digest })
		if i < 0 || l.Source != nil || pull.Has(r.Store, l.Descriptor) || r.recalled.has(l.Descriptor.Digest) || r.elsewhere(blobs[i]) {
			continue
		}
		if err := r.remake(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere says whether a blob may be mounted from a repository that is known to have it.
func (r *run) elsewhere(b deliver.Blob) bool {
	return b.MountFrom != "" && (r.to.Beside != "" || len(r.Records.Holders(r.dst.Registry, b.Digest)) > 0)
}

// unmounted are the same blobs, to be sent whatever the registry says it has.
func unmounted(blobs []deliver.Blob) []deliver.Blob {
	out := slices.Clone(blobs)
	for i := range out {
		out[i].MountFrom = ""
	}
	return out
}
