// Package memregistry is a registry in memory that answers after a while and counts what it is asked: what a measurement asks in place of one
// that is far away. It serves the reading half of the distribution specification 1.1 over HTTP. Content comes into it by the methods of a
// Repository, which neither wait nor count.
package memregistry

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// pageSize is how many tags or referrers are on a page at most.
const pageSize = 1000

// Registry is one. It is safe for concurrent use.
type Registry struct {
	server  *httptest.Server
	latency atomic.Int64 // nanoseconds

	mu    sync.Mutex
	repos map[string]*Repository

	asked     []Request
	now, most int
}

// Request is one that was answered.
type Request struct {
	Method, Repository string
	// Kind is manifests, blobs, tags or referrers; empty for any other request. Reference is what is behind it.
	Kind, Reference string
}

// Start starts one on loopback. Close ends it.
func Start() *Registry {
	r := &Registry{repos: map[string]*Repository{}}
	r.server = httptest.NewServer(r)
	return r
}

// Close ends the server.
func (r *Registry) Close() { r.server.Close() }

// Host is where it listens, as "127.0.0.1:PORT".
func (r *Registry) Host() string { return strings.TrimPrefix(r.server.URL, "http://") }

// Begin forgets the requests so far and sets how long each of the next ones is held.
func (r *Registry) Begin(latency time.Duration) {
	r.latency.Store(int64(latency))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.most = nil, r.now
}

// Asked are the requests since Begin, in the order in which they came, and how many there were at the same time at most.
func (r *Registry) Asked() (all []Request, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked), r.most
}

// Hold forgets what is in the registry until the function that it returns is called.
func (r *Registry) Hold(but func(repository string) bool) (back func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.repos
	r.repos = maps.Clone(all)
	maps.DeleteFunc(r.repos, func(name string, _ *Repository) bool { return !but(name) })
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.repos = all
	}
}

// Repository is a repository of the name; it is made when it is not there.
func (r *Registry) Repository(name registry.Name) *Repository {
	r.mu.Lock()
	defer r.mu.Unlock()
	repo := r.repos[name.Repository]
	if repo == nil {
		repo = &Repository{
			name: name, tags: map[string]cas.Digest{}, manifests: map[cas.Digest]*registry.Manifest{}, blobs: map[cas.Digest][]byte{},
			attached: map[cas.Digest][]registry.Referrer{},
		}
		r.repos[name.Repository] = repo
	}
	return repo
}

// ServeHTTP answers one request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name, kind, ref := split(req.URL.Path)
	r.mu.Lock()
	r.asked = append(r.asked, Request{req.Method, name, kind, ref})
	r.now++
	r.most = max(r.most, r.now)
	repo := r.repos[name]
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	time.Sleep(time.Duration(r.latency.Load()))
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
	case kind == "":
		w.WriteHeader(http.StatusOK)
	case repo == nil:
		fail(w, http.StatusNotFound, "NAME_UNKNOWN")
	default:
		repo.serve(w, req, kind, ref)
	}
}

// split finds the repository, the kind of what is asked for, and its name.
func split(path string) (name, kind, ref string) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, kind := range []string{"manifests", "blobs", "referrers", "tags"} {
		if name, ref, ok := strings.Cut(path, "/"+kind+"/"); ok {
			return name, kind, ref
		}
	}
	return "", "", ""
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"not here"}]}`, code)
}

// serve answers for one repository.
func (r *Repository) serve(w http.ResponseWriter, req *http.Request, kind, ref string) {
	switch kind {
	case "manifests":
		m, err := r.Manifest(req.Context(), ref)
		if err != nil {
			fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
			return
		}
		w.Header()["Docker-Content-Digest"] = []string{string(m.Digest)}
		send(w, req, m.MediaType, m.Body)
	case "blobs":
		body, ok := r.blob(cas.Digest(ref))
		if !ok {
			fail(w, http.StatusNotFound, "BLOB_UNKNOWN")
			return
		}
		send(w, req, "application/octet-stream", body)
	case "tags":
		r.serveTags(w, req)
	default:
		list, _ := r.Referrers(req.Context(), cas.Digest(ref), req.URL.Query().Get("artifactType"))
		send(w, req, registry.OCIIndex, referrersIndex(list))
	}
}

func (r *Repository) serveTags(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n <= 0 || n > pageSize {
		n = pageSize
	}
	tags := r.sortedTags()
	at, found := slices.BinarySearch(tags, q.Get("last"))
	if found {
		at++
	}
	page := tags[at:min(at+n, len(tags))]
	if at+n < len(tags) {
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?n=%d&last=%s>; rel="next"`, r.name.Repository, n, page[len(page)-1]))
	}
	send(w, req, "application/json", tagsDocument(r.name.Repository, page))
}

func send(w http.ResponseWriter, req *http.Request, mediaType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{mediaType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away needs no answer
	}
}
