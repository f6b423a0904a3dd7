package graphrun

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graphstate"
)

// A plan without the hash of an image is refused, with the flags that one needs which has it.
func TestPlanned_noHash(t *testing.T) {
	s := newSite(t)
	s.write("root", "Dockerfile", "FROM scratch\nADD http://127.0.0.1:1/x /\n")
	s.graphOf(t)
	for name, want := range map[string]bool{"leaf": true, "alone": false} {
		err := (&Planned{}).Fill(&graphstate.Request{Hash: cas.DigestOf(nil)}, s.graph.Find(name))
		if diag.CodeOf(err) != diag.StampUnknown || strings.Contains(err.Error(), "--unknown-built") != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
