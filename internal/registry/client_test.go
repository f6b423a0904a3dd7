package registry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestInterrupt ends a request, and the upload that was open, when the
// context ends.
func TestInterrupt(t *testing.T) {
	s := newScript(
		t,
		step{want: postBlob, status: 202, answer: []string{"Location: /up"}},
		step{want: "PUT /up?*", hang: true},
		step{want: "DELETE /up", status: 204},
	)
	c, _, _ := testClient(t, nil, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	b := blobOf(testBlob, "")
	content := b.Open
	b.Open = func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := content(ctx)
		return &cancelling{ReadCloser: rc, cancel: cancel}, err
	}
	_, err := c.Repository(Name{s.host, "app"}, ModePush).PushBlob(ctx, b, nil)
	wantCode(t, err, diag.Interrupted)
	if diag.ExitCode(err) != diag.ExitInterrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// cancelling interrupts when its content has been read.
type cancelling struct {
	io.ReadCloser
	cancel func()
}

func (c *cancelling) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}

// TestSourceFailure keeps the code of what reads the blob, and completes no
// upload of wrong content.
func TestSourceFailure(t *testing.T) {
	reg := testenv.StartRegistry(t)
	coded := diag.New(diag.StoreCorrupt, "the blob is damaged", "run again")
	tests := map[string]struct {
		open func(context.Context) (io.ReadCloser, error)
		want diag.Code
	}{
		"open":  {func(context.Context) (io.ReadCloser, error) { return nil, cas.ErrNotFound }, diag.BlobMissing},
		"read":  {func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&failing{coded}), nil }, diag.StoreCorrupt},
		"short": {func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("01234")), nil }, diag.DigestMismatch},
		"wrong": {func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("01234567890123456789")), nil
		}, diag.DigestMismatch},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, rec, _ := testClient(t, nil, Options{})
			b := blobOf(testBlob, "")
			b.Open = tt.open
			r := c.Repository(Name{reg.Host(), "app"}, ModePush)
			_, err := r.PushBlob(t.Context(), b, nil)
			wantCode(t, err, tt.want)
			if strings.Contains(rec.count(), "PUT 201") {
				t.Errorf("the upload was completed: %s", rec.count())
			}
			if has, err := r.HasBlob(t.Context(), b.Digest); has || err != nil {
				t.Errorf("HasBlob: got %v, %v", has, err)
			}
		})
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// TestStreamedMount sends a layer from one repository of a registry to
// another where the mount is refused, with a single place for each kind of
// request: reading and writing must not wait for each other.
func TestStreamedMount(t *testing.T) {
	reg := testenv.StartRegistry(t)
	c, _, _ := testClient(t, nil, Options{Parallel: 1})
	content := noise(7, 500_000)
	src := c.Repository(Name{reg.Host(), "src"}, ModePush)
	mustPush(t, src, blobOf(content, ""))
	b := blobOf(content, "")
	b.Open = func(ctx context.Context) (io.ReadCloser, error) { return src.Blob(ctx, b.Digest, b.Size) }
	if o := mustPush(t, c.Repository(Name{reg.LocalHost(), "dst"}, ModePush), b); o != Uploaded {
		t.Errorf("got %s", o)
	}
}

// TestParallel never has more requests under way than allowed.
func TestParallel(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		most int
	}{
		"default": {nil, 3},
		"serial":  {map[string]string{"SDK_CONTAINER_REGISTRY_PARALLEL_UPLOAD": "false"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			now, most := 0, 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				io.Copy(io.Discard, r.Body)
				mu.Lock()
				now--
				mu.Unlock()
				if r.Method == http.MethodPost {
					w.Header().Set("Location", "/up")
					w.WriteHeader(http.StatusAccepted)
					return
				}
				w.Header().Set("Docker-Content-Digest", r.URL.Query().Get("digest"))
				w.WriteHeader(http.StatusCreated)
			}))
			defer srv.Close()
			c, _, _ := testClient(t, tt.env, Options{Parallel: 3})
			r := c.Repository(Name{strings.TrimPrefix(srv.URL, "http://"), "app"}, ModePush)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if _, err := r.PushBlob(t.Context(), blobOf(noise(uint64(i), 10_000), ""), nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if most > tt.most {
				t.Errorf("%d requests at once, want at most %d", most, tt.most)
			}
		})
	}
}

// TestProgress counts each byte once, also over two attempts.
func TestProgress(t *testing.T) {
	open := step{want: postBlob, status: 202, answer: []string{"Location: /up"}}
	s := newScript(
		t, open, step{want: "PUT /up?*", status: 500}, step{want: "HEAD " + blobPath, status: 404}, step{want: "DELETE /up", status: 204},
		open, step{want: "PUT /up?*", status: 201, answer: []string{digestHeader(testBlob)}},
	)
	c, _, _ := testClient(t, nil, Options{})
	var p counter
	if _, err := c.Repository(Name{s.host, "app"}, ModePush).PushBlob(t.Context(), blobOf(testBlob, ""), &p); err != nil {
		t.Fatal(err)
	}
	if p.started != 1 || p.total != 20 || p.sum != 20 || p.done != "uploaded" {
		t.Errorf("got %+v", p)
	}
}

