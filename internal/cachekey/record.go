package cachekey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/artifact"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// recordType is the artifact type of a record: a manifest whose subject is an image and whose annotation proves that the secret's
// holder gave a key to it. It lies beside the image, so that the image's digest does not depend on the key.
const recordType = "application/vnd.gantry.cache-key.record.v1"

// Annotations of a record.
const (
	annotationTag = "io.github.gantry-build.cache-key.tag"
	annotationMAC = "io.github.gantry-build.cache-key.hmac-sha256"
)

// recordVersion begins what is authenticated. It changes with the meaning of the fields.
const recordVersion = "gantry cache key record 1"

// maxRecords bounds the manifests that are read for records whose registry does not list annotations.
const maxRecords = 8

// mac authenticates a key's tag, an image and its repository. The repository's registry is left out, as it may have several names.
// Every field has its length before it, so that no two triples are the same bytes.
func (k *Keys) mac(tag string, image cas.Digest) string {
	h := hmac.New(sha256.New, []byte(k.secret))
	for _, field := range []string{recordVersion, tag, string(image), k.image.Repository} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (k *Keys) writeRecord(ctx context.Context, tag string, image registry.Descriptor) error {
	annotations := map[string]string{annotationTag: tag, annotationMAC: k.mac(tag, image.Digest)}
	body, err := artifact.Note(recordType, image, annotations)
	if err != nil {
		return err
	}
	if err := artifact.Push(ctx, k.images, k.image); err != nil {
		return err
	}
	as := registry.Referrer{MediaType: registry.OCIManifest, ArtifactType: recordType, Annotations: annotations}
	return k.images.PushReferrer(ctx, image.Digest, as, body)
}

// Proven looks for a record that proves a key's tag and an image. Without a secret none is needed. The error is a *Miss with the code
// GANTRY5006 when there is none that is valid.
func (k *Keys) Proven(ctx context.Context, tag string, image cas.Digest) error {
	if k.secret == "" {
		return nil
	}
	what := "the list of records of " + k.image.String() + "@" + string(image)
	records, err := k.images.Referrers(ctx, image, recordType)
	if err != nil {
		return AsMiss(err, what)
	}
	want, read := []byte(k.mac(tag, image)), 0
	// A list that was filled by somebody else must not keep ours from being seen, so those for this key come first.
	slices.SortStableFunc(records, func(a, b registry.Referrer) int { return distance(a, tag) - distance(b, tag) })
	for _, r := range records {
		if len(r.Annotations) == 0 {
			if read++; read > maxRecords {
				continue
			}
			if r.Annotations, err = k.readRecord(ctx, r.Digest); err != nil {
				return err
			}
		}
		if hmac.Equal([]byte(r.Annotations[annotationMAC]), want) {
			return nil
		}
	}
	return &Miss{
		Code: diag.KeyUnproved,
		Reason: fmt.Sprintf("GANTRY_KEY_SECRET is set, and %s@%s has no record that proves %s with that secret (%d looked at)",
			k.image, image, tag, len(records)),
	}
}

// distance sorts records: this key's, then those whose annotations the list does not have, then the others.
func distance(r registry.Referrer, tag string) int {
	switch {
	case r.Annotations[annotationTag] == tag:
		return 0
	case len(r.Annotations) == 0:
		return 1
	}
	return 2
}

// readRecord reads a record itself. One that is gone or no record has no annotations.
func (k *Keys) readRecord(ctx context.Context, digest cas.Digest) (map[string]string, error) {
	m, err := k.images.Manifest(ctx, string(digest))
	if err != nil {
		err = AsMiss(err, "a record")
		var miss *Miss
		if errors.As(err, &miss) {
			return nil, nil
		}
		return nil, err
	}
	var a artifact.Manifest
	if json.Unmarshal(m.Body, &a) != nil {
		return nil, nil
	}
	return a.Annotations, nil
}
