// Package cachekey keeps the cache keys of images in a registry: a tag that is named after a key names the image that was built from
// what the key stands for.
//
// The key is no part of the image, so two keys may name one digest. Whoever may push may write such a tag, so what it names counts only
// after it was read and looked at, which tasks/check does, and, with a secret, only when a record beside the image proves that the
// secret's holder wrote key and image together (record.go). Keys may lie in a repository of their own, where fewer accounts may push;
// the image is there as well then, and has to be in its own repository all the same.
//
// Nothing here decides by a failure: what is not there and what cannot be used is a Miss, an outage is an error.
package cachekey

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository is what keys need of a repository; *registry.Repository has it.
type Repository interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	Referrers(ctx context.Context, subject cas.Digest, artifactType string) ([]registry.Referrer, error)
	PushReferrer(ctx context.Context, subject cas.Digest, as registry.Referrer, body []byte) error
}

// Keys are the keys of one repository of images. They are safe for concurrent use.
type Keys struct {
	image, key registry.Name
	images     Repository
	keys       Repository
	secret     string
}

// New returns the keys of the images in image. Their tags are in key, which may be the same repository. open makes repositories
// for registry.ModePush. secret is empty when no record is wanted.
func New(open func(registry.Name) Repository, image, key registry.Name, secret string) *Keys {
	image, key = registry.NewName(image.Registry, image.Repository), registry.NewName(key.Registry, key.Repository)
	k := &Keys{image: image, key: key, images: open(image), secret: secret}
	k.keys = k.images
	if k.apart() {
		k.keys = open(key)
	}
	return k
}

// apart says whether keys have a repository of their own.
func (k *Keys) apart() bool { return k.key != k.image }

// Miss is why an image cannot be used: an answer, and no failure.
type Miss struct {
	Code   diag.Code // empty for an ordinary miss
	Reason string
}

// Error returns the reason.
func (m *Miss) Error() string { return m.Reason }

func missf(format string, args ...any) error { return &Miss{Reason: fmt.Sprintf(format, args...)} }

// AsMiss makes a Miss of an error that says that what was asked for is not there, may not be seen, or is not what it should be; what
// names it. Any other error, an outage before all, stays what it is. With 401, 403 and other refusals the Miss has the code GANTRY5005.
func AsMiss(err error, what string) error {
	var miss *Miss
	var status *registry.StatusError
	switch {
	case err == nil, errors.As(err, &miss):
		return err
	case errors.Is(err, registry.ErrNotFound):
		return missf("%s is not there", what)
	case isOutage(err):
		return err
	case errors.As(err, &status):
		if status.StatusCode/100 != 4 {
			return err
		}
		return &Miss{Code: diag.AccessUnproved, Reason: fmt.Sprintf("%s may not be seen: the registry answers %d %s",
			what, status.StatusCode, http.StatusText(status.StatusCode))}
	}
	switch diag.CodeOf(err) {
	case diag.DigestMismatch, diag.UnknownManifest, diag.InvalidBaseManifest, diag.InvalidBaseConfig, diag.UnknownMediaType:
		return missf("%s cannot be used: %s", what, cause(err))
	}
	return err
}

// isOutage says whether the same question may be answered later: 429 and 408 are no answers.
func isOutage(err error) bool {
	var coded *diag.Error
	return errors.As(err, &coded) && coded.Retryable
}

// cause is an error without what it is about, which the miss says, and without what to do: a miss needs nothing to be done.
func cause(err error) string {
	var coded *diag.Error
	switch {
	case !errors.As(err, &coded):
		return err.Error()
	case coded.Err != nil:
		return coded.Err.Error()
	}
	return coded.What
}

// Image returns the manifest or index that a key's tag names, verified. It is in the repository of images. The error is a *Miss when
// there is none.
func (k *Keys) Image(ctx context.Context, tag string) (*registry.Manifest, error) {
	m, err := k.keys.Manifest(ctx, tag)
	if err != nil {
		return nil, AsMiss(err, "the key's tag "+k.key.String()+":"+tag)
	}
	if !k.apart() {
		return m, nil
	}
	// Keys may be shared by several repositories of images, and images may be cleaned up where they are.
	what := fmt.Sprintf("the image %s@%s, which the key's tag in %s names,", k.image, m.Digest, k.key)
	d, err := k.images.HeadManifest(ctx, string(m.Digest))
	if err != nil {
		return nil, AsMiss(err, what)
	}
	if d != m.Descriptor() {
		return nil, missf("%s is a %s of %d bytes there, and in the destination a %s of %d", what, m.MediaType, len(m.Body), d.MediaType, d.Size)
	}
	return m, nil
}

// Write makes a key's tag name a manifest or index that both repositories have the content of. The record that proves it comes first,
// where a secret asks for one, and the tag last. The tag may name something else before. Errors are those of the registry.
func (k *Keys) Write(ctx context.Context, tag, mediaType string, body []byte) error {
	if k.secret != "" {
		image := registry.Descriptor{MediaType: mediaType, Digest: cas.DigestOf(body), Size: int64(len(body))}
		if err := k.writeRecord(ctx, tag, image); err != nil {
			return err
		}
	}
	return k.keys.PushManifest(ctx, tag, mediaType, body)
}
