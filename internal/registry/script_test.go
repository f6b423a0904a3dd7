package registry

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// step is one request that a scripted server expects and how it answers.
type step struct {
	want string // "METHOD /path", the path may end in *
	// auth is the Authorization header that must come along; "" means none.
	auth   string
	header string // "Name: value" that must come along
	status int
	answer []string // "Name: value"
	body   string
	cut    bool // close the connection instead of an answer, or in its middle
	hang   bool // say nothing until the client goes away
}

// script is a server that answers by a list and fails the test for anything
// else. HOST in its texts is its own address.
type script struct {
	t     *testing.T
	srv   *httptest.Server
	host  string
	mu    sync.Mutex
	steps []step
	n     int
}

func newScript(t *testing.T, steps ...step) *script {
	t.Helper()
	s := &script{t: t, steps: steps}
	s.srv = httptest.NewServer(s)
	s.host = strings.TrimPrefix(s.srv.URL, "http://")
	t.Cleanup(s.finish)
	return s
}

func (s *script) finish() {
	s.srv.CloseClientConnections()
	s.srv.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, left := range s.steps[s.n:] {
		s.t.Errorf("request %d was not made: %s", s.n+1, left.want)
	}
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	if s.n == len(s.steps) {
		s.mu.Unlock()
		s.t.Errorf("unexpected request %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	st := s.steps[s.n]
	s.n++
	s.mu.Unlock()
	s.check(st, r)
	if st.hang {
		<-r.Context().Done()
		return
	}
	for _, h := range st.answer {
		k, v, _ := strings.Cut(strings.ReplaceAll(h, "HOST", s.host), ": ")
		w.Header().Add(k, v)
	}
	if st.status == 0 && st.cut {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(st.status)
	io.WriteString(w, strings.ReplaceAll(st.body, "HOST", s.host))
	if st.cut {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func (s *script) check(st step, r *http.Request) {
	got := r.Method + " " + r.URL.RequestURI()
	want, prefix := strings.CutSuffix(st.want, "*")
	if got != want && !(prefix && strings.HasPrefix(got, want)) {
		s.t.Errorf("request %d: got %s, want %s", s.n, got, st.want)
	}
	if a := r.Header.Get("Authorization"); a != st.auth {
		s.t.Errorf("request %d (%s): got Authorization %q, want %q", s.n, got, a, st.auth)
	}
	if k, v, found := strings.Cut(st.header, ": "); found && r.Header.Get(k) != v {
		s.t.Errorf("request %d (%s): got %s %q, want %q", s.n, got, k, r.Header.Get(k), v)
	}
	for _, h := range []string{"Cookie", "Referer"} {
		if v := r.Header.Get(h); v != "" {
			s.t.Errorf("request %d (%s): has %s %q", s.n, got, h, v)
		}
	}
}

// times repeats a step.
func times(n int, s step) []step {
	out := make([]step, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func join(parts ...[]step) []step {
	var out []step
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func digestHeader(content []byte) string {
	return fmt.Sprintf("Docker-Content-Digest: %s", blobOf(content, "").Digest)
}
