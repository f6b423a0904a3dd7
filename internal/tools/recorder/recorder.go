// Package recorder counts what goes through an HTTP server: requests, and
// bytes of their bodies. The demo, the bench and the tests look at a registry
// through it.
package recorder

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// Request is one request as the server saw it.
type Request struct {
	Method string
	// Path and Query as they were sent, still escaped.
	Path, Query string
	Header      http.Header
	// Status is 0 when the connection was cut before an answer.
	Status int
	// Up and Down are bytes of the request's and the answer's body.
	Up, Down int64
}

// String is one line for test logs. It shows no header.
func (r Request) String() string {
	path := r.Path
	if r.Query != "" {
		path += "?" + r.Query
	}
	return fmt.Sprintf("%s %s %d up=%d down=%d", r.Method, path, r.Status, r.Up, r.Down)
}

// Counts are sums over requests.
type Counts struct {
	Requests int   `json:"requests"`
	Up       int64 `json:"up"`
	Down     int64 `json:"down"`
}

// Recorder wraps a handler. It is safe for concurrent use.
type Recorder struct {
	next http.Handler

	mu       sync.Mutex
	requests []Request
}

// New records what goes to next.
func New(next http.Handler) *Recorder { return &Recorder{next: next} }

// ReverseProxy forwards to target, "http://host:port", and keeps the Host of
// the request, so that the Location of an upload leads through the proxy
// again.
func ReverseProxy(target string) (*httputil.ReverseProxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}, nil
}

// ServeHTTP serves and records one request, also one whose handler aborts.
func (c *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &countReader{ReadCloser: r.Body}
	r.Body = body
	out := &countWriter{ResponseWriter: w}
	rec := Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone()}
	defer func() {
		rec.Status, rec.Up, rec.Down = out.status, body.count(), out.n
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests = append(c.requests, rec)
	}()
	c.next.ServeHTTP(out, r)
	if out.status == 0 {
		out.status = http.StatusOK // a handler that writes nothing says so
	}
}

// Requests are the requests that ended since the start or the last Reset, in
// the order in which they ended.
func (c *Recorder) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Request(nil), c.requests...)
}

// Counts sums up the requests since the start or the last Reset.
func (c *Recorder) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	var n Counts
	for _, r := range c.requests {
		n.Requests++
		n.Up += r.Up
		n.Down += r.Down
	}
	return n
}

// Reset forgets the requests so far.
func (c *Recorder) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = nil
}

// countReader counts under a lock: a proxy's transport may still read while
// the handler has returned.
type countReader struct {
	io.ReadCloser
	mu sync.Mutex
	n  int64
}

func (r *countReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.mu.Lock()
	r.n += int64(n)
	r.mu.Unlock()
	return n, err
}

func (r *countReader) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

type countWriter struct {
	http.ResponseWriter
	status int
	n      int64
}

func (w *countWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // 1xx come before the answer
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the real writer.
func (w *countWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
