package push

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Sent is an upload of a blob that the caller of the stage has begun: it waits for its end.
type Sent func(ctx context.Context) (registry.Outcome, error)

// leaveOut takes out the blobs that the destination has because it has an image that names them: what one of the image's own tags
// named when it was asked in this build, as far as the content store has that image's documents. They are neither asked for nor sent.
// Nothing is left out when the request wants blobs sent, or looked at.
func (r *run) leaveOut(found oracle.Finding) []deliver.Blob {
	if r.ReadOnly || r.req.Unasked() != "" || r.req.Verifies(tasks.VerifyBlobs) {
		return r.blobs
	}
	digests := append(slices.Clone(r.Held), r.recalled.held) // Held is shared by the images of an index
	for _, t := range found.Tags {
		digests = append(digests, t.Digest)
	}
	held := oracle.Held(r.Store, digests...)
	var out []deliver.Blob
	for _, b := range r.blobs {
		if !held[b.Digest] {
			out = append(out, b)
			continue
		}
		r.leftOut++
		if b.Shared {
			r.Records.KeepHolder(r.dst.Registry, r.dst.Repository, b.Digest)
		}
		r.Log.Debug("known to be there", "digest", b.Digest, "bytes", b.Size)
		r.result.Blobs.Add(registry.Exists, b.Size)
	}
	return out
}

// send brings blobs into the destination, after what they are made of is there.
func (r *run) send(ctx context.Context, blobs []deliver.Blob) error {
	if err := r.checkStore(ctx, blobs); err != nil {
		return err
	}
	if r.req.DownloadLayersRequestPath != "" && r.DownloadLayers != nil && r.needsBase(blobs) {
		if err := r.DownloadLayers(ctx, r.req.DownloadLayersRequestPath); err != nil {
			return err
		}
	}
	before, sound := r.result.Blobs, !r.recalled.broken.Load()
	err := r.pushBlobs(ctx, blobs)
	broke := sound && r.recalled.broken.Load()
	if err != nil && ctx.Err() == nil && (diag.CodeOf(err) == diag.StoreCorrupt || broke) && r.checkStore(ctx, blobs) == nil {
		r.Log.Info("blobs are sent again, as one could not be read", "reason", err.Error())
		r.result.Blobs, r.Sent = before, nil
		err = r.pushBlobs(ctx, blobs) // the store drops what it finds damaged, so the layer was made again
	}
	return err
}

// needsBase says whether a layer of the base is among blobs.
func (r *run) needsBase(blobs []deliver.Blob) bool {
	for _, b := range blobs {
		for _, l := range r.parts.Base.Layers {
			if b.Digest == l.Digest {
				return true
			}
		}
	}
	return false
}

// pushBlobs sends the blobs side by side; the first failure ends the others.
func (r *run) pushBlobs(ctx context.Context, blobs []deliver.Blob) error {
	sender := deliver.Sender{Repository: r.repo, Name: r.dst, Records: r.Records, Progress: r.Progress, Log: r.Log}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.limit())
	for _, b := range blobs {
		group.Go(func() (err error) {
			var how registry.Outcome
			if sent := r.Sent[b.Digest]; sent != nil && b.MountFrom != "" {
				how, err = sent(ctx)
			} else {
				how, err = sender.Send(ctx, b)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			r.result.Blobs.Add(how, b.Size)
			return nil
		})
	}
	return group.Wait()
}
