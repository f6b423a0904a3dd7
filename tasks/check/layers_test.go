package check

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

func TestLayersDiffer(t *testing.T) {
	t.Parallel()
	blob := func(name string) cas.Digest { return cas.DigestOf([]byte(name)) }
	// names of layers that an image has, lowest first: those in capitals were made, the others taken as they are
	own := func(names string) *image.Own {
		o := &image.Own{}
		for _, n := range strings.Fields(names) {
			l := image.OwnLayer{Descriptor: image.Descriptor{Digest: blob(n)}, Key: tasks.BlobKey(blob(n))}
			if n == strings.ToUpper(n) {
				l.Key = blob("key of " + n)
			}
			o.Layers = append(o.Layers, l)
		}
		return o
	}
	// names of items in their order: one with a + is above the app, - is a tarball
	items := func(names string) *tasks.ExtraLayers {
		e := &tasks.ExtraLayers{}
		for _, n := range strings.Fields(names) {
			l := tasks.ExtraLayer{Name: n, Order: tasks.OrderBeforeApp}
			if n[0] == '+' {
				l.Order = tasks.OrderAfterApp
			}
			if n = n[1:]; n == "-" {
				l.Blob = &tasks.ExtraBlob{BlobPath: "/src/some.tar"}
			} else {
				l.Blob = &tasks.ExtraBlob{Descriptor: tasks.Descriptor{Digest: blob(n)}, Source: &tasks.LayerSource{Registry: "r", Repository: "n"}}
			}
			e.Layers = append(e.Layers, l)
		}
		return e
	}
	tests := []struct{ name, own, items, want string }{
		{"none", "APP", "", ""},
		{"all there", "a b APP c", "+c .a .b", ""},
		{"a tarball counts and is not compared", "a t APP", ".a .-", ""},
		{"moved", "a APP", ".b", "is not there"},
		{"one more is named", "a APP", ".a .b", "is not there"},
		{"one less is named", "a b APP", ".a", "2 that were taken as they are, and 1 are named"},
		{"none is named any more", "a APP", "", "1 that were taken as they are, and 0 are named"},
		{"another order", "a b APP", ".b .a", "is at another place"},
		{"one became a tarball", "t APP", ".a", "is not there"},
		{"a tarball more", "a APP", ".a .-", "1 that were taken as they are, and 2 are named"},
	}
	for _, tt := range tests {
		if got := layersDiffer(own(tt.own), items(tt.items)); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
