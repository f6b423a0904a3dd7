package platform

import (
	"fmt"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

func TestChoose(t *testing.T) {
	const root = "root"
	for _, tc := range []struct {
		want string
		have []image.Platform
		at   int // -1: none, -2: the index
	}{
		{"linux/amd64", []image.Platform{{OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "amd64"}}, 1},
		{"linux/amd64", []image.Platform{{OS: "unknown", Architecture: "unknown"}, {OS: "linux", Architecture: "386"}}, 1},
		{"linux/amd64", []image.Platform{{OS: "linux", Architecture: "amd64", Variant: "v2"}}, -1},
		{"linux/amd64/v3", []image.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "amd64", Variant: "v2"}}, 1},
		{"linux/arm64", []image.Platform{{OS: "linux", Architecture: "arm", Variant: "v7"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}}, 1},
		{"linux/arm64", []image.Platform{{OS: "linux", Architecture: "arm", Variant: "v6"}, {OS: "linux", Architecture: "arm", Variant: "v7"}}, 1},
		{"linux/arm/v7", []image.Platform{{OS: "linux", Architecture: "arm", Variant: "v8"}, {OS: "linux", Architecture: "arm", Variant: "v6"}}, 1},
		{"linux/arm/v6", []image.Platform{{OS: "linux", Architecture: "arm"}}, -1}, // without a variant it is v7
		{"linux/s390x", []image.Platform{{OS: "linux", Architecture: "amd64"}}, -1},
		{"linux/amd64", []image.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "amd64"}}, -2},
		{"windows/amd64", []image.Platform{{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1"}, {OS: "windows", Architecture: "amd64", OSVersion: "10.0.2"}}, -2},
		{"windows(10.0.2)/amd64", []image.Platform{{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20.1"}, {OS: "windows", Architecture: "amd64", OSVersion: "10.0.2.9"}}, 1},
		{"linux/arm64/v8.99999999", []image.Platform{{OS: "linux", Architecture: "arm64", Variant: "v8.1"}}, 0},
		{"linux/arm64/v9.99999999", []image.Platform{{OS: "linux", Architecture: "arm64", Variant: "v8.1"}}, 0},
		{"linux/amd64/v99999999", []image.Platform{{OS: "linux", Architecture: "amd64"}}, 0},
	} {
		x := &image.Index{}
		for i, p := range tc.have {
			x.Manifests = append(x.Manifests, image.Descriptor{MediaType: registry.OCIManifest, Digest: cas.Digest(fmt.Sprint(i)), Platform: &p})
		}
		want, err := dockerfile.ParsePlatform(tc.want, dockerfile.Platform{})
		if err != nil {
			t.Fatal(err)
		}
		expected := map[int]cas.Digest{-1: "", -2: root}[tc.at]
		if tc.at >= 0 {
			expected = cas.Digest(fmt.Sprint(tc.at))
		}
		if got, ok := Choose(root, x, want); got != expected || ok != (tc.at != -1) {
			t.Errorf("%s of %v: got %q, %v, want %q", tc.want, tc.have, got, ok, expected)
		}
		// One that does not say its platform is taken where no other fits.
		x.Manifests = append(x.Manifests, image.Descriptor{MediaType: registry.OCIManifest, Digest: "without"})
		if tc.at == -1 {
			expected = "without"
		}
		if got, ok := Choose(root, x, want); got != expected || !ok {
			t.Errorf("%s of %v and one without: got %q, %v, want %q", tc.want, tc.have, got, ok, expected)
		}
	}
}
