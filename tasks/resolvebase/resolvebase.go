// Package resolvebase is the stage resolve-base: which digest a base image's reference has now.
//
// A tag is always asked for, with one request: whether a base moved can be known from nowhere else. A digest that the content store
// has needs no request. The manifest or index goes into the store, where select-base finds it; no other content is fetched.
package resolvebase

import (
	"context"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request asks for one base image.
type Request struct {
	tasks.RequestHeader
	// Reference is the base as the user wrote it: registry/repository:tag or @digest. Without a registry it is Docker Hub's.
	Reference string `json:"reference"`
	// OutputRegistry is the destination's registry. When it is the base's too, credentials for the destination count
	// for the pull, as with the SDK.
	OutputRegistry string `json:"outputRegistry,omitempty"`
}

// Validate returns all problems of the request. A reference that cannot be parsed is CONTAINER2009.
func (r *Request) Validate() error {
	if r.Reference == "" {
		return diag.New(diag.InvalidValue, "reference is missing", "name a base image")
	}
	_, err := registry.ParseReference(r.Reference)
	return err
}

// Response says what the reference is now.
type Response struct {
	tasks.ResponseHeader
	Reference  string     `json:"reference"`
	Registry   string     `json:"registry"`
	Repository string     `json:"repository"`
	Digest     cas.Digest `json:"digest"`
	MediaType  string     `json:"mediaType"`
	Size       int64      `json:"size"`
}

// Deps are what the stage needs. Source returns the base's repository.
type Deps struct {
	Source func(registry.Name, registry.Mode) pull.Manifests
	Store  *cas.Store
	Log    *slog.Logger
}

// Run resolves the reference. Errors are those of the registry; CONTAINER2003 and GANTRY2002 for what is no image.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	ref, err := registry.ParseReference(req.Reference)
	if err != nil {
		return nil, err
	}
	m, err := manifest(ctx, d, ref, d.Source(ref.Name, registry.PullMode(ref.Registry, req.OutputRegistry)))
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		return nil, err
	}
	d.Log.Info("base image resolved", "ref", ref.String(), "digest", m.Digest, "mediaType", m.MediaType)
	size := int64(len(m.Body))
	return &Response{
		ResponseHeader: tasks.ResponseHeader{Outputs: []tasks.Output{{Digest: m.Digest, Size: size}}},
		Reference:      req.Reference,
		Registry:       ref.Registry,
		Repository:     ref.Repository,
		Digest:         m.Digest,
		MediaType:      m.MediaType,
		Size:           size,
	}, nil
}

func manifest(ctx context.Context, d Deps, ref registry.Reference, from pull.Manifests) (*registry.Manifest, error) {
	if ref.Digest != "" {
		return pull.Manifest(ctx, d.Store, from, ref.Digest, d.Log)
	}
	m, err := from.Manifest(ctx, ref.Tag)
	if err != nil {
		return nil, err
	}
	return m, pull.Keep(d.Store, m)
}

// check refuses at once what select-base would refuse.
func check(m *registry.Manifest) (err error) {
	if image.IsIndex(m.MediaType) {
		_, err = image.ParseIndex(m.Body, m.MediaType)
		return err
	}
	_, err = image.ParseManifest(m.Body, m.MediaType)
	return err
}
