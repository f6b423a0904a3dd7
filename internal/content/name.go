package content

import (
	"strings"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// Annotations that name an image in an index of an archive or layout (image-spec, annotations.md; containerd, images/annotations.go).
const (
	RefName   = "org.opencontainers.image.ref.name"
	ImageName = "io.containerd.image.name"
)

// Name is what an image is called in an archive, a layout or a daemon. Any of its forms may be empty.
type Name struct {
	// Ref is the name within a layout or archive (RefName).
	Ref string
	// Image is registry/repository:tag in full (ImageName).
	Image string
	// RepoTag is as Docker's archives have it: [registry/]repository:tag.
	RepoTag string
}

// NameOf names an image by repository and tag; registry may be empty, which Docker takes for Docker Hub. Ref is the tag alone.
func NameOf(host, repository, tag string) Name {
	n := Name{Ref: tag, RepoTag: repository + ":" + tag, Image: registry.NewName("docker.io", repository).String() + ":" + tag}
	if host != "" {
		name := registry.NewName(host, repository).String() + ":" + tag
		n.RepoTag, n.Image = name, name
	}
	return n
}

// Annotations are those of the entry of an index.
func (n Name) Annotations() map[string]string {
	a := map[string]string{}
	if n.Ref != "" {
		a[RefName] = n.Ref
	}
	if n.Image != "" {
		a[ImageName] = n.Image
	}
	if len(a) == 0 {
		return nil
	}
	return a
}

// Entries are those of an index of images for one with names: one for each, or one alone.
func Entries(top image.Descriptor, names []Name) []image.Descriptor {
	names = Names(names)
	if len(names) == 0 {
		names = []Name{{}}
	}
	out := make([]image.Descriptor, len(names))
	for i, n := range names {
		out[i] = image.Descriptor{MediaType: top.MediaType, Digest: top.Digest, Size: top.Size, Annotations: n.Annotations()}
	}
	return out
}

// Names are several names, each once.
func Names(names []Name) []Name {
	var out []Name
	seen := map[Name]bool{}
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// List writes names for people.
func List(names []Name) string {
	var out []string
	for _, n := range names {
		switch {
		case n.RepoTag != "":
			out = append(out, n.RepoTag)
		case n.Image != "":
			out = append(out, n.Image)
		case n.Ref != "":
			out = append(out, n.Ref)
		}
	}
	return strings.Join(out, ", ")
}
