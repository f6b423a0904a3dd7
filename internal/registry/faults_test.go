package registry

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// faults are what can happen to a request between here and a registry.
var faults = []string{"abort before", "abort after", "cut", "500", "502 page", "503", "429", "stall"}

// faulty stands before a registry and spoils chosen requests.
type faulty struct {
	t      *testing.T
	target string
	host   string
	client *http.Client
	mu     sync.Mutex
	n      int
	choose func(n int) string // fault of the n-th request, "" for none
}

func newFaulty(t *testing.T, reg *testenv.Registry, choose func(int) string) *faulty {
	f := &faulty{t: t, target: reg.Host(), client: &http.Client{Transport: &http.Transport{}}, choose: choose}
	srv := httptest.NewServer(f)
	f.host = strings.TrimPrefix(srv.URL, "http://")
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		f.client.CloseIdleConnections()
	})
	return f
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.n++
	fault := f.choose(f.n)
	f.mu.Unlock()
	switch fault {
	case "abort before":
		panic(http.ErrAbortHandler)
	case "stall":
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	case "500":
		w.WriteHeader(500)
		io.WriteString(w, `{"errors":[{"code":"INTERNAL","message":"oh"}]}`)
		return
	case "502 page":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(502)
		io.WriteString(w, "<html>bad gateway</html>")
		return
	case "503", "429":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(map[string]int{"503": 503, "429": 429}[fault])
		return
	}
	res, body := f.forward(r)
	if res == nil || fault == "abort after" {
		panic(http.ErrAbortHandler)
	}
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	if fault == "cut" {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(body)
}

func (f *faulty) forward(r *http.Request) (*http.Response, []byte) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", f.target, ""
	res, err := f.client.Do(out)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil
	}
	return res, body
}

// publish pushes an image the way the product does and reads it back, in
// that order with nothing at the same time.
func publish(t *testing.T, c *Client, host, repository string, base, config, layer []byte) error {
	r := c.Repository(Name{host, repository}, ModePush)
	for _, b := range []BlobSource{blobOf(base, "base"), blobOf(layer, repository), blobOf(config, "")} {
		if _, err := r.PushBlob(t.Context(), b, nil); err != nil {
			return err
		}
	}
	m := imageOf(config, base, layer)
	if err := r.PushManifest(t.Context(), "1", OCIManifest, m); err != nil {
		return err
	}
	got, err := r.Manifest(t.Context(), "1")
	if err != nil {
		return err
	}
	if !bytes.Equal(got.Body, m) {
		t.Errorf("%s: got another manifest", repository)
	}
	for _, want := range [][]byte{base, layer, config} {
		b, err := readBlob(t, r, want)
		if err != nil {
			return err
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%s: got another blob", repository)
		}
	}
	return nil
}

// TestEachFaultOnce spoils each request of a publish in each way: all
// succeed, and what lies in the registry is right.
func TestEachFaultOnce(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base, layer := noise(1, 40_000), noise(2, 60_000)
	mustPush(t, New(Options{}).Repository(Name{reg.Host(), "base"}, ModePush), blobOf(base, ""))
	count := 0
	f := newFaulty(t, reg, func(int) string { return "" })
	run := func(name, fault string) {
		c, _, _ := testClient(t, nil, Options{})
		if fault == "stall" {
			c.stall = 300 * time.Millisecond
		}
		f.n = 0
		// a configuration of its own makes each publish a cold one
		if err := publish(t, c, f.host, name, base, []byte(name), layer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		count = max(count, f.n)
	}
	run("none", "")
	requests := count
	for n := 1; n <= requests; n++ {
		for i, fault := range faults {
			f.mu.Lock()
			f.choose = func(k int) string {
				if k == n {
					return fault
				}
				return ""
			}
			f.mu.Unlock()
			if fault == "500" || fault == "503" { // handled as 502 and 429 are
				continue
			}
			if fault == "stall" && n > 3 && n < requests { // takes real time: a mount, a POST, a PUT and a GET will do
				continue
			}
			run(fmt.Sprintf("fault%d/at%d", i, n), fault)
		}
	}
	if requests < 10 {
		t.Errorf("%d requests: this test does not do what it says", requests)
	}
}

// TestRandomFaults spoils a tenth of all requests.
func TestRandomFaults(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := noise(1, 40_000)
	mustPush(t, New(Options{}).Repository(Name{reg.Host(), "base"}, ModePush), blobOf(base, ""))
	random := rand.New(rand.NewPCG(1, 2))
	f := newFaulty(t, reg, func(int) string {
		if random.IntN(10) == 0 {
			return faults[random.IntN(len(faults)-1)] // not the stall: it takes real time
		}
		return ""
	})
	const runs = 20
	failed := 0
	for i := range runs {
		c, _, _ := testClient(t, nil, Options{})
		if err := publish(t, c, f.host, fmt.Sprintf("app%d", i), base, noise(uint64(i), 10), noise(uint64(i+1000), 20_000)); err != nil {
			t.Log(err)
			failed++
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d publishes failed", failed, runs)
	}
}
