package oracle_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
)

// TestHeld: a manifest says of its configuration and layers that they are there, an index of those of its images; foreign layers are
// elsewhere, and what is no such document, or is not in the store, says nothing.
func TestHeld(t *testing.T) {
	store := cas.Open(filepath.Join(t.TempDir(), "store"))
	put := func(format string, args ...any) cas.Digest {
		d, err := store.PutBytes(fmt.Appendf(nil, format, args...))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	named := func(name string) cas.Digest { return cas.DigestOf([]byte(name)) }
	manifest := func(name string) cas.Digest {
		return put(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":1},"layers":[
			{"mediaType":%q,"digest":%q,"size":1},{"mediaType":%q,"digest":%q,"size":1,"urls":["https://x.example/y"]}]}`,
			image.OCIManifest, image.OCIConfig, named(name+" config"), image.OCILayerGzip, named(name+" layer"), image.OCIForeignGzip, named(name+" foreign"))
	}
	index := func(of ...cas.Digest) cas.Digest {
		entries := ""
		for i, d := range of {
			entries += fmt.Sprintf(`,{"mediaType":%q,"digest":%q,"size":1,"platform":{"os":"linux","architecture":"a%d"}}`, image.OCIManifest, d, i)
		}
		return put(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, image.OCIIndex, entries[1:])
	}
	a, b := manifest("a"), manifest("b")
	both := index(a, b)
	for name, tc := range map[string]struct {
		ask  []cas.Digest
		want []string
	}{
		"image":             {[]cas.Digest{a}, []string{"a config", "a layer"}},
		"index":             {[]cas.Digest{both}, []string{"a config", "a layer", "b config", "b layer"}},
		"index, one gone":   {[]cas.Digest{index(a, named("gone"))}, []string{"a config", "a layer"}},
		"index of an index": {[]cas.Digest{index(both)}, nil},
		"nothing":           {[]cas.Digest{"", named("gone"), put("no document"), put(`{"layers":3}`), put(`{"manifests":{}}`)}, nil},
	} {
		want := map[cas.Digest]bool{}
		for _, w := range tc.want {
			want[named(w)] = true
		}
		if d := cmp.Diff(want, oracle.Held(store, tc.ask...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
