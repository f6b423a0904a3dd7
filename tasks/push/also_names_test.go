package push_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// TestAlso_invalid: a name that cannot be meant is told before anything is asked or sent.
func TestAlso_invalid(t *testing.T) {
	for text, want := range map[string]struct {
		code diag.Code
		says string
	}{
		"team/shop":               {diag.InvalidValue, "names no registry"},
		"shop":                    {diag.InvalidValue, "names no registry"},
		"r.example":               {diag.InvalidValue, "names no registry"},
		"r.example/shop:1.0":      {diag.InvalidValue, "has a tag or digest"},
		"r.example/shop@sha256:0": {diag.InvalidValue, "has a tag or digest"},
		"https://r.example/shop":  {diag.InvalidRegistry, "https:"},
		"r.example/Shop":          {diag.InvalidRepository, "Shop"},
		"r.example/":              {diag.InvalidRepository, `""`},
		"r_x.example:y/shop":      {diag.InvalidRegistry, "r_x.example:y"},
		"r.example/shop;r.b/shop": {diag.InvalidRepository, "shop;r.b/shop"},
	} {
		req := pushRequest("r.example", "app", "1")
		req.AlsoPushTo = []string{"good.example/app", text}
		if err := req.Validate(); diag.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v; want %s with %q", text, err, want.code, want.says)
		}
	}
	settings := tasks.PushSettings{AlsoPushTo: []string{"docker.io/shop", "index.docker.io/library/shop", "R.example/shop", "r.EXAMPLE/shop", "a.example/x"}}
	others := settings.Others(registry.NewName("a.example", "x"))
	if diff := cmp.Diff([]registry.Name{{Registry: "docker.io", Repository: "library/shop"}, {Registry: "R.example", Repository: "shop"}}, others); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
}

// TestAlso_credentials: the account in the variables is that of the first destination's registry and is shown to no other, whose account
// comes from Docker's configuration.
func TestAlso_credentials(t *testing.T) {
	a := testenv.StartRegistry(t, testenv.WithHtpasswd("first", "first-secret"))
	b := testenv.StartRegistry(t, testenv.WithHtpasswd("second", "second-secret"))
	base := testenv.PushTinyBase(t, a, "base", "1", basemaker.TinyOptions{})
	s := &several{newPipeline(t), testenv.StartProxy(t, a), testenv.StartProxy(t, b)}
	config := t.TempDir()
	writeConfig := func(auths string) {
		if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(`{"auths":{`+auths+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		s.client = registry.New(registry.Options{Getenv: func(name string) string {
			return map[string]string{
				"DOTNET_CONTAINER_REGISTRY_UNAME": "first", "DOTNET_CONTAINER_REGISTRY_PWORD": "first-secret",
				"DOTNET_CONTAINER_PULL_REGISTRY_UNAME": "first", "DOTNET_CONTAINER_PULL_REGISTRY_PWORD": "first-secret",
				"DOCKER_CONFIG": config,
			}[name]
		}})
	}
	var mu sync.Mutex
	shown := map[string]bool{}
	s.second.Inject(func(r *http.Request) *testenv.Fault {
		mu.Lock()
		defer mu.Unlock()
		if user, _, ok := r.BasicAuth(); ok {
			shown[user] = true
		}
		return nil
	})
	writeConfig("")
	s.prepare(strings.Replace(base.Reference, a.Host(), s.first.Host(), 1), "linux-x64", "", "app")
	_, err := s.push("push.json", s.request())
	if diag.CodeOf(err) != diag.AlsoPushFailed || !strings.Contains(err.Error(), "docker login: DOTNET_CONTAINER_REGISTRY_UNAME and its like are for the first") {
		t.Errorf("without an account: %v", err)
	}
	if len(shown) != 0 {
		t.Errorf("accounts %v were shown to the second registry", shown)
	}
	writeConfig(`"` + s.second.Host() + `":{"username":"second","password":"second-secret"}`)
	if _, err := s.push("push.json", s.request()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"second": true}, shown); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}
