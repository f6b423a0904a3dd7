package registry

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// host is one registry: how it is reached, and what was found out about it.
type host struct {
	client   *Client
	addr     string // host[:port] of requests, lower case
	schemes  []string
	insecure bool // any certificate, and plain HTTP

	strict, lax *http.Client // with the registry's own certificates, else the client's

	pace   *pace // of requests, whatever they are for
	asks   slots // questions, whose answers are small
	reads  slots // downloads
	writes slots // uploads; apart from reads, as an upload may wait for one

	deciding slots // held by the request that finds the scheme out
	mounts   mountLog

	mu        sync.Mutex
	scheme    string     // empty until something answered
	challenge *challenge // what the registry asked for last
}

// newHost decides by the name alone how a registry may be spoken to: https
// with a valid certificate; for this machine http, then https; for those
// named as insecure https with any certificate, then http (dotnet/sdk,
// FallbackToHttpMessageHandler).
func newHost(c *Client, addr, registry string, insecure bool) *host {
	h := &host{
		client: c, addr: addr, schemes: []string{"https"}, strict: c.strict, lax: c.lax,
		asks:  newSlots(cmp.Or(c.limits.Requests, c.parallel)),
		reads: newSlots(cmp.Or(c.limits.Downloads, c.parallel)), writes: newSlots(cmp.Or(c.limits.Uploads, c.parallel)), deciding: newSlots(1),
	}
	if c.uploads.serial {
		h.writes = newSlots(1)
	}
	h.pace = c.paceOf(addr)
	h.pace.widen(cap(h.asks)+cap(h.reads)+cap(h.writes), cap(h.writes))
	switch {
	case isLoopback(addr):
		h.schemes, h.insecure = []string{"http", "https"}, true
	case insecure || c.isInsecure(addr) || c.isInsecure(registry):
		h.schemes, h.insecure = []string{"https", "http"}, true
	}
	return h
}

// isInsecure says whether any certificate of addr is good enough: it is this
// machine, or it was named.
func (c *Client) isInsecure(addr string) bool {
	return isLoopback(addr) || slices.ContainsFunc(c.insecure, func(s string) bool { return strings.EqualFold(s, addr) })
}

// httpClient is for requests to the registry itself.
func (h *host) httpClient() *http.Client {
	if h.insecure {
		return h.lax
	}
	return h.strict
}

// elsewhere is for requests to another server that the registry sends to, such
// as where its uploads go. What vouches for the registry vouches for that too,
// as with Docker and Podman; its certificate must be valid unless that server
// itself was named as insecure.
func (h *host) elsewhere(addr string) *http.Client {
	if h.client.isInsecure(addr) {
		return h.lax
	}
	return h.strict
}

// slots limit how many may do something at once.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

func (s slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) release() { <-s }

func (h *host) settled() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scheme
}

func (h *host) settle(scheme string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scheme = scheme
}

func (h *host) lastChallenge() *challenge {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.challenge
}

func (h *host) setChallenge(c *challenge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.challenge = c
}

// base is the root of the registry under a scheme.
func (h *host) base(scheme string) *url.URL { return &url.URL{Scheme: scheme, Host: h.addr} }

// owns says whether u leads to the registry itself, so that credentials may
// go there.
func (h *host) owns(u *url.URL) bool {
	scheme := h.settled()
	return scheme != "" && sameOrigin(u, h.base(scheme))
}

// send sends q once, under the scheme that is known to work; the first
// request finds it out and the others wait for it.
func (h *host) send(ctx context.Context, q *request, authorization string) (*http.Response, error) {
	if q.url != nil && !h.owns(q.url) {
		return h.client.exchange(ctx, h.elsewhere(q.url.Host), q.url, q, "")
	}
	return h.pace.send(ctx, h.pace.lane(q), q, func() (*http.Response, error) { return h.sendNow(ctx, q, authorization) })
}

// sendNow is send when it is the request's turn.
func (h *host) sendNow(ctx context.Context, q *request, authorization string) (*http.Response, error) {
	if q.url != nil {
		return h.client.exchange(ctx, h.httpClient(), q.url, q, authorization)
	}
	if len(h.schemes) == 1 {
		h.settle(h.schemes[0])
	}
	if scheme := h.settled(); scheme != "" {
		return h.sendBy(ctx, scheme, q, authorization)
	}
	if err := h.deciding.acquire(ctx); err != nil {
		return nil, err
	}
	defer h.deciding.release()
	if scheme := h.settled(); scheme != "" {
		return h.sendBy(ctx, scheme, q, authorization)
	}
	return h.decide(ctx, q)
}

func (h *host) sendBy(ctx context.Context, scheme string, q *request, authorization string) (*http.Response, error) {
	u := h.base(scheme)
	path, query, _ := strings.Cut(q.path, "?")
	u.Path, u.RawQuery = "/v2/"+path, query
	return h.client.exchange(ctx, h.httpClient(), u, q, authorization)
}

// decide tries the schemes in order. No credentials are sent before a scheme
// has answered.
func (h *host) decide(ctx context.Context, q *request) (*http.Response, error) {
	var problems []error
	for i, scheme := range h.schemes {
		res, err := h.sendBy(ctx, scheme, q, "")
		switch {
		case err == nil && scheme == "http" && i+1 < len(h.schemes) && speaksTLS(res):
			problems = append(problems, h.client.statusError(res))
			continue
		case err == nil:
			h.settle(scheme)
			return res, nil
		case ctx.Err() != nil || isSourceError(err):
			return nil, err
		}
		problems = append(problems, err)
	}
	return nil, worstOf(problems)
}

// speaksTLS knows the answer of a TLS server to plain HTTP: 400, and nothing
// of a registry about it.
func speaksTLS(res *http.Response) bool {
	if res.StatusCode != http.StatusBadRequest || res.Header.Get("Docker-Distribution-Api-Version") != "" {
		return false
	}
	buffered(res)
	body, _ := io.ReadAll(res.Body)
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	codes, _ := parseErrors(body)
	return len(codes) == 0
}

// worstOf returns what an answer made us refuse, else an error that may pass
// before one that cannot: of a server that restarts, one scheme may have been
// refused and the other cut off.
func worstOf(problems []error) error {
	for _, err := range problems {
		var policy *policyError
		if errors.As(err, &policy) {
			return err
		}
	}
	for _, err := range problems {
		var u *unreachableError
		if !errors.As(err, &u) || !u.fixed {
			return err
		}
	}
	return problems[0]
}
