// Package check is the stage check: is the image that a build would make in the destination already?
//
// A cache key, which the user gives, names it through a tag. The tag alone is no proof: it can be moved by anyone who may push, and the
// base may have moved since. So what it names is read and looked at: an image or an index as asked for, in the image format asked for, with
// exactly the platforms asked for, each of them there, each on the base's manifest as the base is now, and, with a secret, proved by a
// record. Then the requested tags are written on it, and nothing has to be compiled.
//
// Every answer says why. What is not there or not right is a miss and the build does its work; an outage is an error, and never read as
// either answer.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Repository is a repository of a registry.
type Repository interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	ProbeBlob(ctx context.Context, digest cas.Digest, size int64) (bool, error)
}

// Keys finds the images that keys name; *cachekey.Keys does.
type Keys interface {
	Image(ctx context.Context, tag string) (*registry.Manifest, error)
	Proven(ctx context.Context, tag string, image cas.Digest) error
}

// Deps are what the stage needs. Keys returns the keys of the images in one repository whose tags are in another, or the same.
// OutputDir is the response's folder. Layers finds the layers that the project's items name in registries for a runtime identifier, as
// they are now; nil means that there are no such items. Outcome is told of a hit; nil means nobody is.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Keys       func(image, keys registry.Name) Keys
	Store      *cas.Store
	Log        *slog.Logger
	Progress   progress.Progress
	OutputDir  string
	Layers     func(ctx context.Context, rid string) (*tasks.ExtraLayers, error)
	Outcome    func(outcome.Result) error
}

// checker is the work of one call.
type checker struct {
	Deps
	req    *Request
	tag    string // the key's
	repo   Repository
	graph  *image.Graph
	bases  bases
	inputs []tasks.FileDigest
}

// Run answers. Errors are those of the registries, CONTAINER1011 when the base has no variant for a runtime identifier, GANTRY5003 for a tag
// that does not move, and GANTRY5018 when another destination does not get the image.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	tag, err := cachekey.Tag(req.CacheKey, req.HashCacheKey)
	if err != nil {
		return nil, err
	}
	c := &checker{Deps: d, req: req, tag: tag, repo: d.Repository(req.destination(), registry.ModePush)}
	if err := c.readInputs(); err != nil {
		return nil, err
	}
	resp, err := c.answer(ctx)
	var miss *cachekey.Miss
	if errors.As(err, &miss) {
		return c.miss(miss), nil
	}
	return resp, err
}

// answer returns the response of a hit, or a *cachekey.Miss.
func (c *checker) answer(ctx context.Context) (*Response, error) {
	keys := c.Keys(c.req.destination(), c.req.keys())
	top, err := keys.Image(ctx, c.tag)
	if err != nil {
		return nil, err
	}
	found, err := c.inspect(ctx, top)
	if err != nil {
		return nil, err
	}
	if err := keys.Proven(ctx, c.tag, top.Digest); err != nil {
		return nil, err
	}
	if err := c.probe(ctx, found); err != nil {
		return nil, err
	}
	done, err := c.everywhere(ctx, found)
	var miss *cachekey.Miss
	switch {
	case errors.As(err, &miss):
		return nil, err
	case err != nil:
		return nil, deliver.Tell(c.Outcome, done, err)
	}
	resp, err := c.hit(found)
	if err != nil {
		return nil, err
	}
	return resp, deliver.Tell(c.Outcome, done, nil)
}

// miss is the answer that leaves all work to the build.
func (c *checker) miss(m *cachekey.Miss) *Response {
	line := fmt.Sprintf("No image for the cache key in '%s': %s", c.req.destination(), m.Reason)
	if m.Code != "" {
		line += " (" + string(m.Code) + ")"
	}
	c.Log.Info(line)
	return &Response{
		ResponseHeader: tasks.ResponseHeader{Inputs: c.inputs},
		Reason:         m.Reason, Code: string(m.Code),
		Tag: c.tag, Registry: c.req.Registry, Repository: c.req.Repository,
	}
}

// missf is a miss with a reason.
func missf(format string, args ...any) error {
	return &cachekey.Miss{Reason: fmt.Sprintf(format, args...)}
}
