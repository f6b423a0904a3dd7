package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// strained is a registry that turns requests away. Of every tag it says that it names testTag's digest.
type strained struct {
	host   string
	tooFar func(now int, answered int, at time.Time) bool // with the registry locked
	only   func(path string) bool                         // in the place of tooFar
	refuse http.Header

	clock  func() time.Time
	tokens bool   // asks for one
	stop   func() // ends it, and what is under way before that

	mu                       sync.Mutex
	now                      int
	asked, answered, refused int
}

func newStrained(t *testing.T, refuse ...string) *strained {
	s := &strained{refuse: http.Header{}, clock: time.Now}
	for k := 0; k < len(refuse); k += 2 {
		s.refuse.Set(refuse[k], refuse[k+1])
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.stop, s.host = server.Close, strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *strained) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	s.now++
	refused := s.only != nil && s.only(r.URL.Path) || s.only == nil && s.tooFar(s.now, s.answered, s.clock())
	if refused {
		s.refused++
	} else {
		s.answered++
	}
	s.mu.Unlock()
	time.Sleep(time.Millisecond) // so that there are several at once
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if refused {
		for k, v := range s.refuse {
			w.Header()[k] = v
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	switch {
	case r.URL.Path == "/token":
		fmt.Fprint(w, `{"token": "t"}`)
		return
	case s.tokens && r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+s.host+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.Method == http.MethodPut:
		w.WriteHeader(http.StatusCreated)
		return
	}
	w.Header().Set("Content-Type", OCIManifest)
	number := r.URL.Path[strings.LastIndex(r.URL.Path, "-")+1:]
	w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 58)+fmt.Sprintf("%06s", number))
	w.Header().Set("Content-Length", "2")
}

// ask asks for n tags, 64 at once, and returns the first error.
func (s *strained) ask(t *testing.T, c *Client, n int) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for k := range next {
				d, err := c.Repository(Name{s.host, fmt.Sprintf("app%d", k%160)}, ModePull).HeadManifest(ctx, fmt.Sprintf("tag-%d", k))
				if want := fmt.Sprintf("%06d", k); err == nil && !strings.HasSuffix(string(d.Digest), want) {
					err = fmt.Errorf("tag %d is %s", k, d.Digest)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
