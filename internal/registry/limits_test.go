package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

func TestLimits(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	name := Name{Registry: strings.TrimPrefix(server.URL, "http://"), Repository: "app"}
	tests := map[string]struct {
		limits Limits
		want   int64
	}{
		"default":  {Limits{}, 6},
		"attempts": {Limits{Attempts: 2}, 2},
		"wait":     {Limits{Wait: 29 * time.Second}, 1},
		"budget":   {Limits{Budget: 80 * time.Second}, 3},
	}
	for what, test := range tests {
		asked.Store(0)
		c, _, _ := testClient(t, nil, Options{Limits: test.limits})
		_, err := c.Repository(name, ModePull).Manifest(t.Context(), "1")
		if got := asked.Load(); got != test.want || diag.ExitCode(err) != diag.ExitRetryable {
			t.Errorf("%s: asked %d times, want %d: %v", what, got, test.want, err)
		}
	}
	c, _, _ := testClient(t, nil, Options{Limits: Limits{Uploads: 3, Downloads: 5, Stall: time.Minute / 2}, Parallel: 7})
	if h := c.Repository(name, ModePush).host; cap(h.writes) != 3 || cap(h.reads) != 5 || cap(h.asks) != 7 || c.stall != time.Minute/2 {
		t.Errorf("%d uploads, %d downloads, %s", cap(h.writes), cap(h.reads), c.stall)
	}
}

// TestLimits_connect: a server that never answers the handshake is given up after the time that was set.
func TestLimits_connect(t *testing.T) {
	stop := make(chan struct{})
	silent := httptest.NewUnstartedServer(http.NotFoundHandler())
	t.Cleanup(func() { close(stop); silent.Listener.Close() })
	go func() { // accepts, and says nothing
		for {
			conn, err := silent.Listener.Accept()
			if err != nil {
				return
			}
			go func() { <-stop; conn.Close() }()
		}
	}()
	c := New(Options{Limits: Limits{Connect: 50 * time.Millisecond, Stall: 20 * time.Millisecond, Attempts: 1}})
	name := Name{Registry: silent.Listener.Addr().String(), Repository: "app"}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.Repository(name, ModePull).Manifest(ctx, "1"); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}

// Connections are kept for as many requests as there are at once.
func TestTransport_connections(t *testing.T) {
	const parallel, bursts = 64, 5
	var opened atomic.Int64
	all := &sync.WaitGroup{} // that have to be there before one is answered
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/burst") {
			all.Done()
			all.Wait()
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	repository := New(Options{Parallel: parallel}).Repository(Name{Registry: strings.TrimPrefix(server.URL, "http://"), Repository: "app"}, ModePull)
	ask := func(tag string) {
		if _, err := repository.HeadManifest(t.Context(), tag); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	for range parallel { // with whose answers the number at once grows
		ask("1")
	}
	for range bursts {
		all.Add(parallel)
		var asked sync.WaitGroup
		for range parallel {
			asked.Go(func() { ask("burst") })
		}
		asked.Wait()
	}
	if n := opened.Load(); n > 2*parallel {
		t.Errorf("%d connections for %d requests at once", n, parallel)
	}
}
