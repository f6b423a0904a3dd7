package push_test

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/pushindex"
	"github.com/gantry-build/gantry/tasks/recall"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/runner"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

var update = flag.Bool("update", false, "write the golden files")

// alias sends requests for any host to one registry, so that golden files can name registries whose names do not change from run to
// run. The registry believes that it is spoken to by that name, over TLS.
type alias struct{ host string }

func (a alias) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	r.URL.Scheme, r.URL.Host = "http", a.host
	r.Header.Set("X-Forwarded-Proto", "https")
	return http.DefaultTransport.RoundTrip(r)
}

// goldenRun runs stages through the runner, as the command line does, and compares requests and responses with the golden files.
type goldenRun struct {
	t    *testing.T
	name string
	env  *runner.Env
}

func (g goldenRun) stage(name string, request any) {
	g.t.Helper()
	body := encode(g.t, request)
	file := name + ".request.json"
	if err := os.WriteFile(file, body, 0o600); err != nil {
		g.t.Fatal(err)
	}
	stage, err := runner.Find(runner.Stages(), name)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := stage.Exec(g.t.Context(), g.env, runner.Files{Request: file, Response: name + ".json"}); err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	response, err := os.ReadFile(name + ".json")
	if err != nil {
		g.t.Fatal(err)
	}
	g.compare(name, "request.json", body)
	g.compare(name, "response.json", response)
}

func (g goldenRun) compare(stage, file string, got []byte) {
	g.t.Helper()
	_, source, _, ok := runtime.Caller(0) // the test works in a folder of its own
	if !ok {
		g.t.Fatal("no caller")
	}
	path := filepath.Join(filepath.Dir(source), "..", "..", "testdata", "golden", stage, g.name, file)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			g.t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		g.t.Errorf("%s/%s/%s (-want +got):\n%s", stage, g.name, file, cmp.Diff(string(want), string(got)))
	}
}

// TestGolden runs all stages of the image side.
func TestGolden(t *testing.T) {
	amd64 := basemaker.Platform{OS: "linux", Architecture: "amd64"}
	for _, tc := range []struct {
		name   string
		base   basemaker.TinyOptions
		rid    string
		format string
		from   string
	}{
		{"oci-index", basemaker.TinyOptions{Layers: 2, Platforms: []basemaker.Platform{amd64, {OS: "linux", Architecture: "arm", Variant: "v7"}}}, "linux-arm", "", "registry.example"},
		{"docker", basemaker.TinyOptions{Layers: 2, Docker: true}, "linux-x64", "", "registry.example"},
		{"docker-to-oci-foreign", basemaker.TinyOptions{
			Layers: 1, Docker: true, Foreign: true, Platforms: []basemaker.Platform{{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}},
		}, "win-x64", "OCI", "mcr.example"},
		{"oci-zstd", basemaker.TinyOptions{Layers: 1, Zstd: true, Config: func(c map[string]any) {
			c["Env"] = []string{"PATH=/bin", "APP_UID=1654", "ASPNETCORE_HTTP_PORTS=8080"}
			c["Labels"] = map[string]string{"inherited": "yes"}
			c["Cmd"] = []string{"/bin/sh"}
		}}, "linux-x64", "", "registry.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := testenv.StartRegistry(t)
			testenv.PushTinyBase(t, reg, "dotnet/runtime", "10.0", tc.base)
			p := newPipeline(t)
			g := goldenRun{t, tc.name, &runner.Env{
				Dir: p.dir, Stdin: &bytes.Buffer{}, Stdout: io.Discard, Store: p.store,
				Registry: registry.New(registry.Options{Transport: alias{reg.Host()}}),
				Log:      slog.New(slog.DiscardHandler), Progress: progress.Discard{}, Warn: func(diag.Code, string) {},
			}}
			g.stage("resolve-base", &resolvebase.Request{RequestHeader: header("resolve-base"), Reference: tc.from + "/dotnet/runtime:10.0"})
			g.stage("select-base", &selectbase.Request{
				RequestHeader: header("select-base"), ResolveBasePath: "resolve-base.json", RuntimeIdentifier: tc.rid, ImageFormat: tc.format,
			})
			g.stage("compute-config", config())
			p.layers("packages", "app")
			g.stage("download-layers", &downloadlayers.Request{
				RequestHeader: header("download-layers"), SelectBasePath: "select-base.json", Registry: "registry.example", Repository: "demo/shop",
			})
			req := pushRequest("registry.example", "demo/shop", "1.0", "latest")
			req.DownloadLayersPath, req.TagSuffix = "download-layers.json", tc.rid
			req.ManifestPath, req.ConfigPath = "manifest.json", "config.json"
			g.stage("push", req)
			g.stage("recall", &recall.Request{
				RequestHeader: header("recall"), Registry: "registry.example", Repository: "demo/shop", Tags: []string{"2.0-" + tc.rid, "1.0-" + tc.rid},
				RuntimeIdentifier: tc.rid,
			})
			g.stage("push-index", &pushindex.Request{
				RequestHeader: header("push-index"), PushPaths: []string{"push.json"},
				Registry: "registry.example", Repository: "demo/shop", Tags: []string{"1.0"}, IndexPath: "index.json",
			})
		})
	}
}
