// Package pushindex is the stage push-index: one multi-platform index over images that push has put into the same repository, or that
// it put together and left to this stage to push.
//
// Entries are sorted by platform, so that the order in which builds end does not change the index. An index that the destination has
// needs none of its images looked at. Before one is written, each image is asked for by its digest, and pushed when it is not there and
// its request is known: an index must never name what is not there.
package pushindex

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/gantry-build/gantry/internal/assemble"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request names the images and the destination.
type Request struct {
	tasks.RequestHeader
	// PushPaths are responses of push, one a platform, in any order.
	PushPaths []string `json:"pushPaths"`
	// PushRequestPaths are the requests of push that the responses are of, in the same order; none, or one each, an empty one where
	// nothing is to be run. When the index is not there they are run, by digest and without tags, so that its images are.
	PushRequestPaths []string `json:"pushRequestPaths,omitempty"`
	// Registry and Repository are the destination, the same as the images'.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Tags are written in this order; without any the index is pushed by its digest. A tag that is named twice is written once.
	Tags []string `json:"tags"`
	// IndexPath is a file to write, relative to the response's folder; empty means none.
	IndexPath string `json:"indexPath,omitempty"`
	tasks.PushSettings
}

// Validate returns all problems of the request: GANTRY1005, CONTAINER2005, 2007 (2010 for one of several tags) and 2012.
func (r *Request) Validate() error {
	var errs []error
	if len(r.PushPaths) == 0 {
		errs = append(errs, diag.New(diag.InvalidValue, "pushPaths is empty", "name the responses of push, one a platform"))
	}
	if n := len(r.PushRequestPaths); n != 0 && n != len(r.PushPaths) {
		errs = append(errs, diag.New(diag.InvalidValue, fmt.Sprintf("pushRequestPaths names %d requests for the %d responses of pushPaths", n, len(r.PushPaths)),
			"name one request for each response, in the same order"))
	}
	errs = append(errs, registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository))
	errs = append(errs, r.Problems(registry.NewName(r.Registry, r.Repository))...)
	errs = append(errs, tasks.TagProblems(r.tags(), len(r.Tags) > 1)...)
	return errors.Join(errs...)
}

// tags are the tags to write, each once.
func (r *Request) tags() []string { return tasks.Once(r.Tags) }

// Response describes what was pushed.
type Response struct {
	tasks.ResponseHeader
	Registry   string             `json:"registry"`
	Repository string             `json:"repository"`
	Digest     cas.Digest         `json:"digest"`
	MediaType  string             `json:"mediaType"`
	Size       int64              `json:"size"`
	Tags       []string           `json:"tags"`
	IndexPath  string             `json:"indexPath,omitempty"`
	Manifests  []tasks.Descriptor `json:"manifests"`
}

// Repository is the destination.
type Repository interface {
	oracle.Repository
	deliver.Content
}

// Deps are what the stage needs. OutputDir is the response's folder.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Log        *slog.Logger
	Progress   progress.Progress
	OutputDir  string
	// Confirm is as that of push.
	Confirm func() error
	// PushPlatform runs the push request at path by digest, to one destination: without tags and key, and not deferred. It asks the
	// destination first; held are manifests and indexes that it has. It is called for several platforms at once.
	PushPlatform func(ctx context.Context, path string, to deliver.Destination, held []cas.Digest) (outcome.Result, error)
	// TagPlatform writes the tags of the push request at path, when it was deferred and has any, after all images are there: a failure
	// of one platform leaves the tags of the others alone.
	TagPlatform func(ctx context.Context, path string, to deliver.Destination) (outcome.Result, error)
	// KeyWriter writes the tags of keys of the destination's images, in the repository that it is given; nil means as any tag.
	KeyWriter func(registry.Name) deliver.KeyWriter
	// Record notes beside an image that was pushed what it was made from; nil means nothing is noted.
	Record func(ctx context.Context, to deliver.Destination, image registry.Descriptor)
	// Outcome is told what was done, at the end, also when one of several destinations failed; nil means nobody is.
	Outcome func(outcome.Result) error
}

