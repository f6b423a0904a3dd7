package graphstate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/gantry-build/gantry/internal/artifact"
	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository is what is needed of a repository; *registry.Repository has it.
type Repository interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
	Referrers(ctx context.Context, subject cas.Digest, artifactType string) ([]registry.Referrer, error)
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
	PushReferrer(ctx context.Context, subject cas.Digest, as registry.Referrer, body []byte) error
}

// Annotations of a record's manifest, by which one is chosen without reading them all.
const (
	annotationHash    = "io.github.gantry-build.graph.source-hash"
	annotationContent = "io.github.gantry-build.graph.record"
	// annotationCreated is RFC 3339 (image-spec, annotations.md). The record itself has no time, so that equal ones are equal.
	annotationCreated = "org.opencontainers.image.created"
)

const (
	// maxLooked bounds the manifests that are read of one image's records.
	maxLooked = 8
	// maxRounds bounds the tries to keep a record in a list that others overwrite.
	maxRounds = 8
	// settle is how long a list is left alone before it is looked at again: longer than another writer takes from reading to writing.
	settle = 300 * time.Millisecond
)

// Options are what a State works with.
type Options struct {
	// Open returns a repository for a use.
	Open func(registry.Name, registry.Mode) Repository
	// Now is the time that records get; nil is time.Now.
	Now func() time.Time
	// Sleep waits; nil is in real time.
	Sleep func(context.Context, time.Duration) error
}

// State reads and writes what registries remember. It is safe for concurrent use.
type State struct {
	open  func(registry.Name, registry.Mode) Repository
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu sync.Mutex
	// writing has a lock for each image whose list of records is being written by this process.
	writing map[string]*sync.Mutex
}

