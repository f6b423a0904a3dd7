// Package selectbase is the stage select-base: which image of a resolved base serves a runtime identifier, and what it is made of.
//
// It reads manifests and the configuration from the content store and fetches by digest what the store lacks, so that a second
// project or runtime identifier, and a second build, ask the registry nothing. An earlier image of the destination on the same base says
// of it what the stage needs (see recall): a machine with an empty store then needs no more of the base than its digest.
package selectbase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request asks for one platform of a base.
type Request struct {
	tasks.RequestHeader
	// ResolveBasePath is the response of resolve-base.
	ResolveBasePath string `json:"resolveBasePath"`
	// RuntimeIdentifier is a .NET runtime identifier, such as linux-x64.
	RuntimeIdentifier string `json:"runtimeIdentifier"`
	// RidGraphPath is the SDK's RuntimeIdentifierGraphPath; without it image.BuiltinGraph serves.
	RidGraphPath string `json:"ridGraphPath,omitempty"`
	// ImageFormat is ContainerImageFormat: Docker, OCI, or empty for the base's own.
	ImageFormat string `json:"imageFormat,omitempty"`
	// OutputRegistry is as in resolve-base.
	OutputRegistry string `json:"outputRegistry,omitempty"`
	// RecallRequestPath is a request of recall, for what an earlier image says of its base; empty means that none is asked for.
	RecallRequestPath string `json:"recallRequestPath,omitempty"`
	// PullPolicy is as in resolve-base. With never, what the store lacks is GANTRY2006.
	PullPolicy string `json:"pullPolicy,omitempty"`
}

// Validate returns all problems of the request. An unknown format is CONTAINER2031.
func (r *Request) Validate() error {
	var errs []error
	if r.ResolveBasePath == "" {
		errs = append(errs, diag.New(diag.InvalidValue, "resolveBasePath is missing", "name the response of resolve-base"))
	}
	if r.RuntimeIdentifier == "" {
		errs = append(errs, diag.New(diag.InvalidValue, "runtimeIdentifier is missing", "name one, such as linux-x64"))
	}
	if _, err := image.ParseFormat(r.ImageFormat); err != nil {
		errs = append(errs, err)
	}
	if _, err := pull.ParsePolicy(r.PullPolicy); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Response holds the selected base.
type Response struct {
	tasks.ResponseHeader
	Base tasks.Base `json:"base"`
}

// Fetcher reads the base's repository.
type Fetcher interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Deps are what the stage needs. Source returns the base's repository. Recall says what an earlier image is made of; nil means that
// there is nobody to ask.
type Deps struct {
	Source func(registry.Name, registry.Mode) Fetcher
	Store  *cas.Store
	Log    *slog.Logger
	Recall func(context.Context) (*tasks.Recalled, error)
}

// selection is the work of one call.
type selection struct {
	Deps
	req    *Request
	from   Fetcher
	base   tasks.Resolved
	inputs []tasks.FileDigest
}

// Run selects the platform. Errors are CONTAINER1011 when the base has none for the runtime identifier, CONTAINER2001 and 2003,
// GANTRY2001 to 2003 for a base that cannot be used, GANTRY2006 for what the policy does not let it fetch, and those of the registry.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	s := selection{Deps: d, req: req}
	in, err := tasks.ReadResponse(req.ResolveBasePath, "resolve-base", &s.base)
	if err != nil {
		return nil, err
	}
	s.inputs = append(s.inputs, in)
	if s.from, err = s.source(); err != nil {
		return nil, err
	}
	entry, err := s.entry(ctx)
	if err != nil {
		return nil, err
	}
	base, err := s.recalled(ctx, entry)
	if base == nil && err == nil {
		base, err = s.read(ctx, entry)
	}
	if err != nil {
		return nil, err
	}
	s.explain(base.Platform)
	return &Response{
		ResponseHeader: tasks.ResponseHeader{
			Inputs: s.inputs,
			Outputs: []tasks.Output{
				{Digest: base.Manifest.Digest, Size: base.Manifest.Size},
				{Digest: base.Config.Digest, Size: base.Config.Size},
			},
		},
		Base: *base,
	}, nil
}

