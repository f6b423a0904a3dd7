package runner

import (
	"context"

	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/provenance"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// noting makes tell note whether content was pushed, besides what it did before.
func noting(tell *func(outcome.Result) error) *bool {
	pushed, next := new(bool), *tell
	*tell = func(r outcome.Result) error {
		*pushed = r.Pushed && !r.Deferred
		if next == nil {
			return nil
		}
		return next(r)
	}
	return pushed
}

// recordSource writes beside an image what it was made from. The image is there already, and complete without: a registry that does not
// take such records fails no push.
func (env *Env) recordSource(ctx context.Context, s *tasks.PushSettings, host, repository string, image registry.Descriptor) {
	name := registry.NewName(host, repository)
	from := provenance.Source{Revision: s.Revision, URL: s.Source}
	if err := provenance.Record(ctx, env.Registry.Repository(name, registry.ModePush), name, image, from); err != nil {
		env.Log.Info("the revision is not recorded beside the image", "reason", err.Error())
	}
}
