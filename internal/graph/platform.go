package graph

import (
	"strings"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/platform"
)

// platforms are those of an index, for messages.
func platforms(x *image.Index) string {
	var list []string
	for _, m := range x.Manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" {
			list = append(list, platform.Of(*m.Platform).String())
		}
	}
	return strings.Join(list, ", ")
}
