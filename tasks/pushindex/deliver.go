package pushindex

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// parallel is how many questions and tags are under way at once.
const parallel = 8

// run is one index on its way to one destination.
type run struct {
	Deps
	req     *Request
	first   registry.Name // the first destination
	to      deliver.Destination
	dst     registry.Name
	repo    Repository
	entries []tasks.Descriptor // in the order of the request
	index   deliver.Document
	result  outcome.Result
}

// deliver asks, has the images pushed that are not there, and writes the names: tags, then the key's.
func (r *run) deliver(ctx context.Context) error {
	found, err := r.ask(ctx)
	if err != nil {
		return err
	}
	r.Log.Debug("asked the destination", "digest", r.index.Descriptor.Digest, "present", found.Present, "reason", found.Reason)
	r.result.Reason = found.Reason
	r.result.Pushed = !found.Present
	if !found.Present || r.req.Verifies(tasks.VerifyBlobs) {
		if err := r.images(ctx, held(found)); err != nil {
			return err
		}
	}
	if err := r.platformTags(ctx); err != nil {
		return err
	}
	if err := r.names(ctx, found); err != nil || r.to.Other {
		return err
	}
	where, tag := r.req.Key(r.dst)
	key := deliver.Key{
		Tag: tag, Reason: r.req.NoKeyReason, At: where, From: r.dst, Target: r.Repository(where, registry.ModePush), Source: r.repo,
		Progress: r.Progress, Log: r.Log, Parallel: parallel, Document: r.index,
	}
	if r.KeyWriter != nil {
		key.Writer = r.KeyWriter(where)
	}
	r.result.Key, err = key.Write(ctx)
	return err
}

// ask finds out what the destination has, unless the request wants everything sent.
func (r *run) ask(ctx context.Context) (oracle.Finding, error) {
	if reason := r.req.Unasked(); reason != "" {
		return oracle.Finding{Reason: reason}, nil
	}
	o := oracle.Oracle{Repository: r.repo, Name: r.dst, Log: r.Log, Parallel: parallel}
	o.Changed = deliver.Changed(r.Store, r.dst, r.index.Descriptor.Digest, r.req.tags(), r.Log)
	return o.Look(ctx, r.index.Descriptor, deliver.Asked(r.req.tags(), r.to.CacheTag(r.req.CacheTag)))
}

// held is what the destination has, by what its tags named when they were asked.
func held(found oracle.Finding) []cas.Digest {
	var out []cas.Digest
	for _, t := range found.Tags {
		if t.Digest != "" {
			out = append(out, t.Digest)
		}
	}
	return out
}

// names writes the tags that do not name the index yet. A registry that said that it has the index, and misses an image of it now, is
// given the images again.
func (r *run) names(ctx context.Context, found oracle.Finding) error {
	w := deliver.Writer{
		Repository: r.repo, Name: r.dst, Log: r.Log, Store: r.Store, Document: r.index, Parallel: parallel, Skipped: found.Present,
	}
	if found.Present {
		w.Restore = func(ctx context.Context, reason error) error {
			r.Log.Info("the registry misses images of the index that it said it has", "reason", reason.Error())
			r.result.Pushed, r.result.Reason = true, "the destination said it has images that it misses"
			return r.images(ctx, nil)
		}
	}
	return w.Names(ctx, &r.result, r.req.tags(), r.to.CacheTag(r.req.CacheTag), found, r.req.Verifies(tasks.VerifyTags))
}

// images makes sure, side by side, that each image of the index is there: by its push request where it has one, which asks by digest
// first, else by asking. That two platforms may be one image is no concern here. held are manifests and indexes that the destination
// has.
func (r *run) images(ctx context.Context, held []cas.Digest) error {
	did := make([]outcome.Result, len(r.entries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range r.entries {
		group.Go(func() (err error) {
			did[i], err = r.image(ctx, i, held)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.result.Platforms = nil
	for i, m := range r.entries {
		r.result.Blobs.AddAll(did[i].Blobs)
		r.result.Pushed = r.result.Pushed || did[i].Pushed
		r.result.Platforms = append(r.result.Platforms, outcome.Platform{
			Platform: image.PlatformName(*m.Platform), Digest: m.Digest, Pushed: did[i].Pushed, Reason: did[i].Reason,
		})
	}
	return nil
}

// image makes sure of one image.
func (r *run) image(ctx context.Context, i int, held []cas.Digest) (did outcome.Result, err error) {
	m := r.entries[i]
	if i >= len(r.req.PushRequestPaths) || r.req.PushRequestPaths[i] == "" || r.PushPlatform == nil {
		if r.to.Other {
			return r.carry(ctx, m)
		}
		return outcome.Result{Reason: "the destination has the manifest"}, r.checkPresent(ctx, m)
	}
	did, err = r.PushPlatform(ctx, r.req.PushRequestPaths[i], r.to, held)
	if err == nil && did.Digest != m.Digest {
		err = mismatch(fmt.Sprintf("the push of %s gave %s, and its response says %s", image.PlatformName(*m.Platform), did.Digest, m.Digest),
			"something changed since push ran: publish again, with no other build at work in the folder")
	}
	return did, err
}

// carry brings one image from the first destination, unless it is there.
func (r *run) carry(ctx context.Context, m tasks.Descriptor) (did outcome.Result, err error) {
	o := oracle.Oracle{Repository: r.repo, Name: r.dst, Log: r.Log, Parallel: parallel}
	there, err := o.Exists(ctx, string(m.Digest))
	if err != nil || there.Digest == m.Digest && there.MediaType == m.MediaType {
		return outcome.Result{Reason: "the destination has the manifest"}, err
	}
	c := deliver.Carrier{
		To: r.dst, From: r.first, Target: r.repo, Source: r.Repository(r.first, registry.ModePush), Log: r.Log, Parallel: parallel,
		Progress: progress.To(r.Progress, r.dst.String()),
	}
	err = c.Image(ctx, m.Digest)
	return outcome.Result{Pushed: true, Reason: "taken over from " + r.first.String(), Blobs: c.Blobs()}, err
}

// platformTags writes the tags of the single images, side by side, before those of the index.
func (r *run) platformTags(ctx context.Context) error {
	if r.TagPlatform == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	tags := make([][]outcome.Tag, len(r.entries))
	for i, m := range r.entries {
		if i >= len(r.req.PushRequestPaths) || r.req.PushRequestPaths[i] == "" {
			continue
		}
		group.Go(func() error {
			did, err := r.TagPlatform(ctx, r.req.PushRequestPaths[i], r.to)
			if err == nil && did.Digest != "" && did.Digest != m.Digest {
				return mismatch(fmt.Sprintf("the push of %s gave %s, and its response says %s", image.PlatformName(*m.Platform), did.Digest, m.Digest),
					"something changed since push ran: publish again, with no other build at work in the folder")
			}
			tags[i] = did.Tags
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.result.PlatformTags = slices.Concat(tags...)
	return nil
}

func (r *run) checkPresent(ctx context.Context, m tasks.Descriptor) error {
	got, err := r.repo.HeadManifest(ctx, string(m.Digest))
	if errors.Is(err, registry.ErrNotFound) {
		return diag.Wrap(diag.IndexMismatch, err, fmt.Sprintf("the image %s (%s) is not in the destination", m.Digest, image.PlatformName(*m.Platform)),
			"run push again for that platform")
	}
	if err == nil && got.MediaType != m.MediaType {
		return mismatch(fmt.Sprintf("the image %s was pushed as %s and is in the destination as %s", m.Digest, m.MediaType, got.MediaType),
			"something between you and the registry changes content")
	}
	return err
}
