package layout

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

// TestChoose_listed: each name that the message lists finds an image, also where docker save wrote several that have the same tag.
func TestChoose_listed(t *testing.T) {
	var entries []image.Descriptor
	for _, name := range [][2]string{{"team/shop", "latest"}, {"team/tools", "latest"}, {"team/shop", "1"}} {
		n := content.NameOf("", name[0], name[1])
		entries = append(entries, image.Descriptor{Digest: cas.DigestOf([]byte(n.RepoTag)), Annotations: n.Annotations()})
	}
	for _, name := range []string{"", "latest", "none"} {
		_, err := Choose(entries, name, "a.tar")
		_, listed, _ := strings.Cut(err.Error(), "name one of: ")
		if diag.CodeOf(err) != diag.ImageNotThere || listed != "docker.io/team/shop:latest, docker.io/team/tools:latest, 1" {
			t.Errorf("%q: %v", name, err)
		}
		for i, n := range strings.Split(listed, ", ") {
			if d, err := Choose(entries, n, "a.tar"); err != nil || d.Digest != entries[i].Digest {
				t.Errorf("%s: %s, %v", n, d.Digest, err)
			}
		}
	}
}
