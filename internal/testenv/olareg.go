package testenv

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
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
	server := httptest.NewServer(registry)
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
