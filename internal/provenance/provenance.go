// Package provenance records beside an image which sources it was made from.
//
// The revision in an image would make another image of every commit, also of those that change nothing. So it is written as an OCI
// artifact whose subject is the image (image-spec 1.1, manifest.md, "subject"), when the image is pushed: the image keeps its digest, and
// whoever asks finds the revision in the list of its referrers. It is a note and no proof: whoever may push may write one.
package provenance

import (
	"context"
	"net/url"
	"strings"

	"github.com/gantry-build/gantry/internal/artifact"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// ArtifactType is that of a record.
const ArtifactType = "application/vnd.gantry.source.v1"

// Annotations of a record (image-spec 1.1, annotations.md).
const (
	AnnotationRevision = "org.opencontainers.image.revision"
	AnnotationSource   = "org.opencontainers.image.source"
)

// Source is what an image was made from: a commit, and where the repository is. Either may be empty.
type Source struct{ Revision, URL string }

// Repository is the repository of the image.
type Repository interface {
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	PushReferrer(ctx context.Context, subject cas.Digest, as registry.Referrer, body []byte) error
}

// Record writes the record of an image that is in its repository; for an empty source nothing. The same source gives the same record, so
// that a second push adds none. Errors are those of the registry.
func Record(ctx context.Context, repo Repository, name registry.Name, image registry.Descriptor, s Source) error {
	annotations := s.annotations()
	if len(annotations) == 0 {
		return nil
	}
	body, err := artifact.Note(ArtifactType, image, annotations)
	if err != nil {
		return err
	}
	if err := artifact.Push(ctx, repo, name); err != nil {
		return err
	}
	as := registry.Referrer{MediaType: registry.OCIManifest, ArtifactType: ArtifactType, Annotations: annotations}
	return repo.PushReferrer(ctx, image.Digest, as, body)
}

func (s Source) annotations() map[string]string {
	out := map[string]string{}
	if s.Revision != "" {
		out[AnnotationRevision] = s.Revision
	}
	if u := WithoutSecrets(s.URL); u != "" {
		out[AnnotationSource] = u
	}
	return out
}

// WithoutSecrets is a repository's URL without user, password, query and fragment: CI systems put tokens there. What is no URL, as
// the short form of ssh, keeps what follows its last @; what cannot be taken apart is left out.
func WithoutSecrets(s string) string {
	if !strings.Contains(s, "://") {
		return s[strings.LastIndexByte(s, '@')+1:]
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
