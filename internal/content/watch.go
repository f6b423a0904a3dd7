package content

import (
	"context"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/pull"
)

// Watch is from with every blob that is read told to p; done is the outcome of one that was read to its end.
func Watch(from pull.Blobs, p progress.Progress, done string) pull.Blobs {
	return watched{from, p, done}
}

type watched struct {
	from pull.Blobs
	p    progress.Progress
	done string
}

func (w watched) Blob(ctx context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	r, err := w.from.Blob(ctx, d, size)
	if err != nil {
		return nil, err
	}
	w.p.Started(string(d), size)
	return &counted{r, w, string(d), "failed"}, nil
}

type counted struct {
	io.ReadCloser
	watched
	id      string
	outcome string
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.p.Advanced(c.id, int64(n))
	if err == io.EOF {
		c.outcome = c.done
	}
	return n, err
}

func (c *counted) Close() error {
	c.p.Done(c.id, c.outcome)
	return c.ReadCloser.Close()
}
