package hosts

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDaemonAllows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "daemon.json")
	if err := os.WriteFile(file, []byte(`{"insecure-registries": ["a.example", "http://b.example:5000", "10.1.0.0/16", "fd00::/8", "", "x/y"], "debug": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	h := New(Files{Daemons: []string{file}})
	for host, want := range map[string]bool{
		"a.example": true, "A.example": true, "a.example:5000": false, "b.example:5000": true, "b.example": false,
		"10.1.2.3": true, "10.1.2.3:5000": true, "10.2.0.1": false, "[fd00::1]:5000": true, "[fe00::1]:5000": false, "": false,
	} {
		if got := h.daemonAllows(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}

func FuzzParseDaemon(f *testing.F) {
	f.Add([]byte(`{"insecure-registries": ["a", "10.0.0.0/8"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range parseDaemon(data) {
			if (e.name == "") != e.block.IsValid() {
				t.Errorf("%+v", e)
			}
		}
	})
}
