package push

import (
	"context"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/gantry-build/gantry/internal/assemble"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
)

// shared is one image on its way to all its destinations.
type shared struct {
	Deps
	req      *Request
	parts    *assemble.Parts
	config   deliver.Document
	manifest deliver.Document
	ctx      context.Context // of the stage: what all destinations need does not end with the push to one
	making   sync.Mutex      // layers are made once at a time
}

// run is one image on its way to one destination.
type run struct {
	*shared
	Deps     // with what is known of this destination
	to       deliver.Destination
	dst      registry.Name
	repo     Repository
	recalled *recalled
	blobs    []deliver.Blob // all that the image needs
	leftOut  int            // of those, how many the destination is known to have
	result   outcome.Result
}

// deliver pushes to all destinations. The result is that of the first, with those of the others.
func (s *shared) deliver(ctx context.Context) (outcome.Result, error) {
	if s.req.Defer {
		r := s.to(s.destinations()[0])
		r.result.Deferred, r.result.Reason = true, "push-index decides whether the image is sent"
		return r.result, nil
	}
	all := s.destinations()
	if len(all) > 1 && s.Together == nil {
		s.Together = new(singleflight.Group)
	}
	return deliver.Everywhere(ctx, all, s.ReadOnly, func(ctx context.Context, to deliver.Destination) (outcome.Result, error) {
		r := s.to(to)
		err := r.deliver(ctx)
		if err == nil && r.result.Pushed && s.Record != nil {
			d := s.manifest.Descriptor
			s.Record(ctx, to, registry.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size})
		}
		return r.result, err
	})
}

func (s *shared) destinations() []deliver.Destination {
	if s.To != nil {
		return []deliver.Destination{*s.To}
	}
	dst := registry.NewName(s.req.Registry, s.req.Repository)
	return deliver.Destinations(dst, s.req.Others(dst))
}

func (s *shared) to(to deliver.Destination) *run {
	r := &run{shared: s, Deps: s.Deps, to: to, dst: to.Name}
	if to.Other {
		r.Answers, r.Sent = nil, nil // of the first destination
	}
	if s.Together != nil {
		r.DownloadLayers = nil // for one destination alone
		r.Progress = progress.To(s.Progress, to.String())
	}
	r.repo = r.Repository(r.dst, to.Mode)
	r.result = outcome.New("push", r.dst, s.manifest.Descriptor)
	for _, t := range s.req.tags() {
		r.result.Tags = append(r.result.Tags, outcome.Tag{Tag: t, State: outcome.Planned})
	}
	return r
}
