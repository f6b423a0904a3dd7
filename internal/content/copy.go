package content

import (
	"context"
	"fmt"
	"io"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
)

// CopyBlob writes a blob to w. The blob's reader proves the digest, and this the size; what was written by then is of no use when it fails.
func CopyBlob(ctx context.Context, from pull.Blobs, b image.Descriptor, w io.Writer) error {
	r, err := from.Blob(ctx, b.Digest, b.Size)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, WithContext(ctx, r))
	if err == nil && n != b.Size {
		err = diag.New(diag.DigestMismatch, fmt.Sprintf("the blob %s has %d bytes and is announced with %d", b.Digest, n, b.Size), "run again")
	}
	return err
}

// Sink tells errors of writing from those of reading what is written.
type Sink struct {
	W      io.Writer
	Failed error // of W
}

func (s *Sink) Write(p []byte) (int, error) {
	n, err := s.W.Write(p)
	if err != nil {
		s.Failed = err
	}
	return n, err
}

// WithContext is r until ctx ends.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
