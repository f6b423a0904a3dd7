package testenv

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
)

// Registries start the two that whatever speaks the protocol is tried
// against: docker-registry has no list of referrers, and olareg has one.
var Registries = map[string]func(testing.TB) *Registry{
	"docker-registry": func(t testing.TB) *Registry { return StartRegistry(t) },
	"olareg":          StartOlareg,
}

// StartOlareg serves olareg, a strict registry, in this process. It needs no
// tool.
func StartOlareg(t testing.TB) *Registry {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "storage")
	on := true
	registry := olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreDir, RootDir: dir},
		API:     config.ConfigAPI{DeleteEnabled: &on},
	})
	server := httptest.NewServer(oneAtATime(registry))
	stop := func() {
		server.Close()
		if err := registry.Close(); err != nil {
			t.Error(err)
		}
	}
	r := &Registry{
		t: t, host: strings.TrimPrefix(server.URL, "http://"), scheme: "http", dir: dir,
		client: server.Client(), sign: unsigned, stop: onceOnly(stop),
	}
	t.Cleanup(r.stop)
	return r
}

// oneAtATime lets uploads begin, and manifests be written, one after the
// other: olareg 0.2.2 makes a new repository's folder, and changes the index
// that readers have a shallow copy of, without a lock, which the race
// detector sees.
func oneAtATime(next http.Handler) http.Handler {
	var mu sync.RWMutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		manifest := strings.Contains(r.URL.Path, "/manifests/")
		switch {
		case r.Method == http.MethodPost, manifest && r.Method != http.MethodGet && r.Method != http.MethodHead:
			mu.Lock()
			defer mu.Unlock()
		case manifest:
			mu.RLock()
			defer mu.RUnlock()
		}
		next.ServeHTTP(w, r)
	})
}
