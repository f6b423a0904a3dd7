package cachekey

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Annotations of a record.
const (
	annotationTag = "io.github.gantry-build.cache-key.tag"
	annotationMAC = "io.github.gantry-build.cache-key.hmac-sha256"
)

// empty is the content of an empty descriptor (image-spec 1.1, manifest.md).
var empty = []byte("{}")

// descriptor is one of an artifact's manifest.
type descriptor struct {
	MediaType string     `json:"mediaType"`
	Digest    cas.Digest `json:"digest"`
	Size      int64      `json:"size"`
}

// artifact is a manifest that is no image: its annotations are all that it holds. Config and the one layer are empty, as image-spec 1.1
// advises ("guidelines for artifact usage"), since registries refuse manifests without.
type artifact struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       descriptor        `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// encodeArtifact makes the artifact's bytes: always the same for the same content.
func encodeArtifact(artifactType string, subject registry.Descriptor, annotations map[string]string) ([]byte, error) {
	none := descriptor{registry.OCIEmpty, cas.DigestOf(empty), int64(len(empty))}
	a := artifact{
		SchemaVersion: 2, MediaType: registry.OCIManifest, ArtifactType: artifactType,
		Config: none, Layers: []descriptor{none}, Subject: descriptor{subject.MediaType, subject.Digest, subject.Size}, Annotations: annotations,
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, diag.Wrap(diag.Internal, err, "a cache key's record cannot be encoded", "please report it")
	}
	return body, nil
}

// pushEmpty puts the two bytes that artifacts refer to into a repository.
func pushEmpty(ctx context.Context, repo Repository, name registry.Name) error {
	_, err := repo.PushBlob(ctx, registry.BlobSource{
		Digest: cas.DigestOf(empty), Size: int64(len(empty)), MountFrom: name.Repository,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(empty)), nil },
	}, nil)
	return err
}
