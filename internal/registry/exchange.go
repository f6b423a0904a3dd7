package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stallLimit is how long a connection may stand still before it counts
	// as broken.
	stallLimit = 60 * time.Second
	// commitFactor times stallLimit is how long a server may think after it
	// has a whole upload: it moves and hashes it.
	commitFactor = 5
)

var errStalled = errors.New("the connection stands still")

// request is what is asked of a registry, in a form that can be sent any
// number of times.
type request struct {
	method string
	path   string   // below the registry's /v2/, with query
	url    *url.URL // instead of path: where an upload's Location or a realm leads
	header http.Header
	body   func(context.Context) (io.ReadCloser, error) // nil means none
	size   int64                                        // of body, bytes
	scopes []string                                     // what the token must allow, the main one first
	// takes is how long the exchange may last: a token should outlive it.
	takes time.Duration
}

// exchange sends q once to an address. The answer's body is guarded: reading
// from a server that says nothing ends with an error.
func (c *Client) exchange(caller context.Context, client *http.Client, u *url.URL, q *request, authorization string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(caller)
	guard := &watchdog{cancel: cancel, limit: c.stall}
	req, err := c.newRequest(ctx, u, q, authorization, guard)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	guard.arm()
	res, err := client.Do(req)
	guard.disarm()
	if failed := guard.sourceFailure(); failed != nil {
		if res != nil {
			res.Body.Close()
		}
		cancel(nil)
		return nil, failed
	}
	if err != nil {
		if context.Cause(ctx) == errStalled {
			err = errStalled
		}
		cancel(nil)
		err = c.classify(caller, q.method, u, err)
		c.log.DebugContext(ctx, "request failed", "method", q.method, "url", redactURL(u), "reason", err.Error())
		return nil, err
	}
	if res.StatusCode == http.StatusProxyAuthRequired { // of a proxy for plain HTTP; with TLS it is checkProxyAnswer's
		res.Body.Close()
		cancel(nil)
		return nil, refuse("the proxy to %s asks for credentials: set them in HTTP_PROXY", u.Host)
	}
	c.log.DebugContext(ctx, "request", "method", q.method, "url", redactURL(u), "status", res.StatusCode)
	res.Body = &guardedBody{ctx: ctx, body: res.Body, guard: guard, cancel: cancel}
	return res, nil
}

func (c *Client) newRequest(ctx context.Context, u *url.URL, q *request, authorization string, guard *watchdog) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), nil)
	if err != nil {
		return nil, refuse("the address %s cannot be asked", redactURL(u))
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", c.agent)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if q.body == nil {
		return req, nil
	}
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := q.body(ctx)
		if err != nil {
			return nil, &sourceError{err: err}
		}
		if q.size == 0 {
			body.Close()
			return http.NoBody, nil
		}
		return &uploadBody{ctx: ctx, body: body, guard: guard, left: q.size}, nil
	}
	if req.Body, err = req.GetBody(); err != nil {
		return nil, err
	}
	req.ContentLength = q.size
	return req, nil
}

// watchdog ends an exchange that stands still. It runs only while the network
// is waited for: a slow disk or a slow reader is not the registry's fault.
type watchdog struct {
	cancel context.CancelCauseFunc
	limit  time.Duration
	mu     sync.Mutex
	timer  *time.Timer
	source error // the content of an upload could not be read
}

// sourceError says that what was to be uploaded could not be read: trying
// again with the registry does not help.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func isSourceError(err error) bool {
	var s *sourceError
	return errors.As(err, &s)
}

func (w *watchdog) sourceFailure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.source
}

func (w *watchdog) failSource(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.source == nil {
		w.source = &sourceError{err: err}
	}
}

func (w *watchdog) arm() { w.armFor(w.limit) }

func (w *watchdog) armFor(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		w.timer = time.AfterFunc(d, func() { w.cancel(errStalled) })
		return
	}
	w.timer.Reset(d)
}

func (w *watchdog) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// uploadBody is the body of a request under a watchdog.
type uploadBody struct {
	ctx    context.Context // of the exchange, to tell why a read failed
	body   io.ReadCloser
	guard  *watchdog
	left   int64
	closed atomic.Bool
}

func (b *uploadBody) Read(p []byte) (int, error) {
	b.guard.disarm()
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF && !b.closed.Load() && b.ctx.Err() == nil {
		b.guard.failSource(err)
	}
	if b.left -= int64(n); b.left <= 0 {
		b.guard.armFor(commitFactor * b.guard.limit)
	} else {
		b.guard.arm()
	}
	return n, err
}

func (b *uploadBody) Close() error {
	b.closed.Store(true)
	return b.body.Close()
}

// guardedBody is the body of an answer under a watchdog.
type guardedBody struct {
	ctx    context.Context // of the exchange, to tell why a read failed
	body   io.ReadCloser
	guard  *watchdog
	cancel context.CancelCauseFunc
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.guard.arm()
	n, err := b.body.Read(p)
	b.guard.disarm()
	if err != nil && err != io.EOF && context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.guard.disarm()
	err := b.body.Close()
	b.cancel(nil)
	return err
}

// buffered reads what is left of an answer, up to the size of an error's
// body, so that its connection is free and it can be looked at later.
func buffered(res *http.Response) *http.Response {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return res
}
