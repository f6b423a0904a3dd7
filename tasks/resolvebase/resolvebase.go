// Package resolvebase is the stage resolve-base: which digest a base image's reference has now.
//
// A tag is always asked for, with one request when it has not moved: whether a base moved can be known from nowhere else. The store
// remembers what a reference answered last, and only decides how to ask: with HEAD, which needs no more when the answer is what the
// store has, else with GET. A digest that the content store has needs no request. The manifest or index goes into the store, where
// select-base finds it; no other content is fetched.
//
// With pullPolicy "missing" what the store remembers of a tag is the answer, and with "never" nothing is asked at all.
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
type Source interface {
	pull.Manifests
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
}

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
	m, err := manifest(ctx, d, ref, from, policy)
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

func manifest(ctx context.Context, d Deps, ref registry.Reference, from Source, policy pull.Policy) (*registry.Manifest, error) {
	if ref.Digest != "" {
		return pull.Manifest(ctx, d.Store, from, ref.Digest, d.Log)
	}
	name := ref.String()
	if last := pull.Remembered(d.Store, name, d.Log); last != nil {
		if policy != pull.Always {
			d.Log.Info("the base's tag is not asked for: GantryPullPolicy="+string(policy)+"; this was its last answer", "ref", name, "digest", last.Digest)
			return last, nil
		}
		unmoved, err := d.unmoved(ctx, from, ref.Tag, last)
		if unmoved || err != nil {
			return last, err
		}
	}
	m, err := from.Manifest(ctx, ref.Tag)
	if err != nil {
		return nil, err
	}
	if err := pull.Keep(d.Store, m); err != nil {
		return nil, err
	}
	pull.Remember(d.Store, name, m, d.Log)
	return m, nil
}

// unmoved asks whether a tag still names what it named last. Where HEAD gives no such answer, GET decides; only an outage is an error,
// as GET would meet it too.
func (d Deps) unmoved(ctx context.Context, from Source, tag string, last *registry.Manifest) (bool, error) {
	now, err := from.HeadManifest(ctx, tag)
	var coded *diag.Error
	if err != nil {
		if ctx.Err() != nil || errors.As(err, &coded) && coded.Retryable {
			return false, err
		}
		d.Log.Debug("the base's tag is asked for with GET", "reason", err.Error())
		return false, nil
	}
	if now.Digest != last.Digest || now.MediaType != last.MediaType {
		d.Log.Debug("the base's tag has moved", "tag", tag, "from", last.Digest, "to", now.Digest)
		return false, nil
	}
	return true, nil
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
