package oracle_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/registry"
)

var (
	body  = []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}`)
	want  = image.Descriptor{MediaType: registry.OCIManifest, Digest: cas.DigestOf(body), Size: int64(len(body))}
	other = cas.DigestOf([]byte("other"))
)

// buffer takes the log of several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// ask starts a registry of one answer and an oracle for it.
func ask(t *testing.T, answer http.HandlerFunc) (oracle.Oracle, *buffer) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	transport := &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	name := registry.NewName(strings.TrimPrefix(server.URL, "http://"), "app")
	log := &buffer{}
	return oracle.Oracle{
		Repository: registry.New(registry.Options{Transport: transport, Sleep: noSleep}).Repository(name, registry.ModePush),
		Name:       name, Log: slog.New(slog.NewTextHandler(log, nil)), Parallel: 2,
	}, log
}

func say(status int, head string, text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, h := range strings.Split(head, "\n") {
			if k, v, found := strings.Cut(h, ": "); found {
				w.Header().Set(k, v)
			}
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(text)
		}
	}
}

// onlyGet refuses HEAD with a status.
func onlyGet(status int, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0") // a plain 400 can be that of a TLS server
			w.WriteHeader(status)
			return
		}
		next(w, r)
	}
}

// TestExists is the rule of existence: what counts as there, what as absent, with a message or without, and what is an error.
func TestExists(t *testing.T) {
	const (
		there   = "there"
		absent  = "absent"
		unknown = "absent, with a message"
		fails   = "an error"
	)
	typed := "Content-Type: " + registry.OCIManifest
	good := say(200, typed+"\nDocker-Content-Digest: "+string(want.Digest), body)
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		ends   string
	}{
		"200":                             {good, there},
		"200 without digest, GET hashes":  {say(200, typed, body), there},
		"200 of another image":            {say(200, typed+"\nDocker-Content-Digest: "+string(other), body), unknown},
		"200 with another media type":     {say(200, "Content-Type: "+registry.DockerManifest+"\nDocker-Content-Digest: "+string(want.Digest), body), absent},
		"200 with a web page":             {say(200, "Content-Type: text/html", []byte("<html>log in</html>")), unknown},
		"200 with a page and our digest":  {say(200, "Content-Type: text/html\nDocker-Content-Digest: "+string(want.Digest), []byte("<html>")), unknown},
		"200 with some JSON":              {say(200, "Content-Type: application/json", []byte(`{"ok":true}`)), unknown},
		"200 without digest, other bytes": {say(200, typed, bytes.ReplaceAll(body, []byte(`"layers":[]`), []byte(`"layers":[] `))), unknown},
		"404":                             {say(404, "", nil), absent},
		"401":                             {say(401, "", nil), unknown},
		"403":                             {say(403, "", nil), unknown},
		"400 to both":                     {say(400, "", nil), unknown},
		"500":                             {say(500, "", nil), fails},
		"503":                             {say(503, "", nil), fails},
		"501 to both":                     {say(501, "", nil), fails},
		"no answer":                       {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fails},
		"cut":                             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fails},
		"no HEAD: 405":                    {onlyGet(405, good), there},
		"no HEAD: 501":                    {onlyGet(501, good), there},
		"no HEAD: 400":                    {onlyGet(400, good), there},
		"no HEAD, and it is not there":    {onlyGet(405, say(404, "", nil)), absent},
		"no HEAD, and an outage follows":  {onlyGet(405, say(503, "", nil)), fails},
		"429":                             {say(429, "", nil), fails},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, log := ask(t, tc.answer)
			f, err := o.Look(t.Context(), want, []string{"1"})
			said := strings.Contains(log.b.String(), string(diag.AccessUnproved))
			got := absent
			switch {
			case err != nil:
				got = fails
			case f.Present:
				got = there
			case said:
				got = unknown
			}
			if got != tc.ends || said != (tc.ends == unknown) {
				t.Errorf("got %s (%v), want %s\n%s", got, err, tc.ends, log.b.String())
			}
			if err != nil && diag.CodeOf(err) == diag.Internal {
				t.Errorf("the error has no code: %v", err)
			}
			if f.Present && f.Tags[0].Digest != want.Digest {
				t.Errorf("the tag names %q", f.Tags[0].Digest)
			}
		})
	}
}

// TestNobodyListens: no connection is an outage too.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	name := registry.NewName(strings.TrimPrefix(server.URL, "http://"), "app")
	server.Close()
	o := oracle.Oracle{Repository: registry.New(registry.Options{Sleep: noSleep}).Repository(name, registry.ModePush), Name: name, Log: slog.New(slog.DiscardHandler)}
	if f, err := o.Look(t.Context(), want, nil); diag.CodeOf(err) != diag.RegistryUnreachable {
		t.Errorf("got %+v, %v; want %s", f, err, diag.RegistryUnreachable)
	}
}

// repository answers from maps; a digest that is asked for as a blob is there when it is listed.
type repository struct {
	mu    sync.Mutex
	tags  map[string]cas.Digest
	blobs map[cas.Digest]error
	asked []string
}

func (r *repository) HeadManifest(_ context.Context, ref string) (registry.Descriptor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, ref)
	if d, ok := r.tags[ref]; ok {
		return registry.Descriptor{MediaType: want.MediaType, Digest: d, Size: 1}, nil
	}
	return registry.Descriptor{}, registry.ErrNotFound
}

func (r *repository) ProbeBlob(_ context.Context, d cas.Digest, _ int64) (bool, error) {
	err, listed := r.blobs[d]
	return listed && err == nil, err
}

// TestLook: the digest is asked for only when no tag proves the image.
func TestLook(t *testing.T) {
	d := string(want.Digest)
	for name, tc := range map[string]struct {
		tags      map[string]cas.Digest
		questions int
		present   bool
	}{
		"all current":    {map[string]cas.Digest{"a": want.Digest, "b": want.Digest}, 2, true},
		"one current":    {map[string]cas.Digest{"a": other, "b": want.Digest}, 2, true},
		"by digest":      {map[string]cas.Digest{"a": other, d: want.Digest}, 3, true},
		"not there":      {map[string]cas.Digest{"a": other}, 3, false},
		"digest lies":    {map[string]cas.Digest{d: other}, 3, false},
		"nothing at all": {nil, 3, false},
	} {
		r := &repository{tags: tc.tags}
		o := oracle.Oracle{Repository: r, Log: slog.New(slog.DiscardHandler), Parallel: 8}
		f, err := o.Look(t.Context(), want, []string{"a", "b"})
		if err != nil || len(r.asked) != tc.questions || f.Present != tc.present || f.Reason == "" {
			t.Errorf("%s: %v, %v, %+v", name, err, r.asked, f)
		}
		for _, tag := range f.Tags {
			if tag.Digest != tc.tags[tag.Name] {
				t.Errorf("%s: %+v, want %s", name, tag, tc.tags[tag.Name])
			}
		}
	}
}

// TestMissingBlobs: foreign layers are not asked for, what may not be read is told, an outage is an error.
func TestMissingBlobs(t *testing.T) {
	blob := func(s string) image.Descriptor {
		return image.Descriptor{MediaType: image.OCILayerGzip, Digest: cas.DigestOf([]byte(s)), Size: 1}
	}
	foreign := blob("foreign")
	foreign.MediaType = image.OCIForeignGzip
	denied := diag.Wrap(diag.RepositoryForbidden, &registry.StatusError{StatusCode: 403}, "no", "")
	log := &buffer{}
	r := &repository{blobs: map[cas.Digest]error{blob("here").Digest: nil, blob("hidden").Digest: denied}}
	o := oracle.Oracle{Repository: r, Log: slog.New(slog.NewTextHandler(log, nil))}
	missing, hidden, err := o.MissingBlobs(t.Context(), []image.Descriptor{blob("here"), foreign, blob("gone"), blob("hidden")})
	if err != nil || len(missing) != 1 || missing[0].Digest != blob("gone").Digest || len(hidden) != 1 || hidden[0].Digest != blob("hidden").Digest {
		t.Errorf("missing %v, hidden %v, %v", missing, hidden, err)
	}
	if !strings.Contains(log.b.String(), "GANTRY5005") || !strings.Contains(log.b.String(), "403") {
		t.Errorf("log: %s", log.b.String())
	}
	outage := diag.Wrap(diag.RegistryPushFailed, &registry.StatusError{StatusCode: 503}, "no", "").AsRetryable()
	r.blobs[blob("here").Digest] = outage
	if _, _, err := o.MissingBlobs(t.Context(), []image.Descriptor{blob("here")}); err == nil {
		t.Error("an outage is no error")
	}
}
