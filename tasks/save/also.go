package save

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// everywhere saves the image, and pushes it to the other destinations, whatever becomes of each. The error is that of saving where all
// the others have the image, else GANTRY5018.
func (r *run) everywhere(ctx context.Context) error {
	saved := r.deliver(ctx)
	if diag.CodeOf(saved) == diag.StoreCorrupt && ctx.Err() == nil {
		r.Log.Info("the image is written again, as a blob could not be read", "reason", saved.Error())
		saved = r.deliver(ctx) // the store dropped what it found damaged, so it is made or fetched anew
	}
	pushed := r.push(ctx)
	switch {
	case saved != nil && pushed != nil:
		r.did = r.did.Failed(saved)
		return diag.Wrap(diag.AlsoPushFailed, pushed, fmt.Sprintf("the image was not saved (%s: %s), and", diag.CodeOf(saved), saved), "publish again")
	case saved != nil:
		r.did = r.did.Failed(saved)
		return saved
	}
	return pushed
}

// push brings the image to the registries that are to have it too. The variables with an account count for the first of them.
func (r *run) push(ctx context.Context) error {
	settings := tasks.PushSettings{AlsoPushTo: r.req.AlsoPushTo}
	others := settings.Others(registry.Name{})
	if len(others) == 0 || ctx.Err() != nil {
		return nil
	}
	all := deliver.Destinations(others[0], others[1:])
	all[0].Other = true // the first destination is where the image was saved
	did, err := deliver.Everywhere(ctx, all, false, func(ctx context.Context, to deliver.Destination) (outcome.Result, error) {
		p := content.Pusher{
			Repository: r.Destination(to.Name, to.Mode), Name: to.Name, Records: records.Of(r.Store), Log: r.Log,
			Progress: progress.To(r.Progress, to.String()), Parallel: parallel, Top: r.image.Top,
			Image:     func(context.Context) (*content.Image, error) { return r.image, nil },
			MountFrom: func(b image.Descriptor) string { return r.blobs.near(to, b) },
		}
		return p.Push(ctx, "save", r.req.tags())
	})
	r.did.AlsoPushed = did.Each()
	return err
}

// near is a repository of the destination's registry that has a blob: one that got the image just now, or that of the base.
func (b *blobs) near(to deliver.Destination, d image.Descriptor) string {
	for _, p := range b.parts {
		base := registry.NewName(p.Base.Registry, p.Base.Repository)
		for _, l := range p.Base.Layers {
			if l.Digest == d.Digest && base.SameRegistry(to.Name) {
				return base.Repository
			}
		}
	}
	return to.Beside
}