// New makes a State. It asks nothing.
func New(o Options) *State {
	s := &State{open: o.Open, now: o.Now, sleep: o.Sleep, writing: map[string]*sync.Mutex{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.sleep == nil {
		s.sleep = func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return s
}

// Write attaches a record to an image or an index that is in its repository. When the last record of the image is equal, nothing is
// written. Of several writers at once each one's record is kept: see keep.
func (s *State) Write(ctx context.Context, name registry.Name, subject registry.Descriptor, r *Record) error {
	body, err := r.encode()
	if err != nil {
		return err
	}
	unlock := s.lock(name.String() + "@" + string(subject.Digest))
	defer unlock()
	repo := s.open(name, registry.ModePush)
	listed, err := repo.Referrers(ctx, subject.Digest, ArtifactType)
	if err != nil {
		return err
	}
	layer := artifact.Descriptor{MediaType: recordType, Digest: cas.DigestOf(body), Size: int64(len(body))}
	created := s.now().UTC().Truncate(time.Second)
	for _, l := range listed {
		// A clock that is behind must not make this record an older one.
		if t := createdAt(l); !t.Before(created) {
			created = t.Add(time.Second)
		}
	}
	slices.SortStableFunc(listed, newestFirst)
	if len(listed) > 0 && listed[0].Annotations[annotationContent] == string(layer.Digest) {
		return nil
	}
	if err := artifact.Push(ctx, repo, name, body); err != nil {
		return err
	}
	as := registry.Referrer{MediaType: registry.OCIManifest, ArtifactType: ArtifactType, Annotations: map[string]string{
		annotationHash: string(r.SourceHash), annotationContent: string(layer.Digest), annotationCreated: created.Format(time.RFC3339),
	}}
	manifest, err := artifact.About(ArtifactType, subject, layer, as.Annotations)
	if err != nil {
		return err
	}
	what := registry.Reference{Name: name, Digest: subject.Digest}
	return s.keep(ctx, repo, what, as, manifest)
}

// keep writes a record's manifest and sees to it that it stays in the list. A registry that keeps the list itself loses none. Where a tag
// stands in for it (distribution-spec 1.1, "referrers tag schema"), whoever read it before it was written and writes it after takes the
// record out of it again, so it is looked at once more when such a writer has finished, and written again if it is gone. A writer that does
// not look again, as those of other tools, may lose its own entry to one that writes at the same moment.
func (s *State) keep(ctx context.Context, repo Repository, of registry.Reference, as registry.Referrer, body []byte) error {
	digest, subject := cas.DigestOf(body), of.Digest
	for round := range maxRounds {
		if err := repo.PushReferrer(ctx, subject, as, body); err != nil {
			return err
		}
		_, err := repo.HeadManifest(ctx, "sha256-"+subject.Hex())
		if errors.Is(err, registry.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		// Writers that meet wait for different times, so that they do not meet again.
		wait := settle + settle*time.Duration(round)*time.Duration(digest[len("sha256:")]%16)/8
		if err := s.sleep(ctx, wait); err != nil {
			return diag.Wrap(diag.Interrupted, err, "write the record of "+of.String(), "run again")
		}
		listed, err := repo.Referrers(ctx, subject, ArtifactType)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(listed, func(l registry.Referrer) bool { return l.Digest == digest }) {
			return nil
		}
	}
	return diag.New(diag.RecordLost, fmt.Sprintf("the record of %s was overwritten %d times by other writers", of, maxRounds),
		"run again when they have finished").AsRetryable()
}

func (s *State) lock(key string) (unlock func()) {
	s.mu.Lock()
	if s.writing[key] == nil {
		s.writing[key] = &sync.Mutex{}
	}
	m := s.writing[key]
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func createdAt(l registry.Referrer) time.Time {
	t, err := time.Parse(time.RFC3339, l.Annotations[annotationCreated])
	if err != nil {
		return time.Time{}
	}
	return t
}

// newestFirst sorts records. Those of one time have the order of their digests, so that every reader chooses the same.
func newestFirst(a, b registry.Referrer) int {
	return cmp.Or(createdAt(b).Compare(createdAt(a)), cmp.Compare(a.Digest, b.Digest))
}

// Read returns the newest record of an image or an index; with a hash the newest one of that hash. It returns nil when there is none. One
// that cannot be used counts as none; when there is no other, the error is GANTRY6030. An outage is an error.
func (s *State) Read(ctx context.Context, name registry.Name, subject, hash cas.Digest) (*Record, error) {
	repo := s.open(name, registry.ModePull)
	listed, err := repo.Referrers(ctx, subject, ArtifactType)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(listed, newestFirst)
	looked := 0
	var bad error
	for _, l := range listed {
		if said := l.Annotations[annotationHash]; hash != "" && said != "" && said != string(hash) {
			continue
		}
		if looked++; looked > maxLooked {
			break
		}
		r, err := readRecord(ctx, repo, subject, l.Digest)
		if err == nil && (hash == "" || r.SourceHash == hash) {
			return r, nil
		}
		var miss *cachekey.Miss
		if err = cachekey.AsMiss(err, "the record "+name.String()+"@"+string(l.Digest)); err != nil && !errors.As(err, &miss) {
			return nil, err
		}
		bad = cmp.Or(bad, err)
	}
	if bad != nil {
		what := fmt.Sprintf("no record of %s@%s can be used", name, subject)
		return nil, diag.Wrap(diag.InvalidRecord, bad, what, "build and stamp the image again")
	}
	return nil, nil
}

// readRecord reads one record. What is not as it should be is a *cachekey.Miss.
func readRecord(ctx context.Context, repo Repository, subject, digest cas.Digest) (*Record, error) {
	bad := func(format string, args ...any) (*Record, error) {
		return nil, &cachekey.Miss{Code: diag.InvalidRecord, Reason: "the record " + string(digest) + ": " + fmt.Sprintf(format, args...)}
	}
	m, err := repo.Manifest(ctx, string(digest))
	if err != nil {
		return nil, err
	}
	var a artifact.Manifest
	if err := json.Unmarshal(m.Body, &a); err != nil {
		return bad("its manifest cannot be read: %v", err)
	}
	switch {
	case a.ArtifactType != ArtifactType || a.Subject == nil || a.Subject.Digest != subject:
		return bad("it is of another kind or another image")
	case len(a.Layers) != 1 || a.Layers[0].MediaType != recordType:
		return bad("it has not one layer of the type %s", recordType)
	case a.Layers[0].Size <= 0 || a.Layers[0].Size > maxRecord:
		return bad("it has %d bytes, and at most %d are read", a.Layers[0].Size, maxRecord)
	}
	body, err := readBlob(ctx, repo, a.Layers[0].Digest, a.Layers[0].Size)
	if err != nil {
		return nil, err
	}
	r, err := decode(body)
	if err != nil {
		return bad("%s", err)
	}
	return r, nil
}

// readBlob reads a blob whose size was looked at.
func readBlob(ctx context.Context, repo Repository, digest cas.Digest, size int64) ([]byte, error) {
	content, err := repo.Blob(ctx, digest, size)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}