// pushed is what push reported of one image.
type pushed struct {
	tasks.ResponseHeader
	Registry   string         `json:"registry"`
	Repository string         `json:"repository"`
	Digest     cas.Digest     `json:"digest"`
	MediaType  string         `json:"mediaType"`
	Size       int64          `json:"size"`
	Platform   tasks.Platform `json:"platform"`
}

// Run pushes the index as far as the destination does not have it. Errors are GANTRY5004 for images that cannot be in one index, and
// those of the registry and of push.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	dst := registry.NewName(req.Registry, req.Repository)
	entries, format, inputs, err := readImages(req, dst)
	if err != nil {
		return nil, err
	}
	if d.Confirm != nil {
		if err := d.Confirm(); err != nil {
			return nil, err
		}
	}
	index, err := image.NewIndex(format, slices.Clone(entries))
	if err != nil {
		return nil, err
	}
	body, err := index.Encode()
	if err != nil {
		return nil, err
	}
	doc := deliver.NewDocument(body, index.MediaType)
	files := assemble.File{Path: req.IndexPath, Document: doc}
	outputs, err := assemble.Keep(d.Store, d.OutputDir, []deliver.Document{doc}, files)
	if err != nil {
		return nil, err
	}
	result, err := deliver.Everywhere(ctx, deliver.Destinations(dst, req.Others(dst)), false, func(ctx context.Context, to deliver.Destination) (outcome.Result, error) {
		r := &run{Deps: d, req: req, first: dst, to: to, dst: to.Name, entries: entries, repo: d.Repository(to.Name, to.Mode), index: doc}
		r.result = outcome.New("push-index", to.Name, doc.Descriptor)
		err := r.deliver(ctx)
		if err == nil && r.result.Pushed && d.Record != nil {
			d.Record(ctx, to, registry.Descriptor{MediaType: doc.Descriptor.MediaType, Digest: doc.Descriptor.Digest, Size: doc.Descriptor.Size})
		}
		return r.result, err
	})
	if err := deliver.Tell(d.Outcome, result, err); err != nil {
		return nil, err
	}
	return &Response{
		ResponseHeader: tasks.ResponseHeader{Inputs: inputs, Outputs: outputs},
		Registry:       req.Registry,
		Repository:     req.Repository,
		Digest:         doc.Descriptor.Digest,
		MediaType:      index.MediaType,
		Size:           doc.Descriptor.Size,
		Tags:           req.tags(),
		IndexPath:      assemble.OutputPath(d.OutputDir, req.IndexPath),
		Manifests:      index.Manifests,
	}, nil
}

// readImages reads the responses of push and checks that they belong together.
func readImages(req *Request, dst registry.Name) (entries []tasks.Descriptor, format string, inputs []tasks.FileDigest, err error) {
	for _, path := range req.PushPaths {
		var p pushed
		in, err := tasks.ReadResponse(path, "push", &p)
		if err != nil {
			return nil, "", nil, err
		}
		inputs = append(inputs, in)
		if at := registry.NewName(p.Registry, p.Repository); at != dst {
			return nil, "", nil, mismatch(fmt.Sprintf("the image of %s is in %s and the index goes to %s", p.Platform.OS+"/"+p.Platform.Architecture, at, dst),
				"push all images to the repository of the index")
		}
		f := image.FormatOf(p.MediaType)
		if format != "" && f != format {
			return nil, "", nil, mismatch(fmt.Sprintf("some images have Docker's format and some OCI's: %s is a %s", p.Digest, p.MediaType),
				"set ContainerImageFormat, so that all have the same")
		}
		format = f
		platform := p.Platform
		entries = append(entries, tasks.Descriptor{MediaType: p.MediaType, Digest: p.Digest, Size: p.Size, Platform: &platform})
	}
	return entries, format, inputs, nil
}

func mismatch(what, hint string) error { return diag.New(diag.IndexMismatch, what, hint) }
