package push

import (
	"bytes"
	"context"
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

// sources are all blobs of the image that the destination must have, each once: first those that another repository may have, as their
// answers show what a refused mount means. The others are asked for as a mount from the destination itself: a registry that has the
// blob says so, one that has not has opened the upload. With forcePush nothing is mounted.
func (r *run) sources() []deliver.Blob {
	var out []deliver.Blob
	seen := map[cas.Digest]bool{}
	add := func(desc tasks.Descriptor, shared bool, mountFrom string, open func(context.Context) (io.ReadCloser, error)) {
		if !seen[desc.Digest] && !image.IsForeign(desc.MediaType) {
			seen[desc.Digest] = true
			source := registry.BlobSource{Digest: desc.Digest, Size: desc.Size, MountFrom: mountFrom, Open: open}
			out = append(out, deliver.Blob{BlobSource: source, Shared: shared})
		}
	}
	src := registry.NewName(r.parts.base.Registry, r.parts.base.Repository)
	near, from := r.dst.SameRegistry(src), r.dst.Repository
	if near {
		from = src.Repository
	}
	for _, l := range r.parts.base.Layers {
		add(l, !near, from, r.openBase(src, l))
	}
	for _, l := range r.parts.layers {
		from := r.dst.Repository
		if r.recalled.has(l.Descriptor.Digest) && r.dst.SameRegistry(r.recalled.name) {
			from = r.recalled.name.Repository
		}
		add(l.Descriptor, true, from, func(ctx context.Context) (io.ReadCloser, error) { return r.openLayer(ctx, l) })
	}
	add(r.config.Descriptor, false, r.dst.Repository, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(r.config.Body)), nil
	})
	if r.req.ForcePush {
		return unmounted(out)
	}
	return out
}

// openBase reads a layer of the base.
func (r *run) openBase(src registry.Name, l tasks.Descriptor) func(context.Context) (io.ReadCloser, error) {
	var origin pull.Blobs = pull.Offline{Name: src}
	if policy, err := pull.ParsePolicy(r.req.PullPolicy); err == nil && policy != pull.Never {
		origin = r.Repository(src, registry.PullMode(src.Registry, r.dst.Registry))
	}
	return func(ctx context.Context) (io.ReadCloser, error) {
		if pull.Has(r.Store, l) {
			return r.Store.Open(l.Digest)
		}
		return origin.Blob(ctx, l.Digest, l.Size)
	}
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
	for _, l := range r.parts.layers {
		i := slices.IndexFunc(blobs, func(b deliver.Blob) bool { return b.Digest == l.Descriptor.Digest })
		if i < 0 || pull.Has(r.Store, l.Descriptor) || r.recalled.has(l.Descriptor.Digest) || r.elsewhere(blobs[i]) {
			continue
		}
		if err := r.remake(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere says whether a blob may be mounted from a repository that is remembered to have it.
func (r *run) elsewhere(b deliver.Blob) bool {
	return b.MountFrom != "" && len(r.Records.Holders(r.dst.Registry, b.Digest)) > 0
}

// unmounted are the same blobs, to be sent whatever the registry says it has.
func unmounted(blobs []deliver.Blob) []deliver.Blob {
	out := slices.Clone(blobs)
	for i := range out {
		out[i].MountFrom = ""
	}
	return out
}
