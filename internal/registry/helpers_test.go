package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// recorder notes the requests that leave a client.
type recorder struct {
	next  http.RoundTripper
	mu    sync.Mutex
	lines []string
	bytes int64 // sent in bodies
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	status := 0
	if err == nil {
		status = res.StatusCode
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%s %s %d", req.Method, req.URL.Path, status))
	r.bytes += max(0, req.ContentLength)
	return res, err
}

// count returns how many requests there were by method and status, sorted.
func (r *recorder) count() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, l := range r.lines {
		f := strings.Fields(l)
		n[f[0]+" "+f[2]]++
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%d %s", n[k], k))
	}
	return strings.Join(out, ", ")
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.bytes = nil, 0
}

// testClient makes a client that records, and never really waits.
func testClient(t *testing.T, env map[string]string, o Options) (*Client, *recorder, *pauses) {
	t.Helper()
	if o.Transport == nil {
		tr := newTransport()
		tr.Proxy = nil
		t.Cleanup(tr.CloseIdleConnections)
		o.Transport = tr
	}
	rec := &recorder{next: o.Transport}
	o.Transport = rec
	o.Getenv = func(k string) string { return env[k] }
	c := New(o)
	p := &pauses{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.policy.now, c.policy.sleep, c.policy.random = p.time, p.sleep, func() float64 { return 0.5 }
	return c, rec, p
}

// pauses is a clock that moves only when somebody sleeps.
type pauses struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (p *pauses) time() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *pauses) sleep(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
	p.slept = append(p.slept, d)
	return ctx.Err()
}

func (p *pauses) advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// blobOf makes a blob to push.
func blobOf(content []byte, from string) BlobSource {
	return BlobSource{
		Digest: cas.DigestOf(content), Size: int64(len(content)), MountFrom: from,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// noise is content of n bytes that is the same for the same seed.
func noise(seed uint64, n int) []byte {
	out := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func wantCode(t *testing.T, err error, want diag.Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %s", want)
	}
	if got := diag.CodeOf(err); got != want {
		t.Fatalf("got %s (%v), want %s", got, err, want)
	}
	if strings.Count(diag.Line(err), "\n") != 0 {
		t.Errorf("error of several lines: %q", diag.Line(err))
	}
}

func mustPush(t *testing.T, r *Repository, b BlobSource) Outcome {
	t.Helper()
	o, err := r.PushBlob(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func readBlob(t *testing.T, r *Repository, content []byte) ([]byte, error) {
	t.Helper()
	rc, err := r.Blob(t.Context(), cas.DigestOf(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

// image is a manifest with the blobs that it names.
func imageOf(config []byte, layers ...[]byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[`,
		OCIManifest, cas.DigestOf(config), len(config))
	for i, l := range layers {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}`, cas.DigestOf(l), len(l))
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func pushImage(t *testing.T, r *Repository, tag string, config []byte, layers ...[]byte) []byte {
	t.Helper()
	for _, b := range append([][]byte{config}, layers...) {
		mustPush(t, r, blobOf(b, ""))
	}
	m := imageOf(config, layers...)
	if err := r.PushManifest(t.Context(), tag, OCIManifest, m); err != nil {
		t.Fatal(err)
	}
	return m
}
