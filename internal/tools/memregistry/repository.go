package memregistry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository is one repository. Its methods are those of *registry.Repository, without HTTP. It is safe for concurrent use.
type Repository struct {
	name registry.Name

	mu        sync.RWMutex
	tags      map[string]cas.Digest
	sorted    []string // tags; nil when one came since
	manifests map[cas.Digest]*registry.Manifest
	blobs     map[cas.Digest][]byte
	attached  map[cas.Digest][]registry.Referrer
}

// Manifest returns what a tag or a digest names.
func (r *Repository) Manifest(_ context.Context, tagOrDigest string) (*registry.Manifest, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, tagged := r.tags[tagOrDigest]
	if !tagged {
		d = cas.Digest(tagOrDigest)
	}
	if m := r.manifests[d]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("%s %s: %w", r.name, tagOrDigest, registry.ErrNotFound)
}

// HeadManifest returns the descriptor of what a tag or a digest names.
func (r *Repository) HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error) {
	m, err := r.Manifest(ctx, tagOrDigest)
	if err != nil {
		return registry.Descriptor{}, err
	}
	return m.Descriptor(), nil
}

func (r *Repository) blob(d cas.Digest) ([]byte, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	body, ok := r.blobs[d]
	return body, ok
}

// Blob returns a blob.
func (r *Repository) Blob(_ context.Context, d cas.Digest, _ int64) (io.ReadCloser, error) {
	body, ok := r.blob(d)
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", r.name, d, registry.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// TagPages lists the tags.
func (r *Repository) TagPages(_ context.Context, each func(tags []string, more bool) bool) error {
	tags := r.sortedTags()
	for len(tags) > pageSize {
		if !each(tags[:pageSize], true) {
			return nil
		}
		tags = tags[pageSize:]
	}
	each(tags, false)
	return nil
}

func (r *Repository) sortedTags() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sorted == nil {
		r.sorted = slices.Sorted(maps.Keys(r.tags))
	}
	return r.sorted
}

func tagsDocument(name string, tags []string) []byte {
	body, _ := json.Marshal(map[string]any{"name": name, "tags": tags}) // of strings, which cannot fail
	return body
}

// Referrers lists what is attached to a manifest.
func (r *Repository) Referrers(_ context.Context, subject cas.Digest, artifactType string) ([]registry.Referrer, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []registry.Referrer
	for _, a := range r.attached[subject] {
		if artifactType == "" || a.ArtifactType == artifactType {
			list = append(list, a)
		}
	}
	return list, nil
}

func referrersIndex(list []registry.Referrer) []byte {
	if list == nil {
		list = []registry.Referrer{}
	}
	body, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": registry.OCIIndex, "manifests": list})
	return body
}

// PushBlob keeps a blob.
func (r *Repository) PushBlob(ctx context.Context, b registry.BlobSource, _ registry.Progress) (registry.Outcome, error) {
	in, err := b.Open(ctx)
	if err != nil {
		return "", err
	}
	defer in.Close()
	body, err := io.ReadAll(in)
	if err != nil {
		return "", err
	}
	r.Keep(body)
	return registry.Uploaded, nil
}

// Keep keeps a blob.
func (r *Repository) Keep(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[cas.DigestOf(body)] = body
}

// PushManifest keeps a manifest under its digest, and under a tag if one is given.
func (r *Repository) PushManifest(_ context.Context, tagOrDigest, mediaType string, body []byte) error {
	m := &registry.Manifest{MediaType: mediaType, Digest: cas.DigestOf(body), Body: body}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[m.Digest] = m
	if tagOrDigest != string(m.Digest) {
		r.tags[tagOrDigest], r.sorted = m.Digest, nil
	}
	return nil
}

// PushReferrer keeps a manifest and lists it among what is attached to its subject.
func (r *Repository) PushReferrer(ctx context.Context, subject cas.Digest, as registry.Referrer, body []byte) error {
	as.Digest, as.Size = cas.DigestOf(body), int64(len(body))
	if err := r.PushManifest(ctx, string(as.Digest), as.MediaType, body); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attached[subject] = append(r.attached[subject], as)
	return nil
}
