package registry_test

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/registry"
)

// A password that somebody wrote into a name is in no error, and what is no password stays readable.
func TestNames_withPasswords(t *testing.T) {
	for _, name := range []string{"u:Pw7@host:5000/x", "https://u:Pw7@host/x", "u:Pw7@host/r:1", "u:a@Pw7@host/x", "u:Pw7@host:5000", "u:Pw7@localhost/x"} {
		_, reference := registry.ParseReference(name)
		_, destination := registry.ParseDestination(name)
		for _, err := range []error{reference, destination, registry.ParseRegistry(name)} {
			if err == nil || strings.Contains(err.Error(), "Pw7") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"host/r:tag@sha256:abcdef12", "r:tag@md5:0123456789"} {
		if _, err := registry.ParseReference(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := registry.ParseDestination("https://host/x"); err == nil || !strings.Contains(err.Error(), "scheme") {
		t.Error(err)
	}
}
