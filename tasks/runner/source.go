package runner

import (
	"context"

	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/provenance"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// recordSource writes beside an image what it was made from. The image is there already, and complete without: a registry that does not
// take such records fails no push.
func (env *Env) recordSource(s *tasks.PushSettings) func(context.Context, deliver.Destination, registry.Descriptor) {
	from := provenance.Source{Revision: s.Revision, URL: s.Source}
	return func(ctx context.Context, to deliver.Destination, image registry.Descriptor) {
		if err := provenance.Record(ctx, env.Registry.Repository(to.Name, to.Mode), to.Name, image, from); err != nil {
			env.Log.Info("the revision is not recorded beside the image", "repository", to.String(), "reason", err.Error())
		}
	}
}
