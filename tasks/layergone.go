package tasks

import (
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
)

// LayerGone is GANTRY4019 for a layer with a source that the repository does not have any more.
func LayerGone(err error, repository string, l Layer) error {
	what := fmt.Sprintf("%s no longer has the layer %s, which the ContainerLayer item %q names", repository, l.Descriptor.Digest, l.Name)
	return diag.Wrap(diag.LayerNotFound, err, what, "name a repository that keeps it")
}
