// Package registry speaks the OCI distribution protocol to image registries:
// manifests, blobs, uploads, and the authentication that they ask for.
//
// It is the only package that does. The rules come from the distribution
// specification 1.1, from what registries in use were measured to do, and,
// where a user of the .NET SDK would notice a difference, from the SDK: names
// of variables, precedence of credentials, and codes of errors.
//
// Three things hold everywhere. Content is named by its digest and counts
// only when it hashes to it, whatever a header says. Nothing that was asked
// for with credentials sends them to another host. And an answer that may
// pass (429, 5xx, a broken connection) is asked for again, with a limit, but
// never taken for "it is not there".
//
// The files: name (references), credentials and dockerconfig (who we are),
// challenge, auth and token (how we prove it), transport and host (how bytes
// travel), network and mirror (where content is read from), retry (what is
// repeated), pace and quota (how fast), manifest, blob, upload and referrers (the verbs),
// errors (what a person reads).
package registry

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Mode says what a registry is used for, which decides the
// DOTNET_CONTAINER_* variables that count (dotnet/sdk, RegistryMode).
type Mode int

const (
	// ModePull reads from a registry that is not the destination.
	ModePull Mode = iota
	// ModePush writes to the destination.
	ModePush
	// ModePullFromOutput reads a base image from the destination's registry.
	ModePullFromOutput
	// ModePushElsewhere writes to a further destination, in another registry:
	// the variables name no registry, and those of the destination's account
	// are not sent to another.
	ModePushElsewhere
	// modeElsewhere reads from a registry that the user did not name: a
	// mirror, or where the configuration says that content lies.
	modeElsewhere
)

// DefaultParallel is Options.Parallel where that is 0.
const DefaultParallel = 8

// Options configure a Client. The zero value is usable: no credentials, the
// default transport, no log.
type Options struct {
	// Getenv reads the environment: DOTNET_CONTAINER_*, DOCKER_CONFIG, HOME
	// and so on. Nil means an empty environment.
	Getenv func(string) string
	// Transport sends requests. Nil means one with timeouts and the proxies
	// of the process's environment. Insecure registries get a copy of an
	// *http.Transport that accepts any certificate.
	Transport http.RoundTripper
	// Insecure lists host[:port] names that may be spoken to without a valid
	// certificate and over plain HTTP, beside
	// DOTNET_CONTAINER_INSECURE_REGISTRIES.
	Insecure []string
	// Log gets one line a request at debug level; secrets never reach it.
	// Nil discards.
	Log *slog.Logger
	// UserAgent is sent with every request; empty means "gantry".
	UserAgent string
	// Parallel is the number of questions, of downloads and of uploads at once
	// for one registry; 0 means DefaultParallel.
	Parallel int
	// Limits are what a user may change; the zero value is the default.
	Limits Limits
	// Network is what this machine's configuration says of registries; nil
	// means nothing.
	Network Network
	// Sleep pauses between the attempts of a request; nil means in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client talks to any number of registries. It is safe for concurrent use
// and holds the tokens, limits and findings of one process.
type Client struct {
	getenv   func(string) string
	log      *slog.Logger
	agent    string
	parallel int
	insecure []string
	uploads  uploadSettings
	strict   *http.Client // checks certificates
	lax      *http.Client // for insecure registries
	secrets  *secrets
	policy   retryPolicy
	stall    time.Duration
	limits   Limits
	network  Network

	pacing sync.Mutex // guards paces
	paces  map[string]*pace

	mu       sync.Mutex
	hosts    map[hostKey]*host
	down     map[string]bool // mirrors that could not be reached
	failed   map[failedAt]bool
	sessions map[sessionKey]*session
}

// New returns a client. It opens no connection and reads no file.
func New(o Options) *Client {
	c := &Client{
		getenv: o.Getenv, log: o.Log, agent: o.UserAgent, parallel: o.Parallel,
		secrets: &secrets{}, policy: defaultRetryPolicy(rand.Float64), stall: stallLimit,
		limits: o.Limits, network: o.Network,
		paces: map[string]*pace{}, hosts: map[hostKey]*host{}, down: map[string]bool{}, failed: map[failedAt]bool{}, sessions: map[sessionKey]*session{},
	}
	if o.Sleep != nil {
		c.policy.sleep = o.Sleep
	}
	if c.network == nil {
		c.network = openNetwork{}
	}
	if c.getenv == nil {
		c.getenv = func(string) string { return "" }
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.agent == "" {
		c.agent = "gantry"
	}
	if c.parallel <= 0 {
		c.parallel = DefaultParallel
	}
	c.insecure = append(splitList(c.getenv("DOTNET_CONTAINER_INSECURE_REGISTRIES")), o.Insecure...)
	c.uploads = uploadSettingsFrom(c.getenv)
	c.strict, c.lax = httpClients(o.Limits.transport(o.Transport, c.parallel))
	c.limit()
	return c
}

// splitList splits at semicolons (what the SDK reads) and commas (what its
// documentation says).
func splitList(s string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ',' }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Repository is one repository of one registry. It is safe for concurrent
// use.
type Repository struct {
	name    Name
	mode    Mode
	client  *Client
	host    *host
	session *session
	invalid error // the name cannot be used; every call returns it
	refused error // why it must not be asked itself, only its mirrors
	fixed   bool  // content is read here and nowhere else
	spare   bool  // there is another place after this one
}

// Repository returns the repository name for the use that mode tells. It
// sends nothing; a name that is not valid is reported by the first call.
func (c *Client) Repository(name Name, mode Mode) *Repository {
	name = NewName(name.Registry, name.Repository)
	insecure, err := c.network.Access(name)
	r := c.repository(name, mode, insecure)
	r.refused = err
	if r.mode == ModePush {
		return r.Itself()
	}
	return r
}

// Itself is the repository without the mirrors that may stand in for it.
func (r *Repository) Itself() *Repository {
	out := *r
	out.fixed = true
	out.invalid = cmp.Or(r.invalid, r.refused)
	return &out
}

func (c *Client) repository(name Name, mode Mode, insecure bool) *Repository {
	r := &Repository{name: name, mode: mode, client: c}
	if mode == ModePushElsewhere {
		r.mode = ModePush // but for the account, which is the session's matter
	}
	if r.invalid = ParseRegistry(name.Registry); r.invalid == nil {
		r.invalid = ParseRepository(name.Repository)
	}
	if r.invalid != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.host, r.invalid = c.hostLocked(name, insecure); r.invalid != nil {
		return r
	}
	key := sessionKey{host: r.host, repository: name.Repository, mode: mode}
	if c.sessions[key] == nil {
		c.sessions[key] = newSession(c, r.host, name, mode)
	}
	r.session = c.sessions[key]
	return r
}

// hostKey tells hosts apart: the configuration may allow a part of a registry
// to be insecure.
type hostKey struct {
	addr     string
	insecure bool
}

func (c *Client) hostLocked(name Name, insecure bool) (*host, error) {
	key := hostKey{name.requestHost(), insecure}
	if c.hosts[key] == nil {
		h := newHost(c, key.addr, name.Registry, insecure)
		own, err := c.network.Certificates(name.Registry)
		if err == nil && own != nil {
			h.strict, h.lax, err = c.withCertificates(own)
		}
		if err != nil {
			return nil, err
		}
		c.hosts[key] = h
	}
	return c.hosts[key], nil
}
