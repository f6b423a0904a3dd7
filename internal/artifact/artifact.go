// Package artifact writes OCI artifacts that lie beside an image: notes, whose annotations are all that they hold, and manifests with one
// document as their layer (image-spec 1.1, manifest.md, "guidelines for artifact usage").
package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Manifest is an artifact's. Subject is the image that it is about, if any.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Subject       *Descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Descriptor names content.
type Descriptor struct {
	MediaType string     `json:"mediaType"`
	Digest    cas.Digest `json:"digest"`
	Size      int64      `json:"size"`
}

// empty is the content of Config and of the one layer, as registries refuse manifests without.
var empty = []byte("{}")

// Encode makes the bytes of an artifact of a type with content for both its configuration and its layer: always the same for the same
// content.
func Encode(artifactType string, content Descriptor) ([]byte, error) {
	return encode(Manifest{ArtifactType: artifactType, Config: content, Layers: []Descriptor{content}})
}

// none stands for content that is not there.
var none = Descriptor{registry.OCIEmpty, cas.DigestOf(empty), int64(len(empty))}

// Note makes the bytes of an artifact without content, about an image in the same repository.
func Note(artifactType string, subject registry.Descriptor, annotations map[string]string) ([]byte, error) {
	return About(artifactType, subject, none, annotations)
}

// About makes the bytes of an artifact that has one layer, about an image in the same repository.
func About(artifactType string, subject registry.Descriptor, layer Descriptor, annotations map[string]string) ([]byte, error) {
	about := Descriptor{subject.MediaType, subject.Digest, subject.Size}
	return encode(Manifest{ArtifactType: artifactType, Config: none, Layers: []Descriptor{layer}, Subject: &about, Annotations: annotations})
}

func encode(m Manifest) ([]byte, error) {
	m.SchemaVersion, m.MediaType = 2, registry.OCIManifest
	body, err := json.Marshal(m)
	if err != nil {
		return nil, diag.Wrap(diag.Internal, err, "an artifact of the type "+m.ArtifactType+" cannot be encoded", "please report it")
	}
	return body, nil
}

// Pusher takes blobs.
type Pusher interface {
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
}

// Push puts what an artifact refers to into a repository, which must come before the artifact itself: the two bytes that stand for no
// content, and layers.
func Push(ctx context.Context, repo Pusher, name registry.Name, layers ...[]byte) error {
	for _, content := range append([][]byte{empty}, layers...) {
		_, err := repo.PushBlob(ctx, registry.BlobSource{
			Digest: cas.DigestOf(content), Size: int64(len(content)), MountFrom: name.Repository,
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}
