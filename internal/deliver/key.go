package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
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
		carrier := Carrier{To: k.At, From: k.From, Target: k.Target, Source: k.Source, Progress: k.Progress, Log: k.Log, Parallel: k.Parallel}
		if err := carrier.Content(ctx, k.Document); err != nil {
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
