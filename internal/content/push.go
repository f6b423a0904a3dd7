package content

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository takes images.
type Repository interface {
	oracle.Repository
	deliver.Content
}

// Pusher brings one image into one repository of a registry.
type Pusher struct {
	Repository Repository
	Name       registry.Name
	Records    *records.Records
	Progress   progress.Progress
	Log        *slog.Logger
	Parallel   int // questions and transfers at once, at least 1
	// Top is the image's manifest or index; Image gives all of it, once that is needed.
	Top   deliver.Document
	Image func(context.Context) (*Image, error)
	// MountFrom is a repository of the same registry that has a blob; empty when none is known, and nil when none can be.
	MountFrom func(image.Descriptor) string

	image   *Image
	oracle  oracle.Oracle
	did     outcome.Result
	leftOut bool // a child was there
}

// Push finds out by one question about each tag what is there, before anything but the image's top is read; blobs, children and tags
// follow in this order. The result has at least the names, also with an error.
func (p *Pusher) Push(ctx context.Context, stage string, tags []string) (outcome.Result, error) {
	p.did = outcome.New(stage, p.Name, p.Top.Descriptor)
	p.oracle = oracle.Oracle{Repository: p.Repository, Name: p.Name, Log: p.Log, Parallel: p.Parallel}
	found, err := p.oracle.Look(ctx, p.Top.Descriptor, tags)
	if err != nil {
		return p.did, err
	}
	if found.Present {
		if found.Present, err = p.whole(ctx); err != nil {
			return p.did, err
		}
		if !found.Present {
			found.Reason = "the index is there, and not all of its images are"
		}
	}
	p.did.Reason = found.Reason
	if !found.Present {
		p.did.Pushed = true
		err := p.send(ctx, false)
		if errors.Is(err, registry.ErrBlobUnknown) { // a child was refused
			err = p.restore(ctx, err)
		}
		if err != nil {
			return p.did, err
		}
	}
	w := deliver.Writer{
		Repository: p.Repository, Name: p.Name, Log: p.Log, Document: p.Top, Parallel: p.Parallel, Skipped: found.Present || p.leftOut,
		Restore: p.restore,
	}
	written, err := w.Tags(ctx, tags, found.Tags, !found.Present)
	p.did.Tags = append(p.did.Tags, written...)
	return p.did, err
}

// whole says whether the destination has all images of an index that is there: registries let them be deleted alone. Of an index whose
// source lacks some, those that it has count.
func (p *Pusher) whole(ctx context.Context) (bool, error) {
	children, _, err := image.References(p.Top.Body, p.Top.Descriptor.MediaType)
	if err != nil || len(children) == 0 {
		return true, err
	}
	there := make([]bool, len(children))
	if err := p.ask(ctx, children, there); err != nil || !slices.Contains(there, false) {
		return true, err
	}
	if p.image, err = p.Image(ctx); err != nil {
		return false, err
	}
	there = make([]bool, len(p.image.Children))
	err = p.askChildren(ctx, there)
	return !slices.Contains(there, false), err
}

// restore sends all that the image names.
func (p *Pusher) restore(ctx context.Context, reason error) error {
	p.Log.Info("the registry misses content that it said it has; it is sent again", "reason", reason.Error())
	p.did.Pushed, p.did.Reason, p.did.Blobs = true, "the destination said it has blobs that it misses", outcome.Blobs{}
	return p.send(ctx, true)
}

// send brings blobs and children. A child that is there has its blobs there, too, unless all are wanted.
func (p *Pusher) send(ctx context.Context, all bool) (err error) {
	if p.image == nil {
		if p.image, err = p.Image(ctx); err != nil {
			return err
		}
	}
	there := make([]bool, len(p.image.Children))
	if !all {
		if err := p.askChildren(ctx, there); err != nil {
			return err
		}
	}
	needed := map[cas.Digest]bool{}
	for i, d := range append(append([]deliver.Document(nil), p.image.Children...), p.image.Top) {
		_, blobs, err := image.References(d.Body, d.Descriptor.MediaType)
		if err != nil {
			return err
		}
		for _, b := range blobs {
			needed[b.Digest] = needed[b.Digest] || i == len(there) || !there[i]
		}
	}
	if err := p.sendBlobs(ctx, needed, all); err != nil {
		return err
	}
	for i, d := range p.image.Children { // one after the other: a nested index comes behind what it names
		if there[i] {
			continue
		}
		if err := p.Repository.PushManifest(ctx, string(d.Descriptor.Digest), d.Descriptor.MediaType, d.Body); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pusher) askChildren(ctx context.Context, there []bool) error {
	children := make([]image.Descriptor, len(p.image.Children))
	for i, d := range p.image.Children {
		children[i] = d.Descriptor
	}
	err := p.ask(ctx, children, there)
	p.leftOut = p.leftOut || slices.Contains(there, true)
	return err
}

// ask finds out which of some manifests the destination has.
func (p *Pusher) ask(ctx context.Context, manifests []image.Descriptor, there []bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(p.Parallel, 1))
	for i, d := range manifests {
		group.Go(func() error {
			found, err := p.oracle.Exists(ctx, string(d.Digest))
			there[i] = err == nil && found.Digest == d.Digest && found.MediaType == d.MediaType
			return err
		})
	}
	return group.Wait()
}

func (p *Pusher) sendBlobs(ctx context.Context, needed map[cas.Digest]bool, all bool) error {
	sender := deliver.Sender{Repository: p.Repository, Name: p.Name, Records: p.Records, Progress: p.Progress, Log: p.Log}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(p.Parallel, 1))
	for _, b := range p.image.Blobs {
		if !needed[b.Digest] {
			p.did.Blobs.Add(registry.Exists, b.Size)
			continue
		}
		group.Go(func() error {
			open := func(ctx context.Context) (io.ReadCloser, error) { return p.image.From.Blob(ctx, b.Digest, b.Size) }
			how, err := sender.Send(ctx, deliver.Blob{
				BlobSource: registry.BlobSource{Digest: b.Digest, Size: b.Size, MountFrom: p.mountFrom(b, all), Open: open}, Shared: true,
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.did.Blobs.Add(how, b.Size)
			return nil
		})
	}
	return group.Wait()
}

// mountFrom is the repository that is asked for a blob: where none is known the destination itself, which so says whether it has it.
func (p *Pusher) mountFrom(b image.Descriptor, all bool) string {
	if all {
		return ""
	}
	if p.MountFrom != nil {
		if from := p.MountFrom(b); from != "" {
			return from
		}
	}
	return p.Name.Repository
}