// source is the base's repository as far as the policy lets it be asked.
func (s *selection) source() (Fetcher, error) {
	name := registry.Name{Registry: s.base.Registry, Repository: s.base.Repository}
	policy, err := pull.ParsePolicy(s.req.PullPolicy)
	if err != nil || policy == pull.Never {
		return pull.Offline{Name: name}, err
	}
	return s.Source(name, registry.PullMode(name.Registry, s.req.OutputRegistry)), nil
}

// entry is the manifest of the image that serves the runtime identifier. Its size is 0 when the base is no index.
func (s *selection) entry(ctx context.Context) (tasks.Descriptor, error) {
	if image.IsIndex(s.base.MediaType) {
		return s.pick(ctx)
	}
	return tasks.Descriptor{MediaType: s.base.MediaType, Digest: s.base.Digest}, nil
}

// pick chooses an entry of the index.
func (s *selection) pick(ctx context.Context) (entry tasks.Descriptor, err error) {
	doc, err := pull.Manifest(ctx, s.Store, s.from, s.base.Digest, s.Log)
	if err != nil {
		return entry, err
	}
	index, err := image.ParseIndex(doc.Body, s.base.MediaType)
	if err != nil {
		return entry, err
	}
	graph, read, err := tasks.ReadGraph(s.req.RidGraphPath)
	s.inputs = append(s.inputs, read...)
	if err != nil {
		return entry, err
	}
	return index.Select(graph, s.req.RuntimeIdentifier, s.base.Reference)
}

// read makes the answer from the base's own manifest and configuration.
func (s *selection) read(ctx context.Context, entry tasks.Descriptor) (*tasks.Base, error) {
	doc, err := pull.Manifest(ctx, s.Store, s.from, entry.Digest, s.Log)
	if err != nil {
		return nil, err
	}
	m, err := image.ParseManifest(doc.Body, entry.MediaType)
	if err != nil {
		return nil, err
	}
	body, err := pull.Small(ctx, s.Store, s.from, m.Config, image.MaxConfigBytes, s.Log)
	if err != nil {
		return nil, err
	}
	config, err := image.ParseConfig(body)
	if err != nil {
		return nil, err
	}
	if len(config.DiffIDs) != len(m.Layers) {
		return nil, diag.New(diag.InvalidBaseConfig,
			fmt.Sprintf("the base image has %d layers and its configuration names %d", len(m.Layers), len(config.DiffIDs)), "use another base image")
	}
	format, err := s.format(m.MediaType)
	if err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		if _, err := image.LayerType(l.MediaType, format); err != nil {
			return nil, err
		}
	}
	return s.complete(&tasks.Base{
		Manifest: tasks.Descriptor{MediaType: m.MediaType, Digest: entry.Digest, Size: int64(len(doc.Body))},
		Config:   m.Config, Layers: m.Layers, Platform: config.Platform, Created: config.Created,
	}, format), nil
}

// format is that of the image to be made on a base with a manifest of a media type.
func (s *selection) format(mediaType string) (string, error) {
	format, err := image.ParseFormat(s.req.ImageFormat)
	if format == "" {
		format = image.FormatOf(mediaType)
	}
	return format, err
}

// complete adds what the request says and resolve-base found.
func (s *selection) complete(b *tasks.Base, format string) *tasks.Base {
	b.Reference, b.Registry, b.Repository, b.Digest = s.base.Reference, s.base.Registry, s.base.Repository, s.base.Digest
	b.RuntimeIdentifier, b.Format = s.req.RuntimeIdentifier, format
	return b
}

// explain says when the base's platform is not what its runtime identifier promises. A base that is no index is taken for every
// runtime identifier, as the SDK does (measured: linux-arm64 and win-x64 on a linux/amd64 image are published without a word): a
// portable app runs on it all the same. What the SDK does not warn about is a message.
func (s *selection) explain(p tasks.Platform) {
	if image.Serves(p, s.req.RuntimeIdentifier) {
		s.Log.Info("base image selected", "ref", s.base.Reference, "platform", image.PlatformName(p))
		return
	}
	s.Log.Info("the base image is for another platform than the runtime identifier", "ref", s.base.Reference,
		"platform", image.PlatformName(p), "runtimeIdentifier", s.req.RuntimeIdentifier)
}
