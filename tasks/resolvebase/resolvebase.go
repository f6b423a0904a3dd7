// Package resolvebase is the stage resolve-base: which digest a base image's reference has now.
//
// The manifest or index goes into the store, where select-base finds it; no other content is fetched. When the registry is asked, and
// how, is what pull.Reference says.
package resolvebase

import (
	"context"
	"errors"
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
	// PullPolicy is GantryPullPolicy: always (empty means so), missing, or never.
	PullPolicy string `json:"pullPolicy,omitempty"`
}

// Validate returns all problems of the request. A reference that cannot be parsed is CONTAINER2009.
func (r *Request) Validate() error {
	_, policy := pull.ParsePolicy(r.PullPolicy)
	if r.Reference == "" {
		return errors.Join(diag.New(diag.InvalidValue, "reference is missing", "name a base image"), policy)
	}
	_, err := registry.ParseReference(r.Reference)
	return errors.Join(err, policy)
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

// Source is the base's repository.
type Source = pull.Tags

// Deps are what the stage needs. Source returns the base's repository.
type Deps struct {
	Source func(registry.Name, registry.Mode) Source
	Store  *cas.Store
	Log    *slog.Logger
}

// Run resolves the reference. Errors are those of the registry; CONTAINER2003 and GANTRY2002 for what is no image, GANTRY2006 for what the
// store lacks and the policy does not let it ask for.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	ref, err := registry.ParseReference(req.Reference)
	if err != nil {
		return nil, err
	}
	policy, err := pull.ParsePolicy(req.PullPolicy)
	if err != nil {
		return nil, err
	}
	var from Source = pull.Offline{Name: ref.Name}
	if policy != pull.Never {
		from = d.Source(ref.Name, registry.PullMode(ref.Registry, req.OutputRegistry))
	}
	m, err := pull.Reference(ctx, d.Store, from, ref, policy, d.Log)
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

// check refuses at once what select-base would refuse.
func check(m *registry.Manifest) (err error) {
	if image.IsIndex(m.MediaType) {
		_, err = image.ParseIndex(m.Body, m.MediaType)
		return err
	}
	_, err = image.ParseManifest(m.Body, m.MediaType)
	return err
}
