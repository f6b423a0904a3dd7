package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// Content is a repository whose images can be taken over, and that takes images.
type Content interface {
	Names
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
}

// Key is the tag of a cache key and where it goes.
type Key struct {
	Tag    string // empty: none is written
	Reason string // why not, in words; may be empty
	// At is the repository of the key, From that of the image. They may be the same.
	At, From       registry.Name
	Target, Source Content
	Writer         KeyWriter // nil: the tag is written as any other
	Progress       registry.Progress
	Log            *slog.Logger
	Parallel       int
	Document       Document
}

// Write writes the key's tag, after all else: who finds it finds a complete image. Where keys have a repository of their own the
// image is taken over into it first. It returns nil when there is no key.
func (k Key) Write(ctx context.Context) (*outcome.Key, error) {
	out := &outcome.Key{Tag: k.Tag, Repository: k.At.String(), State: outcome.Written, Reason: k.Reason}
	if k.Reason != "" {
		k.Log.Info("the cache key's tag is not written", "reason", k.Reason)
		out.State = outcome.NotWritten
		return out, nil
	}
	if k.Tag == "" {
		return nil, nil
	}
	if k.At != k.From {
		if err := k.carry(ctx, k.Document); err != nil {
			return nil, fmt.Errorf("the image could not be brought to the keys' repository %s: %w", k.At, err)
		}
	}
	d := k.Document
	writer := k.Writer
	if writer == nil {
		writer = plain{k.Target}
	}
	if err := writer.Write(ctx, k.Tag, d.Descriptor.MediaType, d.Body); err != nil {
		return nil, fmt.Errorf("the cache key's tag %s: %w", k.Tag, err)
	}
	k.Log.Debug("cache key written", "tag", k.Tag, "repository", k.At.String(), "digest", d.Descriptor.Digest)
	return out, nil
}

// plain writes a key as any tag.
type plain struct{ Names }

// Write implements KeyWriter.
func (p plain) Write(ctx context.Context, tag, mediaType string, body []byte) error {
	return p.PushManifest(ctx, tag, mediaType, body)
}

// carry brings the content of a document into the keys' repository, but not the document itself. What an index names is brought with
// its content and by its digest.
func (k Key) carry(ctx context.Context, d Document) error {
	if image.IsIndex(d.Descriptor.MediaType) {
		x, err := image.ParseIndex(d.Body, d.Descriptor.MediaType)
		if err != nil {
			return err
		}
		for _, child := range x.Manifests {
			if err := k.carryChild(ctx, child); err != nil {
				return err
			}
		}
		return nil
	}
	m, err := image.ParseManifest(d.Body, d.Descriptor.MediaType)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(k.Parallel, 1))
	for _, b := range distinct(append(m.Layers, m.Config)) {
		group.Go(func() error { return k.carryBlob(ctx, b) })
	}
	return group.Wait()
}

func (k Key) carryChild(ctx context.Context, child image.Descriptor) error {
	m, err := k.Source.Manifest(ctx, string(child.Digest))
	if err != nil {
		return err
	}
	if err := k.carry(ctx, NewDocument(m.Body, m.MediaType)); err != nil {
		return err
	}
	return k.Target.PushManifest(ctx, string(m.Digest), m.MediaType, m.Body)
}

func (k Key) carryBlob(ctx context.Context, b image.Descriptor) error {
	source := registry.BlobSource{Digest: b.Digest, Size: b.Size, MountFrom: k.At.Repository}
	if k.At.SameRegistry(k.From) {
		source.MountFrom = k.From.Repository
	}
	source.Open = func(ctx context.Context) (io.ReadCloser, error) { return k.Source.Blob(ctx, b.Digest, b.Size) }
	how, err := k.Target.PushBlob(ctx, source, k.Progress)
	if err == nil {
		k.Log.Debug(string(how), "digest", b.Digest, "bytes", b.Size, "repository", k.At.String())
	}
	return err
}

// distinct are the blobs that a registry has to have, each once.
func distinct(blobs []image.Descriptor) []image.Descriptor {
	var out []image.Descriptor
	seen := map[cas.Digest]bool{}
	for _, b := range blobs {
		if !seen[b.Digest] && !image.IsForeign(b.MediaType) {
			seen[b.Digest] = true
			out = append(out, b)
		}
	}
	return out
}
