package testenv

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// Fault is what the proxy does to one request. The zero Fault does nothing.
type Fault struct {
	// Status answers so with Header and Body, and the registry never sees
	// the request.
	Status int
	Header http.Header
	Body   string
	// Pass, with Status or Drop, lets the registry do the work first and
	// loses its answer.
	Pass bool
	// Drop cuts the connection without an answer.
	Drop bool
	// CutUpload cuts the connection after so many bytes of the request's
	// body; the registry sees a cut too.
	CutUpload int64
	// CutDownload cuts the connection after so many bytes of the answer's
	// body.
	CutDownload int64
	// Corrupt flips a bit of the first byte of the answer's body.
	Corrupt bool
	// Delay is added before anything else.
	Delay time.Duration
	// Wait holds the request until the channel is closed, or the client
	// gives up.
	Wait <-chan struct{}
	// Turn is held while the request is served: those that share one come
	// to the registry one after the other.
	Turn *sync.Mutex
}

// Proxy stands in front of a registry, records each request and can do harm.
type Proxy struct {
	*recorder.Recorder
	registry *Registry
	host     string
	forward  http.Handler

	mu      sync.Mutex
	fault   func(*http.Request) *Fault
	latency time.Duration
}

// StartProxy serves on loopback in front of a registry without TLS, until the
// test ends.
func StartProxy(t testing.TB, r *Registry) *Proxy {
	t.Helper()
	forward, err := recorder.ReverseProxy(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	forward.Transport = transport
	forward.ErrorLog = log.New(io.Discard, "", 0)
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {
		panic(http.ErrAbortHandler) // a cut connection, not a 502 of our making
	}
	p := &Proxy{registry: r, forward: forward}
	p.Recorder = recorder.New(http.HandlerFunc(p.serve))
	server := httptest.NewServer(p.Recorder)
	p.host = strings.TrimPrefix(server.URL, "http://")
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("requests through the proxy:\n%s", p.Log())
		}
	})
	return p
}

// Host is "127.0.0.1:PORT".
func (p *Proxy) Host() string { return p.host }

// LocalHost is "localhost:PORT".
func (p *Proxy) LocalHost() string { return strings.Replace(p.host, "127.0.0.1", "localhost", 1) }

// URL is "http://" and Host.
func (p *Proxy) URL() string { return "http://" + p.host }

// Registry is what stands behind the proxy.
func (p *Proxy) Registry() *Registry { return p.registry }

// Reference is "HOST/REPOSITORY:TAG" or "HOST/REPOSITORY@DIGEST".
func (p *Proxy) Reference(repository, tagOrDigest string) string {
	return strings.Replace(p.registry.Reference(repository, tagOrDigest), p.registry.Host(), p.host, 1)
}

// Inject has f decide about each request from now on; nil ends it. f is
// called for one request at a time, before the body is read.
func (p *Proxy) Inject(f func(*http.Request) *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Latency delays each request.
func (p *Proxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Log is one line a request, for messages of tests.
func (p *Proxy) Log() string {
	var b strings.Builder
	for _, r := range p.Requests() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// Times gives a fault to the first n requests of a method whose path contains
// a string, and to no other; an empty method or string is any.
func Times(n int, method, path string, fault Fault) func(*http.Request) *Fault {
	return func(r *http.Request) *Fault {
		if n == 0 || method != "" && r.Method != method || !strings.Contains(r.URL.Path, path) {
			return nil
		}
		n--
		f := fault
		return &f
	}
}

func (p *Proxy) decide(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &Fault{}
	if p.fault != nil {
		if f = p.fault(r); f == nil {
			f = &Fault{}
		}
	}
	d := *f
	d.Delay += p.latency
	return d
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	f := p.decide(r)
	if !hold(r, f) {
		panic(http.ErrAbortHandler)
	}
	if f.Turn != nil {
		f.Turn.Lock()
		defer f.Turn.Unlock()
	}
	if f.Pass {
		p.forward.ServeHTTP(httptest.NewRecorder(), r)
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body) // the client may be gone
		return
	}
	if f.CutUpload > 0 {
		r.Body = &cutReader{ReadCloser: r.Body, left: f.CutUpload}
	}
	if f.CutDownload > 0 || f.Corrupt {
		w = &harmWriter{ResponseWriter: w, left: f.CutDownload, cut: f.CutDownload > 0, corrupt: f.Corrupt}
	}
	p.forward.ServeHTTP(w, r)
}

// hold waits as the fault says; false when the client gave up.
func hold(r *http.Request, f Fault) bool {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return false
		}
	}
	if f.Wait != nil {
		select {
		case <-f.Wait:
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// cutReader ends a body before its end.
type cutReader struct {
	io.ReadCloser
	left int64
}

func (r *cutReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

// harmWriter cuts the answer's body, or damages it.
type harmWriter struct {
	http.ResponseWriter
	left         int64
	cut, corrupt bool
}

func (w *harmWriter) Write(p []byte) (int, error) {
	if w.corrupt && len(p) > 0 {
		p = append([]byte(nil), p...)
		p[0] ^= 1
		w.corrupt = false
	}
	if !w.cut {
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err == nil && w.left <= 0 {
		// what was written so far must reach the client before the cut
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Unwrap gives http.ResponseController the real writer.
func (w *harmWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
