// Package pull gets content that is named by its digest: from the content store, else from a registry, into the store.
//
// Content in the store may have vanished or rotted at any moment; both are a miss here, never a failure. The package asks a
// registry for nothing that the store has. Its functions may be called by several goroutines at once.
package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// Manifests reads manifests and indexes; *registry.Repository does.
type Manifests interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
}

// Blobs reads blobs; *registry.Repository does.
type Blobs interface {
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Manifest returns the manifest or index with a digest. Its media type is what the document says of itself: with its bytes
// proved, no header can say more.
func Manifest(ctx context.Context, store *cas.Store, from Manifests, d cas.Digest, log *slog.Logger) (*registry.Manifest, error) {
	if body, ok := Stored(store, d, log); ok {
		return &registry.Manifest{MediaType: image.Sniff(body), Digest: d, Body: body}, nil
	}
	m, err := from.Manifest(ctx, string(d))
	if err != nil {
		return nil, err
	}
	return m, Keep(store, m)
}

// Keep puts a manifest that was fetched into the store. A body without the digest that it came with is GANTRY2004.
func Keep(store *cas.Store, m *registry.Manifest) error {
	d, err := store.PutBytes(m.Body)
	if err == nil && d != m.Digest {
		err = diag.New(diag.DigestMismatch, fmt.Sprintf("the manifest %s has the digest %s", m.Digest, d), "run again")
	}
	return err
}

// Small returns a blob of at most limit bytes, such as a configuration. what names it in errors, which are GANTRY2002 for a size that
// is not as announced and those of the registry.
func Small(ctx context.Context, store *cas.Store, from Blobs, desc image.Descriptor, limit int64, log *slog.Logger) ([]byte, error) {
	if desc.Size > limit {
		return nil, diag.New(diag.InvalidBaseManifest, fmt.Sprintf("the blob %s is announced with %d bytes, more than %d", desc.Digest, desc.Size, limit),
			"use another base image")
	}
	body, ok := Stored(store, desc.Digest, log)
	if !ok {
		if err := fetch(ctx, store, from, desc); err != nil {
			return nil, err
		}
		var err error
		if body, err = store.ReadAll(desc.Digest); err != nil {
			return nil, err
		}
	}
	if int64(len(body)) != desc.Size {
		return nil, diag.New(diag.InvalidBaseManifest, fmt.Sprintf("the blob %s has %d bytes and is announced with %d", desc.Digest, len(body), desc.Size),
			"use another base image")
	}
	return body, nil
}

// Ensure puts a blob into the store unless it is there with its size, and says whether it had to be fetched. The content of one that
// is there is verified when it is read.
func Ensure(ctx context.Context, store *cas.Store, from Blobs, desc image.Descriptor) (fetched bool, err error) {
	if Has(store, desc) {
		return false, nil
	}
	return true, fetch(ctx, store, from, desc)
}

// Has says whether the store has a blob of this digest and size.
func Has(store *cas.Store, desc image.Descriptor) bool {
	n, err := store.Size(desc.Digest)
	return err == nil && n == desc.Size
}

func fetch(ctx context.Context, store *cas.Store, from Blobs, desc image.Descriptor) error {
	return registry.Retrieve(ctx, from, desc.Digest, desc.Size, func(r io.Reader) error { return store.Put(ctx, desc.Digest, r) })
}

// Stored returns a small blob that the store has and that is whole.
func Stored(store *cas.Store, d cas.Digest, log *slog.Logger) ([]byte, bool) {
	body, err := store.ReadAll(d)
	if err != nil {
		if !errors.Is(err, cas.ErrNotFound) {
			log.Info("a blob in the content store cannot be used and is fetched again", "digest", d, "reason", err.Error())
		}
		return nil, false
	}
	return body, true
}
