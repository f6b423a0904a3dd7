package image

import "github.com/gantry-build/gantry/internal/cas"

// Image formats.
const (
	FormatDocker = "docker"
	FormatOCI    = "oci"
)

// Descriptor names content by media type, digest and size (image-spec,
// descriptor.md).
type Descriptor struct {
	MediaType string     `json:"mediaType"`
	Digest    cas.Digest `json:"digest"`
	Size      int64      `json:"size"`
	// URLs of a foreign layer are kept as they are and never followed.
	URLs        []string          `json:"urls,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *Platform         `json:"platform,omitempty"`
}

// Platform is that of an image (image-spec, image-index.md).
type Platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}
