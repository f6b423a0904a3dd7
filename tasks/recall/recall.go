// Package recall is the stage recall: what the last image in the destination says of itself, so that a machine that has nothing of it
// makes only what differs.
//
// The references are asked one after the other until one has an image that Gantry made: the tags that will be written, those of
// cacheFrom, latest, and the cache tag. An image that is not Gantry's, or that another tool has changed or built upon, is passed over.
// What a registry says counts for the destination's repository and for the references that the user named, no further.
//
// Nothing here fails a build: an image that is not found, or a registry that does not answer, costs the work that could have been
// saved.
package recall

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
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Stage is the stage's name.
const Stage = "recall"

// Repository reads a repository of a registry.
type Repository interface {
	pull.Manifests
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Deps are what the stage needs.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Records    *records.Records
	Log        *slog.Logger
	// Build names the build for the response; it may be empty.
	Build string
}

// search is the work of one call.
type search struct {
	Deps
	req   *Request
	graph *image.Graph
	resp  *tasks.Recalled
	seen  bool // an image, if none of Gantry's
	// refused are repositories that let nothing be read.
	refused map[registry.Name]bool
}

// Run looks for an earlier image. The only errors are GANTRY1005 for a graph that cannot be read, and that of a context that ends.
func Run(ctx context.Context, d Deps, req *Request) (*tasks.Recalled, error) {
	dst := registry.NewName(req.Registry, req.Repository)
	resp := &tasks.Recalled{Build: d.Build, Destination: dst.String()}
	s := &search{Deps: d, req: req, resp: resp, refused: map[registry.Name]bool{}}
	var err error
	if s.graph, resp.Inputs, err = tasks.ReadGraph(req.RidGraphPath); err != nil {
		return nil, err
	}
	all, err := places(req)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if s.refused[p.Name] {
			continue
		}
		err := s.look(ctx, p)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case err != nil:
			d.Log.Info("no earlier image is looked for any further", "ref", p.String(), "reason", err.Error())
			return s.resp, nil
		case s.resp.Reference != "":
			return s.resp, nil
		}
	}
	d.Log.Info(diag.MessageLine(diag.NoImageToRecall, s.nothing()))
	return s.resp, nil
}

// nothing says that there is no image, and what to set.
func (s *search) nothing() string {
	what := fmt.Sprintf("%s has no image under the tags of this publish, and so nothing can be taken over", registry.NewName(s.req.Registry, s.req.Repository))
	if s.seen {
		what = "no image was found that this version of Gantry made and that was left as it was, and so nothing can be taken over"
	}
	if s.req.CacheTag != "" {
		return what + "; this publish writes the tag " + s.req.CacheTag + " for the next"
	}
	return what + "; where every publish has new tags, set GantryCacheTag to a tag that each push moves, or GantryCacheFrom to the reference of an image"
}

// look asks for one reference, and takes its image when it is Gantry's. An error is an outage, after which nothing else is asked for.
func (s *search) look(ctx context.Context, p place) error {
	from := s.Repository(p.Name, p.mode)
	m, err := s.manifest(ctx, from, p)
	if p.tag && (err == nil || errors.Is(err, registry.ErrNotFound)) {
		answer := tasks.TagAnswer{Tag: p.Tag}
		if m != nil {
			answer.Digest, answer.MediaType = m.Digest, m.MediaType
		}
		s.resp.Tags = append(s.resp.Tags, answer)
	}
	if err == nil {
		s.seen = true
		err = s.take(ctx, from, p, m)
	}
	switch {
	case err == nil || ctx.Err() != nil || outage(err):
		return err
	case m == nil && errors.Is(err, registry.ErrNotFound):
		s.Log.Debug("no earlier image", "ref", p.String())
	case m == nil:
		s.refused[p.Name] = refused(err)
		s.Log.Info("an earlier image is not looked at", "ref", p.String(), "reason", err.Error())
	default:
		s.Log.Debug("an earlier image is passed over", "ref", p.String(), "reason", err.Error())
	}
	return nil
}

func (s *search) manifest(ctx context.Context, from Repository, p place) (*registry.Manifest, error) {
	if p.Digest != "" {
		return pull.Manifest(ctx, s.Store, from, p.Digest, s.Log)
	}
	return from.Manifest(ctx, p.Tag)
}

// take fills the answer from an image.
func (s *search) take(ctx context.Context, from Repository, p place, m *registry.Manifest) error {
	if err := pull.Keep(s.Store, m); err != nil {
		return err
	}
	if image.IsIndex(m.MediaType) {
		index, err := image.ParseIndex(m.Body, m.MediaType)
		if err != nil {
			return err
		}
		entry, err := index.Select(s.graph, s.req.RuntimeIdentifier, p.String())
		if err != nil {
			return err
		}
		if m, err = pull.Manifest(ctx, s.Store, from, entry.Digest, s.Log); err != nil {
			return err
		}
	}
	parsed, err := image.ParseManifest(m.Body, m.MediaType)
	if err != nil {
		return err
	}
	config, err := pull.Small(ctx, s.Store, from, parsed.Config, image.MaxConfigBytes, s.Log)
	if err != nil {
		return err
	}
	own, err := image.ReadOwn(parsed, config)
	if err != nil {
		return err
	}
	fill(s.resp, p, m, parsed, own)
	for _, l := range own.Layers {
		s.Records.KeepHolder(p.Registry, p.Repository, l.Descriptor.Digest)
	}
	s.Log.Info("an earlier image is known", "ref", p.String(), "digest", m.Digest)
	return nil
}

// outage tells a failure that may pass from an answer.
func outage(err error) bool {
	var coded *diag.Error
	if errors.As(err, &coded) && coded.Retryable {
		return true
	}
	var status *registry.StatusError
	if errors.As(err, &status) {
		return status.StatusCode/100 != 4
	}
	switch diag.CodeOf(err) {
	case diag.RegistryUnreachable, diag.TooManyRetries, diag.StoreUnwritable:
		return true
	}
	return false
}

// refused tells a repository that lets nothing be read from an answer about one reference.
func refused(err error) bool {
	switch diag.CodeOf(err) {
	case diag.RepositoryForbidden, diag.CredentialsUnavailable:
		return true
	}
	return false
}
