package testenv

import (
	"testing"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// Base is a base image in a registry.
type Base struct {
	// Reference is "HOST/REPOSITORY:TAG".
	Reference string
	// Digest is that of the image, or of the index when there is one.
	Digest    string
	MediaType string
	// Images are the images of the index, or the only one.
	Images []*basemaker.Image
}

// PushRuntimeBase pushes an image that runs .NET apps: five OCI layers made
// of this machine's own runtime. It needs dotnet and ldd.
func PushRuntimeBase(t testing.TB, r *Registry, repository, tag string) Base {
	t.Helper()
	Require(t, "dotnet", "ldd")
	image, err := basemaker.Runtime(t.Context(), cacheDir(t, "base"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Target().PushImage(t.Context(), repository, tag, image); err != nil {
		t.Fatal(err)
	}
	return Base{
		Reference: r.Reference(repository, tag), Digest: image.Manifest.Digest,
		MediaType: image.Manifest.MediaType, Images: []*basemaker.Image{image},
	}
}

// PushTinyBase pushes a base image of a few small files, of any shape; it
// cannot run anything.
func PushTinyBase(t testing.TB, r *Registry, repository, tag string, o basemaker.TinyOptions) Base {
	t.Helper()
	base, err := basemaker.Tiny(o)
	if err != nil {
		t.Fatal(err)
	}
	if base.Top.Digest == base.Images[0].Manifest.Digest {
		err = r.Target().PushImage(t.Context(), repository, tag, base.Images[0])
	} else {
		err = r.Target().PushIndex(t.Context(), repository, tag, base.Top, base.Images)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Base{
		Reference: r.Reference(repository, tag), Digest: base.Top.Digest,
		MediaType: base.Top.MediaType, Images: base.Images,
	}
}