type counter struct {
	started    int
	total, sum int64
	done       string
}

func (c *counter) Started(_ string, n int64)  { c.started++; c.total = n }
func (c *counter) Advanced(_ string, n int64) { c.sum += n }
func (c *counter) Done(_, outcome string)     { c.done += outcome }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	year := now.Add(365 * 24 * time.Hour)
	for in, want := range map[string]time.Time{
		"5": now.Add(5 * time.Second), " 5 ": now.Add(5 * time.Second), "99999999999999999999999": year, "9223372036854775807": year,
		"Fri, 02 Jan 2026 03:05:05 GMT": now.Add(time.Minute), "Fri, 02 Jan 2099 03:05:05 GMT": year,
		"": {}, "0": {}, "-1": {}, "soon": {}, "1.5": {}, "880µs": {}, "Fri, 02 Jan 2020 03:05:05 GMT": {}, "-99999999999999999999999": {},
	} {
		got, ok := retryAfter(in, now)
		if !got.Equal(want) || ok == want.IsZero() {
			t.Errorf("%q: got %v, %v, want %v", in, got, ok, want)
		}
	}
}

func TestPauses(t *testing.T) {
	p := defaultRetryPolicy(func() float64 { return 0.999999 })
	last := time.Duration(0)
	for n := 1; n < 60; n++ {
		d := p.pause(n)
		if d < last || d > p.most {
			t.Fatalf("pause %d is %s after %s", n, d, last)
		}
		last = d
	}
}

func TestSplitList(t *testing.T) {
	if got := strings.Join(splitList(" a:1; b , c;;,"), "|"); got != "a:1|b|c" {
		t.Errorf("got %s", got)
	}
}

// TestHasBlobWithoutHead asks for one byte where HEAD is not known.
func TestHasBlobWithoutHead(t *testing.T) {
	has := func(want bool) func(*testing.T, *Repository) error {
		return func(t *testing.T, r *Repository) error {
			got, err := r.HasBlob(t.Context(), blobOf(testBlob, "").Digest)
			if err == nil && got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			return err
		}
	}
	head := step{want: "HEAD " + blobPath, status: 405}
	get := step{want: "GET " + blobPath, header: "Range: bytes=0-0"}
	with := func(status int, h ...string) step { g := get; g.status, g.answer = status, h; return g }
	runScripts(t, []scriptCase{
		{name: "there", steps: []step{head, with(206)}, do: has(true)},
		{name: "not there", steps: []step{head, with(404)}, do: has(false)},
		{name: "another digest", steps: []step{{want: head.want, status: 200, answer: []string{digestHeader(testManifest)}}}, do: has(false)},
		{name: "web page", steps: []step{{want: head.want, status: 200, answer: []string{"Content-Type: text/html"}}}, do: has(true), want: diag.LayerNotDownloadable},
		{name: "outage", steps: times(6, step{want: head.want, status: 503}), do: has(true), mode: ModePush, want: diag.RegistryPushFailed},
		{name: "forbidden", steps: []step{{want: head.want, status: 403}}, do: has(true), want: diag.RepositoryForbidden},
	})
}

// TestProxyWantsCredentials says so at once, and not what the proxy's
// password is.
func TestProxyWantsCredentials(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	tr := newTransport()
	defer tr.CloseIdleConnections()
	tr.Proxy = func(*http.Request) (*url.URL, error) {
		return url.Parse(strings.Replace(proxy.URL, "://", "://user:canary@", 1))
	}
	c, rec, _ := testClient(t, nil, Options{Transport: tr})
	_, err := c.Repository(Name{"registry.example", "app"}, ModePull).Manifest(t.Context(), "1")
	wantCode(t, err, diag.ManifestPullFailed)
	if !strings.Contains(err.Error(), "proxy") || strings.Contains(err.Error(), "canary") || rec.count() != "1 GET 0" {
		t.Errorf("got %v after %s", err, rec.count())
	}

	// plain HTTP, where the proxy answers in the registry's place
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !strings.HasSuffix(proxy.URL, addr) {
			addr = "127.0.0.1:1" // nobody listens there
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "https" {
			return nil, nil
		}
		return url.Parse(proxy.URL)
	}
	c, _, _ = testClient(t, nil, Options{Transport: tr, Insecure: []string{"registry.example"}})
	_, err = c.Repository(Name{"registry.example", "app"}, ModePull).Manifest(t.Context(), "1")
	if err == nil || !strings.Contains(err.Error(), "asks for credentials: set them in HTTP_PROXY") {
		t.Errorf("got %v", err)
	}
}
