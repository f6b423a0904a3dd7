package registry

import (
	"context"
	"errors"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
)

// ErrMirrorFailed is in the chain of a blob's read error when a mirror gave
// the wrong content, or could not go on, after it had begun, and there is
// another place. That mirror is not asked for this blob again, so whoever can
// take back what was read opens the blob anew: each time one place fewer is
// left.
var ErrMirrorFailed = errors.New("the mirror is not asked for this again")

// failedAt is what a place could not give.
type failedAt struct {
	host    *host
	name    Name
	content string // a digest
}

// mirrored is a blob that comes from a place after which there is another.
type mirrored struct {
	io.ReadCloser
	ctx    context.Context
	at     *Repository
	digest cas.Digest
}

func (m *mirrored) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if err == nil || errors.Is(err, io.EOF) || m.ctx.Err() != nil {
		return n, err
	}
	c := m.at.client
	c.mu.Lock()
	c.failed[failedAt{m.at.host, m.at.name, string(m.digest)}] = true
	c.mu.Unlock()
	c.log.InfoContext(m.ctx, "a mirror gave wrong content, or not all of it, and is not asked for it again", "mirror", m.at.name.String(),
		"digest", m.digest, "reason", reasonOf(err))
	return n, &mirrorError{err}
}

// mirrorError is an ErrMirrorFailed that reads as what went wrong.
type mirrorError struct{ error }

func (e *mirrorError) Unwrap() error        { return e.error }
func (e *mirrorError) Is(target error) bool { return target == ErrMirrorFailed }

// hasFailed says whether a place was asked for this before, and failed.
func (c *Client) hasFailed(r *Repository, ref string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[failedAt{r.host, r.name, ref}]
}

// Retrieve has use read a blob, and once more from the next place when a
// mirror fails in the middle. use begins anew each time.
func Retrieve(ctx context.Context, from interface {
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}, digest cas.Digest, size int64, use func(io.Reader) error,
) error {
	for {
		body, err := from.Blob(ctx, digest, size)
		if err != nil {
			return err
		}
		err = use(body)
		body.Close()
		if !errors.Is(err, ErrMirrorFailed) || ctx.Err() != nil {
			return err
		}
	}
}

type impatience struct{}

// impatient marks requests after which another place is asked.
func impatient(ctx context.Context, spare bool) context.Context {
	if !spare {
		return ctx
	}
	return context.WithValue(ctx, impatience{}, true)
}

func isImpatient(ctx context.Context) bool { return ctx.Value(impatience{}) != nil }
