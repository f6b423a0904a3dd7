package downloadlayers_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
)

// TestPullPolicy: with never, only what the store has is uploaded, and the base's registry is not asked for anything; with the others
// each missing layer is fetched once.
func TestPullPolicy(t *testing.T) {
	proxy := testenv.StartProxy(t, testenv.StartRegistry(t))
	base := testenv.PushTinyBase(t, proxy.Registry(), "base", "1", basemaker.TinyOptions{Layers: 2})
	dst := testenv.StartRegistry(t)
	m, err := image.ParseManifest(base.Images[0].Manifest.Data, base.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(map[string]any{"schemaVersion": 1, "stage": "select-base", "base": map[string]any{
		"registry": proxy.Host(), "repository": "base", "layers": m.Layers,
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "select-base.json")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	store := cas.Open(t.TempDir())
	run := func(policy string) error {
		proxy.Reset()
		client := registry.New(registry.Options{})
		req := &downloadlayers.Request{SelectBasePath: file, Registry: dst.Host(), Repository: "a/b", PullPolicy: policy}
		if err := req.Validate(); err != nil {
			return err
		}
		_, err := downloadlayers.Run(t.Context(), downloadlayers.Deps{
			Repository: func(n registry.Name, m registry.Mode) downloadlayers.Repository { return client.Repository(n, m) },
			Store:      store, Log: slog.New(slog.DiscardHandler), Progress: progress.Discard{}, Parallel: 1,
		}, req)
		return err
	}
	for _, tc := range []struct {
		policy   string
		requests int
		code     diag.Code
	}{
		{"never", 0, diag.NotInStore},
		{"sometimes", 0, diag.InvalidValue},
		{"missing", 2, ""},
		{"never", 0, ""},
		{"", 0, ""},
	} {
		err := run(tc.policy)
		if n := proxy.Counts().Requests; n != tc.requests || (err != nil) != (tc.code != "") || err != nil && diag.CodeOf(err) != tc.code {
			t.Errorf("%q: %d requests, want %d; %v", tc.policy, n, tc.requests, err)
		}
		if tc.code == diag.NotInStore && (!strings.Contains(err.Error(), proxy.Host()+"/base@sha256:") || !strings.Contains(err.Error(), "GantryPullPolicy=always")) {
			t.Errorf("%q: %v names no layer", tc.policy, err)
		}
	}
}
