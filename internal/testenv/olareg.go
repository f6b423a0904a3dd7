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
	server := httptest.NewServer(oneUploadAtATime(registry))
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

// oneUploadAtATime lets uploads begin one after the other: olareg 0.2.2 makes
// a new repository's folder without a lock, which the race detector sees.
func oneUploadAtATime(next http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			defer mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}
