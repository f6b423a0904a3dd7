// Package pushindex is the stage push-index: one multi-platform index over images that push has put into the same repository.
//
// Entries are sorted by platform, so that the order in which builds end does not change the index. Before it is written, each image is
// asked for by its digest: an index must never name what is not there.
package pushindex

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request names the images and the destination.
type Request struct {
	tasks.RequestHeader
	// PushPaths are responses of push, one a platform, in any order.
	PushPaths []string `json:"pushPaths"`
	// Registry and Repository are the destination, the same as the images'.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Tags are written in this order; without any the index is pushed by its digest. A tag that is named twice is written once.
	Tags []string `json:"tags"`
	// IndexPath is a file to write, relative to the response's folder; empty means none.
	IndexPath string `json:"indexPath,omitempty"`
}

// Validate returns all problems of the request: GANTRY1005, CONTAINER2005, 2007 (2010 for one of several tags) and 2012.
func (r *Request) Validate() error {
	var errs []error
	if len(r.PushPaths) == 0 {
		errs = append(errs, diag.New(diag.InvalidValue, "pushPaths is empty", "name the responses of push, one a platform"))
	}
	errs = append(errs, registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository))
	for _, t := range r.Tags {
		err := registry.ParseTag(t)
		if err != nil && len(r.Tags) > 1 {
			err = diag.New(diag.InvalidTags, fmt.Sprintf("the tag %q is not valid", t), "use at most 128 letters, digits, _ . -, and do not begin with . or -")
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

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
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
}

// Deps are what the stage needs. OutputDir is the response's folder.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Log        *slog.Logger
	OutputDir  string
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

// Run pushes the index. Errors are GANTRY5004 for images that cannot be in one index, and those of the registry.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	dst := registry.NewName(req.Registry, req.Repository)
	entries, format, inputs, err := readImages(req, dst)
	if err != nil {
		return nil, err
	}
	index, err := image.NewIndex(format, entries)
	if err != nil {
		return nil, err
	}
	body, err := index.Encode()
	if err != nil {
		return nil, err
	}
	repo := d.Repository(dst, registry.ModePush)
	if err := checkPresent(ctx, repo, index.Manifests); err != nil {
		return nil, err
	}
	out := tasks.Output{Digest: cas.DigestOf(body), Size: int64(len(body))}
	outputs, err := keep(d, req, body, out)
	if err != nil {
		return nil, err
	}
	tags, err := d.write(ctx, repo, req.Tags, index.MediaType, out.Digest, body)
	if err != nil {
		return nil, err
	}
	return &Response{
		ResponseHeader: tasks.ResponseHeader{Inputs: inputs, Outputs: outputs},
		Registry:       req.Registry,
		Repository:     req.Repository,
		Digest:         out.Digest,
		MediaType:      index.MediaType,
		Size:           out.Size,
		Tags:           tags,
		IndexPath:      outputPath(d.OutputDir, req.IndexPath),
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

// checkPresent asks for each image. That two platforms may be one image is no concern here.
func checkPresent(ctx context.Context, repo Repository, manifests []tasks.Descriptor) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range manifests {
		group.Go(func() error {
			got, err := repo.HeadManifest(ctx, string(m.Digest))
			if errors.Is(err, registry.ErrNotFound) {
				return diag.Wrap(diag.IndexMismatch, err, fmt.Sprintf("the image %s (%s) is not in the destination", m.Digest, image.PlatformName(*m.Platform)),
					"run push again for that platform")
			}
			if err == nil && got.MediaType != m.MediaType {
				return mismatch(fmt.Sprintf("the image %s was pushed as %s and is in the destination as %s", m.Digest, m.MediaType, got.MediaType),
					"something between you and the registry changes content")
			}
			return err
		})
	}
	return group.Wait()
}

func keep(d Deps, req *Request, body []byte, out tasks.Output) ([]tasks.Output, error) {
	if _, err := d.Store.PutBytes(body); err != nil {
		return nil, err
	}
	outputs := []tasks.Output{out}
	if req.IndexPath != "" {
		path := outputPath(d.OutputDir, req.IndexPath)
		if _, err := atomicfile.WriteIfDifferent(path, body); err != nil {
			return nil, diag.Wrap(diag.ResponseUnwritable, err, req.IndexPath+" cannot be written", "check the folder's rights and the free space")
		}
		out.Path = path
		outputs = append(outputs, out)
	}
	return outputs, nil
}

func outputPath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// write puts the index under its tags, in order, and returns them.
func (d Deps) write(ctx context.Context, repo Repository, tags []string, mediaType string, digest cas.Digest, body []byte) ([]string, error) {
	var done []string
	for _, tag := range tags {
		if slices.Contains(done, tag) {
			continue
		}
		if err := repo.PushManifest(ctx, tag, mediaType, body); err != nil {
			return nil, err
		}
		d.Log.Debug("pushed", "ref", tag, "digest", digest)
		done = append(done, tag)
	}
	if len(tags) == 0 {
		return nil, repo.PushManifest(ctx, string(digest), mediaType, body)
	}
	return done, nil
}
