package deliver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// Carrier takes images over from one repository into another: blobs are mounted within a registry, else streamed.
type Carrier struct {
	To, From       registry.Name
	Target, Source Content
	Progress       registry.Progress
	Log            *slog.Logger
	Parallel       int
	// Send mounts nothing, for a repository that says that it has what it does not give.
	Send bool

	mu    sync.Mutex
	blobs outcome.Blobs
}

// Blobs are those that were brought so far.
func (c *Carrier) Blobs() outcome.Blobs {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blobs
}

// ErrSource says that what was to be brought could not be read.
var ErrSource = errors.New("the image cannot be read where it is")

// sourceError is a failure of the repository that is read.
type sourceError struct{ error }

// Unwrap returns the failure; Is makes it ErrSource too.
func (e sourceError) Unwrap() error        { return e.error }
func (e sourceError) Is(target error) bool { return target == ErrSource }

func ofSource(err error) error {
	if err == nil {
		return nil
	}
	return sourceError{err}
}

// Image brings the manifest or index of a digest with its content.
func (c *Carrier) Image(ctx context.Context, d cas.Digest) error {
	m, err := c.Source.Manifest(ctx, string(d))
	if err != nil {
		return ofSource(err)
	}
	if err := c.Content(ctx, NewDocument(m.Body, m.MediaType)); err != nil {
		return err
	}
	return c.Target.PushManifest(ctx, string(m.Digest), m.MediaType, m.Body)
}

// Content brings the content of a document, but not the document itself. What an index names is brought with its content and by its
// digest. Errors of reading are ErrSource.
func (c *Carrier) Content(ctx context.Context, d Document) error {
	if image.IsIndex(d.Descriptor.MediaType) {
		x, err := image.ParseIndex(d.Body, d.Descriptor.MediaType)
		if err != nil {
			return err
		}
		for _, child := range x.Manifests {
			if err := c.Image(ctx, child.Digest); err != nil {
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
	group.SetLimit(max(c.Parallel, 1))
	for _, b := range distinct(append(m.Layers, m.Config)) {
		group.Go(func() error { return c.blob(ctx, b) })
	}
	return group.Wait()
}

func (c *Carrier) blob(ctx context.Context, b image.Descriptor) error {
	source := registry.BlobSource{Digest: b.Digest, Size: b.Size, MountFrom: c.To.Repository}
	switch {
	case c.Send:
		source.MountFrom = ""
	case c.To.SameRegistry(c.From):
		source.MountFrom = c.From.Repository
	}
	var unread error
	source.Open = func(ctx context.Context) (body io.ReadCloser, err error) {
		body, unread = c.Source.Blob(ctx, b.Digest, b.Size)
		return body, unread
	}
	how, err := c.Target.PushBlob(ctx, source, c.Progress)
	switch {
	case unread != nil:
		return ofSource(unread)
	case err != nil:
		return err
	}
	c.Log.Debug(string(how), "digest", b.Digest, "bytes", b.Size, "repository", c.To.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs.Add(how, b.Size)
	return nil
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
