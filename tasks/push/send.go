package push

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// checkStore makes sure, before anything is sent, that the store has the app's layers: what it lost is made again.
func (r *run) checkStore(ctx context.Context) error {
	err := r.parts.inStore(r.Store)
	if err == nil || r.req.CreateLayersRequestPath == "" || r.RemakeLayers == nil {
		return err
	}
	r.Log.Info("layers are made again", "reason", err.Error())
	if err := r.RemakeLayers(ctx, r.req.CreateLayersRequestPath); err != nil {
		return err
	}
	return r.parts.inStore(r.Store) // other bytes than before: the publish folder is not what create-layers saw
}

// sources are all blobs of the image that the destination must have, each once. Those that cannot be mounted from the base are asked
// for as a mount from the destination itself: a registry that has the blob says so, one that has not has opened the upload. With
// forcePush nothing is mounted.
func (r *run) sources() []registry.BlobSource {
	src := registry.NewName(r.parts.base.Registry, r.parts.base.Repository)
	mode, from := registry.ModePull, r.dst.Repository
	if r.dst.SameRegistry(src) {
		mode, from = registry.ModePullFromOutput, src.Repository
	}
	origin := r.Repository(src, mode)
	var out []registry.BlobSource
	seen := map[cas.Digest]bool{}
	add := func(desc tasks.Descriptor, mountFrom string, open func(context.Context) (io.ReadCloser, error)) {
		if !seen[desc.Digest] && !image.IsForeign(desc.MediaType) {
			seen[desc.Digest] = true
			out = append(out, registry.BlobSource{Digest: desc.Digest, Size: desc.Size, MountFrom: mountFrom, Open: open})
		}
	}
	for _, l := range r.parts.base.Layers {
		add(l, from, func(ctx context.Context) (io.ReadCloser, error) {
			if pull.Has(r.Store, l) {
				return r.Store.Open(l.Digest)
			}
			return origin.Blob(ctx, l.Digest, l.Size)
		})
	}
	for _, l := range r.parts.layers {
		add(l.Descriptor, r.dst.Repository, func(context.Context) (io.ReadCloser, error) { return r.Store.Open(l.Descriptor.Digest) })
	}
	add(r.config.Descriptor, r.dst.Repository, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(r.config.Body)), nil
	})
	if r.req.ForcePush {
		return unmounted(out)
	}
	return out
}

// unmounted are the same blobs, to be sent whatever the registry says it has.
func unmounted(blobs []registry.BlobSource) []registry.BlobSource {
	out := slices.Clone(blobs)
	for i := range out {
		out[i].MountFrom = ""
	}
	return out
}

// send brings blobs into the destination, after what they are made of is there.
func (r *run) send(ctx context.Context, blobs []registry.BlobSource) error {
	if err := r.checkStore(ctx); err != nil {
		return err
	}
	if r.req.DownloadLayersRequestPath != "" && r.DownloadLayers != nil {
		if err := r.DownloadLayers(ctx, r.req.DownloadLayersRequestPath); err != nil {
			return err
		}
	}
	before := r.result.Blobs
	err := r.pushBlobs(ctx, blobs)
	if diag.CodeOf(err) == diag.StoreCorrupt && r.checkStore(ctx) == nil {
		r.result.Blobs = before
		err = r.pushBlobs(ctx, blobs) // the store drops what it finds damaged, so the layer was made again
	}
	return err
}

// pushBlobs sends the blobs side by side; the first failure ends the others.
func (r *run) pushBlobs(ctx context.Context, blobs []registry.BlobSource) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.limit())
	for _, b := range blobs {
		group.Go(func() error {
			how, err := r.repo.PushBlob(ctx, b, r.Progress)
			if err != nil {
				return err
			}
			r.Log.Debug(string(how), "digest", b.Digest, "bytes", b.Size)
			mu.Lock()
			defer mu.Unlock()
			r.result.Blobs.Add(how, b.Size)
			return nil
		})
	}
	return group.Wait()
}

// repair looks for the blobs behind a manifest that is there, and sends those that are gone, or that the account may not see.
func (r *run) repair(ctx context.Context) error {
	missing, hidden, err := r.oracle().MissingBlobs(ctx, r.content())
	if err != nil || len(missing)+len(hidden) == 0 {
		return err
	}
	gone := map[cas.Digest]bool{}
	for _, m := range append(hidden, missing...) {
		gone[m.Digest] = true
	}
	var again []registry.BlobSource
	for _, b := range unmounted(r.blobs) {
		if gone[b.Digest] {
			again = append(again, b)
		}
	}
	r.result.Pushed = true
	r.result.Reason = fmt.Sprintf("the destination has the manifest and does not give %d of its blobs", len(again))
	r.Log.Info("blobs are sent again", "reason", r.result.Reason)
	if err := r.send(ctx, again); err != nil {
		return err
	}
	still, _, err := r.oracle().MissingBlobs(ctx, missing)
	if err == nil && len(still) > 0 {
		return diag.New(diag.BlobUploadFailed, fmt.Sprintf("%s took the blob %s and does not give it", r.dst, still[0].Digest),
			"the registry's storage is damaged: ask its administrator")
	}
	return err
}
