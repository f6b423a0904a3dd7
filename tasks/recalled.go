package tasks

import "github.com/gantry-build/gantry/internal/cas"

// Recalled is the response of recall: what an earlier image in a registry says of itself, so that a machine with an empty content
// store makes nothing that the registry has. Stages take from it what they prove to be what they would make, and no more.
type Recalled struct {
	ResponseHeader
	// Build is the build in which the registry was asked, empty when none was named. Tags count as asked only in the same build.
	Build string `json:"build,omitempty"`
	// Destination is the registry/repository of Tags.
	Destination string `json:"destination,omitempty"`
	// Tags are what the request's own tags name in the destination, in the order in which they were asked; recall stops at the first
	// that has an image, so there may be fewer than were requested.
	Tags []TagAnswer `json:"tags"`
	// Reference is where the image was found; empty when there is none, and then all that follows is empty.
	Reference string `json:"reference,omitempty"`
	// Registry and Repository hold the image's blobs.
	Registry   string `json:"registry,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Manifest is that of the platform; its body is in the content store, and so is that of the configuration.
	Manifest *Descriptor `json:"manifest,omitempty"`
	// Base is what the image was built on; nil when the image does not say it.
	Base *RecalledBase `json:"base,omitempty"`
	// ConfigInput is the digest of what compute-config read for this image; Config, Annotations and Created are what it answered.
	ConfigInput cas.Digest        `json:"configInput,omitempty"`
	Config      ImageConfig       `json:"config,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     string            `json:"created,omitempty"`
	// Layers are those that Gantry made, lowest first, each with its key.
	Layers []Layer `json:"layers"`
}

// RecalledBase is what an image says of its base: the fields of Base of the same names, but that Layers may have the media types of Format
// instead of those in the base's own manifest.
type RecalledBase struct {
	Manifest Descriptor   `json:"manifest"`
	Config   Descriptor   `json:"config"`
	Layers   []Descriptor `json:"layers"`
	Platform Platform     `json:"platform"`
	Format   string       `json:"format"`
	Created  string       `json:"created,omitempty"`
}

// TagAnswer is what a registry said that a tag names. An empty digest says that it names nothing.
type TagAnswer struct {
	Tag       string     `json:"tag"`
	Digest    cas.Digest `json:"digest,omitempty"`
	MediaType string     `json:"mediaType,omitempty"`
}

// Layer returns the layer of a key.
func (r *Recalled) Layer(key cas.Digest) (Layer, bool) {
	if r != nil && key != "" {
		for _, l := range r.Layers {
			if l.Key == key {
				return l, true
			}
		}
	}
	return Layer{}, false
}

// Answered is what the tags of a destination (registry/repository) name, when they were asked in the same build; a build without a name
// is the same as no other.
func (r *Recalled) Answered(build, destination string) []TagAnswer {
	if r == nil || build == "" || r.Build != build || r.Destination != destination {
		return nil
	}
	return r.Tags
}
