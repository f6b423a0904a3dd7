package image

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// maxLayers bounds the layers of an image; overlay file systems end far below.
const maxLayers = 1000

// Manifest is the manifest of one image.
type Manifest struct {
	MediaType   string
	Config      Descriptor
	Layers      []Descriptor // lowest first
	Annotations map[string]string
}

// Sniff returns the media type that a manifest or index has by its own words: its mediaType, else (OCI's field is optional) what its
// members make it. It is "" when it is neither; the document is not checked any further.
func Sniff(body []byte) string {
	o, err := parseDocument(body, MaxManifestBytes)
	if err != nil {
		return ""
	}
	if t, err := o.text("mediaType"); err != nil || t != "" {
		return t
	}
	switch {
	case o.has("manifests"):
		return OCIIndex
	case o.has("layers"):
		return OCIManifest
	}
	return ""
}

// ParseManifest reads the manifest of an image. mediaType is what the registry or the index said that it is; a document that says
// something else of itself is refused (CVE-2021-41190). Errors are CONTAINER2003 for what is no manifest of an image,
// CONTAINER2001 for a layer of unknown type and GANTRY2002 for what is malformed.
func ParseManifest(body []byte, mediaType string) (*Manifest, error) {
	if !IsManifest(mediaType) {
		return nil, unknownManifest(mediaType)
	}
	m := &Manifest{MediaType: mediaType}
	if err := m.parse(body); err != nil {
		return nil, coded(diag.InvalidBaseManifest, err, "the base image's manifest is not valid")
	}
	return m, nil
}

func (m *Manifest) parse(body []byte) error {
	o, err := parseTop(body, m.MediaType)
	if err != nil {
		return err
	}
	for _, name := range []string{"manifests", "fsLayers"} {
		if o.has(name) {
			return fmt.Errorf("it has %q, which belongs to another type of document", name)
		}
	}
	if !o.has("config") {
		return errors.New(`"config" is missing`)
	}
	if m.Config, err = parseDescriptor(o["config"]); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if t := m.Config.MediaType; t != DockerConfig && t != OCIConfig {
		return fmt.Errorf("its config has media type %q, so it is no image", t)
	}
	if !o.has("layers") {
		return errors.New(`"layers" is missing`)
	}
	if m.Layers, err = parseLayers(o); err != nil {
		return err
	}
	m.Annotations, err = o.textMap("annotations")
	return err
}

func parseLayers(o object) ([]Descriptor, error) {
	raw, err := o.list("layers")
	if err != nil {
		return nil, err
	}
	if len(raw) > maxLayers {
		return nil, fmt.Errorf("it has %d layers, more than %d", len(raw), maxLayers)
	}
	layers := make([]Descriptor, len(raw))
	for i, r := range raw {
		if layers[i], err = parseDescriptor(r); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		if _, err := LayerType(layers[i].MediaType, FormatOCI); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// parseTop reads what manifests and indexes have in common.
func parseTop(body []byte, mediaType string) (object, error) {
	o, err := parseDocument(body, MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	if v, err := o.number("schemaVersion"); err != nil {
		return nil, err
	} else if v != 2 {
		return nil, fmt.Errorf("its schemaVersion is %d, not 2", v)
	}
	own, err := o.text("mediaType")
	if err != nil {
		return nil, err
	}
	if own != "" && own != mediaType {
		return nil, fmt.Errorf("it was announced as %s and calls itself %s", mediaType, own)
	}
	return o, nil
}

// parseDescriptor reads a descriptor (image-spec, descriptor.md) without a platform.
func parseDescriptor(raw json.RawMessage) (Descriptor, error) {
	var d Descriptor
	o, err := asObject(raw)
	if err != nil {
		return d, err
	}
	if d.MediaType, err = o.text("mediaType"); err != nil {
		return d, err
	}
	if d.MediaType == "" {
		return d, errors.New(`"mediaType" is missing`)
	}
	digest, err := o.text("digest")
	if err != nil {
		return d, err
	}
	if d.Digest, err = cas.ParseDigest(digest); err != nil {
		return d, err
	}
	if d.Size, err = o.number("size"); err != nil {
		return d, err
	}
	if d.Size < 0 {
		return d, fmt.Errorf("its size is %d", d.Size)
	}
	if d.URLs, err = o.texts("urls"); err != nil {
		return d, err
	}
	d.Annotations, err = o.textMap("annotations")
	return d, err
}

// manifestJSON fixes the order of a manifest's members.
type manifestJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Encode writes the manifest as compact JSON with its members always in the same order.
func (m *Manifest) Encode() ([]byte, error) {
	layers := m.Layers
	if layers == nil {
		layers = []Descriptor{}
	}
	return Encode(manifestJSON{2, m.MediaType, m.Config, layers, m.Annotations})
}

// coded gives err a code unless it has one already.
func coded(code diag.Code, err error, what string) error {
	var e *diag.Error
	if errors.As(err, &e) {
		return err
	}
	return diag.Wrap(code, err, what, "use another base image")
}

func unknownManifest(mediaType string) error {
	return diag.New(diag.UnknownManifest, fmt.Sprintf("the base image's manifest has the unknown media type %q", mediaType),
		"use a Docker or OCI image, or an index of such images")
}
