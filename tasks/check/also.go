package check

import (
	"context"
	"errors"
	"sync"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// at is a destination of the image.
type at struct {
	repo Repository
	name registry.Name
	top  []oracle.Tag // what the request's tags name there, where that was asked already
}

// everywhere makes sure that each destination has the image and its tags: the first has the image, as its key says; another is asked, and
// given the image from the first where it lacks it, so that a hit never leaves one without. What the first turns out not to give is a
// *cachekey.Miss: the build makes it, and pushes to all.
func (c *checker) everywhere(ctx context.Context, f *found) (outcome.Result, error) {
	first := c.req.destination()
	top := image.Descriptor{MediaType: f.top.MediaType, Digest: f.top.Digest, Size: int64(len(f.top.Body))}
	tags, failed := c.moveTags(ctx, f, at{repo: c.repo, name: first})
	var miss *cachekey.Miss
	if errors.As(failed, &miss) {
		return outcome.Result{}, failed
	}
	settings := tasks.PushSettings{AlsoPushTo: c.req.AlsoPushTo}
	var mu sync.Mutex
	var lost error
	done, err := deliver.Everywhere(ctx, deliver.Destinations(first, settings.Others(first)), false, func(ctx context.Context, to deliver.Destination) (outcome.Result, error) {
		r := outcome.New("check", to.Name, top)
		if !to.Other {
			r.Reason, r.Tags = c.reason(), append(r.Tags, tags...)
			r.Key = &outcome.Key{Tag: c.tag, Repository: c.req.keys().String(), State: outcome.Current}
			return r, failed
		}
		err := c.takeOver(ctx, f, to, &r)
		if errors.Is(err, deliver.ErrSource) {
			mu.Lock()
			defer mu.Unlock()
			lost = err
		}
		return r, err
	})
	if lost != nil && ctx.Err() == nil {
		return done, missf("the image cannot be taken over for another destination: %v", lost)
	}
	return done, err
}

// takeOver makes sure that another destination has the image and its tags.
func (c *checker) takeOver(ctx context.Context, f *found, to deliver.Destination, r *outcome.Result) error {
	repo := c.Repository(to.Name, to.Mode)
	o := oracle.Oracle{Repository: repo, Name: to.Name, Log: c.Log, Parallel: parallel}
	doc := deliver.NewDocument(f.top.Body, f.top.MediaType)
	var tags []string
	if c.req.TagsOnHit != TagsNone {
		tags = c.req.tags()
	}
	there, err := o.Look(ctx, doc.Descriptor, tags)
	if err != nil {
		return err
	}
	r.Reason = there.Reason
	if whole, err := c.whole(ctx, f, o, there.Present); err != nil {
		return err
	} else if !whole {
		carrier := c.carrier(to, repo)
		carrier.Send = there.Present // it says that it has what it does not give
		if err := carrier.Content(ctx, doc); err != nil {
			return err
		}
		r.Pushed, r.Blobs = true, carrier.Blobs()
		r.Reason += "; taken over from " + carrier.From.String()
		if len(tags) == 0 {
			if err := repo.PushManifest(ctx, string(doc.Descriptor.Digest), doc.Descriptor.MediaType, doc.Body); err != nil {
				return err
			}
		}
	}
	now := there.Tags
	if now == nil {
		now = []oracle.Tag{}
	}
	written, err := c.moveTags(ctx, f, at{repo, to.Name, now})
	r.Tags = append(r.Tags, written...)
	return err
}

// whole says whether a destination that has the image's document has all of it, as far as the request wants that looked at.
func (c *checker) whole(ctx context.Context, f *found, o oracle.Oracle, present bool) (bool, error) {
	if !present || !c.req.verifies(tasks.VerifyBlobs) {
		return present, nil
	}
	var blobs []image.Descriptor
	for _, i := range f.images {
		blobs = append(append(blobs, i.manifest.Config), i.manifest.Layers...)
	}
	missing, hidden, err := o.MissingBlobs(ctx, blobs)
	return len(missing)+len(hidden) == 0, err
}

// carrier brings images to a destination: from a repository beside it that has them, else from the first destination.
func (c *checker) carrier(to deliver.Destination, repo Repository) *deliver.Carrier {
	carrier := &deliver.Carrier{
		To: to.Name, From: c.req.destination(), Target: repo, Source: c.repo, Progress: progress.To(c.Progress, to.String()), Log: c.Log, Parallel: parallel,
	}
	if to.Beside != "" && !to.SameRegistry(carrier.From) {
		carrier.From = registry.NewName(to.Registry, to.Beside)
		carrier.Source = c.Repository(carrier.From, to.Mode)
	}
	return carrier
}
