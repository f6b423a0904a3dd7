// Package downloadlayers is the stage download-layers: it gets those layers of the base into the content store that the destination
// cannot get by itself.
//
// Within one registry nothing is moved: push mounts the layers there. Foreign layers are never fetched. What the destination has
// already is found with one HEAD a layer.
package downloadlayers

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Ways in which a destination gets a layer.
const (
	Mount       = "mount"       // it is in the same registry
	Store       = "store"       // it is in the content store and will be uploaded
	Destination = "destination" // the destination has it
	Foreign     = "foreign"     // whoever pulls the image gets it elsewhere
)

// Request names base and destination.
type Request struct {
	tasks.RequestHeader
	// SelectBasePath is the response of select-base.
	SelectBasePath string `json:"selectBasePath"`
	// Registry and Repository are the destination.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// PullPolicy is as in resolve-base.
	PullPolicy string `json:"pullPolicy,omitempty"`
}

// Validate returns all problems of the request.
func (r *Request) Validate() error {
	var errs []error
	if r.SelectBasePath == "" {
		errs = append(errs, diag.New(diag.InvalidValue, "selectBasePath is missing", "name the response of select-base"))
	}
	_, policy := pull.ParsePolicy(r.PullPolicy)
	return errors.Join(append(errs, registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository), policy)...)
}

// Layer is a layer of the base and how the destination gets it.
type Layer struct {
	tasks.Descriptor
	Availability string `json:"availability"`
}

// Response lists the base's layers, lowest first.
type Response struct {
	tasks.ResponseHeader
	Layers []Layer `json:"layers"`
}

// Repository is a repository of a registry.
type Repository interface {
	HasBlob(ctx context.Context, digest cas.Digest) (bool, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Deps are what the stage needs. Parallel bounds the transfers at once; 0 means 4.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Log        *slog.Logger
	Progress   progress.Progress
	Parallel   int
}

const defaultParallel = 4

// Run fetches what is needed. Errors are those of the registries, and GANTRY2006 for what the policy does not let it fetch.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	policy, err := pull.ParsePolicy(req.PullPolicy)
	if err != nil {
		return nil, err
	}
	base, in, err := tasks.ReadBase(req.SelectBasePath)
	if err != nil {
		return nil, err
	}
	t := transfer{
		Deps: d,
		dst:  registry.NewName(req.Registry, req.Repository),
		src:  registry.NewName(base.Registry, base.Repository),
	}
	t.from = pull.Offline{Name: t.src}
	if policy != pull.Never {
		t.from = d.Repository(t.src, registry.ModePull)
	}
	resp := &Response{ResponseHeader: tasks.ResponseHeader{Inputs: []tasks.FileDigest{in}}, Layers: make([]Layer, len(base.Layers))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit(d.Parallel))
	for i, l := range base.Layers {
		resp.Layers[i].Descriptor = l
		group.Go(func() (err error) {
			resp.Layers[i].Availability, err = t.layer(ctx, l)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, l := range resp.Layers {
		if l.Availability == Store {
			resp.Outputs = append(resp.Outputs, tasks.Output{Digest: l.Digest, Size: l.Size})
		}
	}
	return resp, nil
}

func limit(n int) int {
	if n <= 0 {
		return defaultParallel
	}
	return n
}

type transfer struct {
	Deps
	dst, src registry.Name
	from     pull.Blobs // src, as far as the policy lets it be asked
}

// layer makes one layer available.
func (t transfer) layer(ctx context.Context, l tasks.Descriptor) (string, error) {
	switch {
	case image.IsForeign(l.MediaType):
		return Foreign, nil
	case t.dst.SameRegistry(t.src):
		return Mount, nil
	}
	there, err := t.Repository(t.dst, registry.ModePush).HasBlob(ctx, l.Digest)
	if err != nil {
		return "", err
	}
	if there {
		t.Log.Debug("exists", "digest", l.Digest, "bytes", l.Size)
		return Destination, nil
	}
	return Store, t.fetch(ctx, l)
}

func (t transfer) fetch(ctx context.Context, l tasks.Descriptor) error {
	id := string(l.Digest)
	from := counting{t.from, t.Progress, id}
	t.Progress.Started(id, l.Size)
	fetched, err := pull.Ensure(ctx, t.Store, from, l)
	outcome := "downloaded"
	switch {
	case err != nil:
		outcome = "failed"
	case !fetched:
		outcome = "exists"
	}
	t.Progress.Done(id, outcome)
	if err == nil {
		t.Log.Debug(outcome, "digest", l.Digest, "bytes", l.Size)
	}
	return err
}

// counting reports the bytes of a blob that is read.
type counting struct {
	from pull.Blobs
	to   progress.Progress
	id   string
}

func (c counting) Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error) {
	r, err := c.from.Blob(ctx, digest, size)
	if err != nil {
		return nil, err
	}
	return &countingReader{r, c}, nil
}

type countingReader struct {
	io.ReadCloser
	c counting
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.c.to.Advanced(r.c.id, int64(n))
	}
	return n, err
}
