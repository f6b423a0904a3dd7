package graphstate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/artifact"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

func TestWrite(t *testing.T) {
	for server := range testenv.Registries {
		for kind, platforms := range map[string][]basemaker.Platform{"image": {amd64}, "index": {amd64, arm64}} {
			t.Run(server+" "+kind, func(t *testing.T) {
				s := newSite(t, server)
				image := s.push("app", "1", "", platforms...)
				read := func(hash cas.Digest) *Record {
					t.Helper()
					r, err := s.state().Read(t.Context(), s.name("app"), top(image).Digest, hash)
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
				if r := read(""); r != nil {
					t.Fatalf("got %+v, want none", r)
				}
				one, two := record("one", from("docker.io/library/base:1", child(image, 0))), record("two")
				s.write("app", top(image), one)
				if d := cmp.Diff(one, read("")); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				s.clock = s.clock.Add(-time.Hour) // this one's clock is behind, and its record is the newest all the same
				s.write("app", top(image), two)
				if got := read(""); got.SourceHash != two.SourceHash {
					t.Errorf("got %+v, want the second", got)
				}
				if got := read(one.SourceHash); got.SourceHash != one.SourceHash {
					t.Errorf("got %+v, want the first", got)
				}
				if got := read(cas.DigestOf(nil)); got != nil {
					t.Errorf("got %+v of another hash", got)
				}
				s.proxy.Reset()
				s.write("app", top(image), two)
				if reads, writes := s.requests(); len(reads) > 2 || len(writes) > 0 {
					t.Errorf("an equal record takes %q and %q", reads, writes)
				}
			})
		}
	}
}

// Every writer's record is kept, and another tool's referrer with them; each writer is a process of its own.
func TestWrite_concurrent(t *testing.T) {
	const writers = 8
	for server := range testenv.Registries {
		t.Run(server, func(t *testing.T) {
			s := newSite(t, server)
			image := s.push("app", "1", "", amd64)
			foreign := registry.Referrer{MediaType: registry.OCIManifest, ArtifactType: "application/vnd.example.signature"}
			body, err := artifact.Note(foreign.ArtifactType, top(image), nil)
			if err != nil {
				t.Fatal(err)
			}
			client := registry.New(registry.Options{})
			repo := client.Repository(s.name("app"), registry.ModePush)
			if err := artifact.Push(t.Context(), repo, s.name("app")); err != nil {
				t.Fatal(err)
			}
			if err := repo.PushReferrer(t.Context(), top(image).Digest, foreign, body); err != nil {
				t.Fatal(err)
			}
			s.proxy.Latency(3 * time.Millisecond)
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					client := registry.New(registry.Options{})
					state := New(Options{Open: func(n registry.Name, m registry.Mode) Repository { return client.Repository(n, m) }})
					if err := state.Write(t.Context(), s.name("app"), top(image), record(fmt.Sprint(i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			listed, err := repo.Referrers(t.Context(), top(image).Digest, ArtifactType)
			if err != nil || len(listed) != writers {
				t.Errorf("%d records are listed, want %d: %v", len(listed), writers, err)
			}
			if others, err := repo.Referrers(t.Context(), top(image).Digest, foreign.ArtifactType); err != nil || len(others) != 1 {
				t.Errorf("got %v, %v: another tool's referrer is lost", others, err)
			}
		})
	}
}

// One process writes one list at a time.
func TestWrite_oneProcess(t *testing.T) {
	s := newSite(t, "docker-registry")
	image := s.push("app", "1", "", amd64)
	var mu sync.Mutex
	client := registry.New(registry.Options{})
	state := New(Options{
		Open:  func(n registry.Name, m registry.Mode) Repository { return client.Repository(n, m) },
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	inside, most := 0, 0
	state.now = func() time.Time { mu.Lock(); inside++; most = max(most, inside); mu.Unlock(); return s.clock }
	state.sleep = func(context.Context, time.Duration) error { mu.Lock(); inside--; mu.Unlock(); return nil }
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := state.Write(t.Context(), s.name("app"), top(image), record(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	listed, err := client.Repository(s.name("app"), registry.ModePush).Referrers(t.Context(), top(image).Digest, ArtifactType)
	if err != nil || len(listed) != 4 || most != 1 {
		t.Errorf("%d records, %v, %d writers at once", len(listed), err, most)
	}
}

// A writer that takes the record out of the list after it was seen there is noticed; one that never ends is an error.
func TestWrite_lost(t *testing.T) {
	for name, always := range map[string]bool{"once": false, "always": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "docker-registry")
			image := s.push("app", "1", "", amd64)
			direct := registry.New(registry.Options{}).Repository(registry.NewName(s.reg.Host(), "app"), registry.ModePush)
			state, waits := s.state(), 0
			state.sleep = func(ctx context.Context, _ time.Duration) error {
				if waits++; waits > 1 && !always {
					return nil
				}
				return direct.PushManifest(ctx, "sha256-"+top(image).Digest.Hex(), registry.OCIIndex,
					[]byte(`{"schemaVersion":2,"mediaType":"`+registry.OCIIndex+`","manifests":[]}`))
			}
			err := state.Write(t.Context(), s.name("app"), top(image), record("one"))
			if always {
				wantCode(t, err, diag.RecordLost, "8 times")
				return
			}
			if err != nil || waits != 2 {
				t.Errorf("%v after %d waits, want 2", err, waits)
			}
			if r, err := s.state().Read(t.Context(), s.name("app"), top(image).Digest, ""); err != nil || r == nil {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
}

// artifactOf is an artifact that is newer than ours.
func artifactOf(t testing.TB, artifactType string, subject registry.Descriptor, layer artifact.Descriptor) []byte {
	t.Helper()
	body, err := artifact.About(artifactType, subject, layer, map[string]string{annotationCreated: "2030-01-01T00:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// A record that somebody else wrote, and that is newer than ours, is passed over when it is not right.
func TestRead_foreign(t *testing.T) {
	good, err := record("one").encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		content string
		layer   artifact.Descriptor
		why     string
	}{
		"no JSON":       {content: "hello", why: "not one JSON document"},
		"a key twice":   {content: strings.Replace(string(good), `{"schema`, `{"SourceHash":"x","schema`, 1), why: "twice"},
		"no digest":     {content: strings.Replace(string(good), `"sourceHash":"sha256:`, `"sourceHash":"sha1:`, 1), why: "not a digest"},
		"a version":     {content: strings.Replace(string(good), `"schemaVersion":1`, `"schemaVersion":9`, 1), why: "schemaVersion"},
		"an escape":     {content: strings.Replace(string(good), `"image":"app"`, `"image":"\u001b[2J"`, 1), why: "control character"},
		"a target":      {content: strings.Replace(string(good), `"fromImages":null`, `"fromImages":[{"name":"target:x","digest":"`+digestA+`","platform":"linux/amd64","use":"FROM"}]`, 1), why: "not in full"},
		"another type":  {content: string(good), layer: artifact.Descriptor{MediaType: "text/plain"}, why: "not one layer"},
		"a large blob":  {content: string(good), layer: artifact.Descriptor{Size: maxRecord + 1}, why: "at most"},
		"another image": {content: string(good), layer: artifact.Descriptor{Digest: "subject"}, why: "another image"},
		"no subject":    {content: string(good), layer: artifact.Descriptor{Digest: "none"}, why: "another image"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "olareg")
			image := s.push("app", "1", "", amd64)
			other := s.push("app", "2", "other", amd64)
			repo := registry.New(registry.Options{}).Repository(s.name("app"), registry.ModePush)
			if err := artifact.Push(t.Context(), repo, s.name("app"), []byte(tc.content)); err != nil {
				t.Fatal(err)
			}
			layer := artifact.Descriptor{MediaType: recordType, Digest: cas.DigestOf([]byte(tc.content)), Size: int64(len(tc.content))}
			if tc.layer.MediaType != "" {
				layer.MediaType = tc.layer.MediaType
			}
			if tc.layer.Size != 0 {
				layer.Size = tc.layer.Size
			}
			subject := top(image)
			manifest := artifactOf(t, ArtifactType, subject, layer)
			switch tc.layer.Digest {
			case "subject":
				manifest = artifactOf(t, ArtifactType, top(other), layer)
			case "none":
				manifest, _ = artifact.Encode(ArtifactType, layer)
			}
			as := registry.Referrer{MediaType: registry.OCIManifest, ArtifactType: ArtifactType, Annotations: map[string]string{annotationCreated: "2030-01-01T00:00:00Z"}}
			fake := &listing{Repository: repo, extra: []registry.Referrer{as}}
			fake.extra[0].Digest = cas.DigestOf(manifest)
			if err := repo.PushManifest(t.Context(), string(fake.extra[0].Digest), as.MediaType, manifest); err != nil {
				t.Fatal(err)
			}
			state := New(Options{Open: func(registry.Name, registry.Mode) Repository { return fake }, Now: func() time.Time { return s.clock }})
			_, err := state.Read(t.Context(), s.name("app"), subject.Digest, "")
			wantCode(t, err, diag.InvalidRecord, tc.why)
			s.write("app", subject, record("one"))
			r, err := state.Read(t.Context(), s.name("app"), subject.Digest, record("one").SourceHash)
			if err != nil || r == nil || r.SourceHash != record("one").SourceHash {
				t.Errorf("ours is not found behind it: %v, %v", r, err)
			}
		})
	}
}

// listing adds referrers to what a registry lists.
type listing struct {
	Repository
	extra []registry.Referrer
}

func (l *listing) Referrers(ctx context.Context, subject cas.Digest, kind string) ([]registry.Referrer, error) {
	list, err := l.Repository.Referrers(ctx, subject, kind)
	list = slices.DeleteFunc(list, func(r registry.Referrer) bool { return r.Digest == l.extra[0].Digest })
	return append(slices.Clone(l.extra), list...), err
}

// An outage is no missing record.
func TestRead_outage(t *testing.T) {
	s := newSite(t, "olareg")
	image := s.push("app", "1", "", amd64)
	s.write("app", top(image), record("one"))
	for _, part := range []string{"/referrers/", "/manifests/", "/blobs/"} {
		s.proxy.Inject(func(q *http.Request) *testenv.Fault {
			if strings.Contains(q.URL.Path, part) {
				return &testenv.Fault{Status: http.StatusServiceUnavailable}
			}
			return nil
		})
		if r, err := s.state().Read(t.Context(), s.name("app"), top(image).Digest, ""); err == nil || diag.CodeOf(err) == diag.InvalidRecord {
			t.Errorf("%s: got %v, %v", part, r, err)
		}
	}
}

// A record with too many lines is written without them.
func TestRecord_large(t *testing.T) {
	r := record("one", from("docker.io/library/base:1", cas.DigestOf(nil)))
	r.Variants[0].Lines = []sourcehash.Line{{Kind: "instruction", Name: "RUN", Value: strings.Repeat("x", maxRecord)}}
	body, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(body)
	if err != nil || len(got.Variants[0].Lines) != 0 || !cmp.Equal(got.Variants[0].FromImages, r.Variants[0].FromImages) {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(r.Variants[0].Lines) != 1 {
		t.Error("the caller's record was changed")
	}
}

// What is read of a record is right and is written as it was.
func FuzzRecord(f *testing.F) {
	good, err := record("one", from("docker.io/library/base:1", cas.DigestOf(nil))).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, s := range []string{`{}`, `[]`, `null`, `{"variants":[{"platform":"linux"}]}`, `{"a":1,"A":2}`, strings.Repeat("[", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decode(body)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(again); err != nil || !cmp.Equal(r.Variants[0].FromImages, got.Variants[0].FromImages) || got.SourceHash != r.SourceHash {
			t.Errorf("%s becomes %s: %v", body, again, err)
		}
	})
}
