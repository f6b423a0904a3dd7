package push

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// recalled is what recall found, as far as a push may use it.
type recalled struct {
	answers map[string]registry.Descriptor // what the destination's tags name, as asked in this build
	held    cas.Digest                     // the manifest that the destination gave in this build; may be empty
	name    registry.Name                  // of the image; empty when there is none
	layers  map[cas.Digest]bool            // of the image, those that Gantry made
	from    Repository
	broken  atomic.Bool // a layer could not be read to its end
}

// recall reads recall's response. That there is none, or that it is damaged, only costs questions.
func (r *run) recall() *recalled {
	out := &recalled{}
	if r.req.RecallPath == "" {
		return out
	}
	var doc tasks.Recalled
	if _, err := tasks.ReadResponse(r.req.RecallPath, "recall", &doc); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.Log.Debug("what was recalled is not used", "reason", err.Error())
		}
		return out
	}
	image := registry.NewName(doc.Registry, doc.Repository)
	if doc.Manifest != nil {
		out.name, out.layers = image, map[cas.Digest]bool{}
		for _, l := range doc.Layers {
			out.layers[l.Descriptor.Digest] = true
		}
		out.from = r.repo
		if image != r.dst {
			out.from = r.Repository(image, r.readMode(image))
		}
	}
	if r.req.Unasked() != "" {
		return out
	}
	out.answers = Answers(&doc, r.BuildID, r.dst)
	if doc.Manifest != nil && image == r.dst && r.BuildID != "" && doc.Build == r.BuildID {
		out.held = doc.Manifest.Digest
	}
	return out
}

// readMode is how the repository of the recalled image is read: the first destination's as it is written to, as recall read it.
func (r *run) readMode(image registry.Name) registry.Mode {
	if image == registry.NewName(r.req.Registry, r.req.Repository) {
		return registry.ModePush
	}
	return registry.PullMode(image.Registry, r.req.Registry)
}

// Answers are what recall was told of the tags of a repository in a build.
func Answers(doc *tasks.Recalled, build string, dst registry.Name) map[string]registry.Descriptor {
	out := map[string]registry.Descriptor{}
	for _, t := range doc.Answered(build, dst.String()) {
		out[t.Tag] = registry.Descriptor{Digest: t.Digest, MediaType: t.MediaType}
	}
	return out
}

// has says whether the recalled image has a layer that can be read from there.
func (c *recalled) has(d cas.Digest) bool { return c.layers[d] && !c.broken.Load() }

// open reads a layer of the recalled image.
func (c *recalled) open(ctx context.Context, l tasks.Descriptor) (io.ReadCloser, error) {
	body, err := c.from.Blob(ctx, l.Digest, l.Size)
	if err != nil {
		c.broken.Store(true)
		return nil, err
	}
	return &recalledBody{body, c}, nil
}

// recalledBody notes that it broke off, so that the layer is made the next time.
type recalledBody struct {
	io.ReadCloser
	image *recalled
}

func (b *recalledBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.image.broken.Store(true)
	}
	return n, err
}
