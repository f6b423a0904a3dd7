package check_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/check"
	"github.com/gantry-build/gantry/tasks/runner"
)

var update = flag.Bool("update", false, "write the golden files")

// builder runs stages through the runner, as the command line does.
type builder struct {
	t   *testing.T
	env *runner.Env
}

func newBuilder(t *testing.T, client *registry.Client, secret string) *builder {
	t.Helper()
	return &builder{t, &runner.Env{
		Dir: t.TempDir(), Stdin: &bytes.Buffer{}, Stdout: io.Discard, Store: cas.Open(t.TempDir()), Registry: client,
		Log: slog.New(slog.DiscardHandler), Progress: progress.Discard{}, KeySecret: secret, Warn: func(diag.Code, string) {},
	}}
}

type fields map[string]any

// run runs a stage on a request and returns the folder's file with the response, and the answer's status.
func (b *builder) run(stage, response string, req fields) (file string, status error) {
	b.t.Helper()
	req["schemaVersion"], req["stage"] = 1, stage
	request := filepath.Join(b.env.Dir, response+".request.json")
	if err := os.WriteFile(request, must(json.MarshalIndent(req, "", "  ")), 0o600); err != nil {
		b.t.Fatal(err)
	}
	s, err := runner.Find(runner.Stages(), stage)
	if err != nil {
		b.t.Fatal(err)
	}
	file = filepath.Join(b.env.Dir, response+".json")
	err = s.Exec(b.t.Context(), b.env, runner.Files{Request: request, Response: file})
	if _, ok := err.(runner.ExitStatus); err != nil && !ok {
		b.t.Fatalf("%s: %v", stage, err)
	}
	return file, err
}

// build makes and pushes an image for each runtime identifier, and an index of several, with a key.
func (b *builder) build(host, format string, settings fields, rids ...string) {
	b.t.Helper()
	app := filepath.Join(b.env.Dir, "app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "shop.dll"), []byte("the app"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.run("resolve-base", "resolve-base", fields{"reference": host + "/dotnet/base:1"})
	b.run("scan", "scan", fields{"folderPath": "app"})
	var pushed []string
	for _, rid := range rids {
		b.run("select-base", "select-base", fields{"resolveBasePath": "resolve-base.json", "runtimeIdentifier": rid, "imageFormat": format})
		b.run("create-layers", "create-layers", fields{"selectBasePath": "select-base.json", "fileListPath": "scan.json", "workingDirectory": "/app/"})
		b.run("compute-config", "compute-config", fields{
			"selectBasePath": "select-base.json", "workingDirectory": "/app/", "appCommand": []string{"dotnet", "/app/shop.dll"},
			"generateLabels": true, "generateDigestLabel": true,
		})
		req := fields{
			"selectBasePath": "select-base.json", "computeConfigPath": "compute-config.json", "createLayersPath": "create-layers.json",
			"registry": host, "repository": "demo/shop", "tags": []string{},
		}
		if len(rids) == 1 {
			req["tags"] = []string{"1.0"}
			for k, v := range settings {
				req[k] = v
			}
		}
		b.run("push", "push-"+rid, req)
		pushed = append(pushed, "push-"+rid+".json")
	}
	if len(rids) > 1 {
		req := fields{"pushPaths": pushed, "registry": host, "repository": "demo/shop", "tags": []string{"1.0"}}
		for k, v := range settings {
			req[k] = v
		}
		b.run("push-index", "push-index", req)
	}
}

// TestAfterPush: what push and push-index write under a key is a hit for the same question, and for no other.
func TestAfterPush(t *testing.T) {
	for name, start := range server {
		for _, format := range []string{"OCI", "Docker"} {
			for _, rids := range [][]string{{"linux-x64"}, {"linux-x64", "linux-arm64"}} {
				t.Run(name+" "+format+" "+rids[len(rids)-1], func(t *testing.T) {
					reg := start(t)
					testenv.PushTinyBase(t, reg, "dotnet/base", "1", basemaker.TinyOptions{
						Layers: 1, Platforms: []basemaker.Platform{amd64, arm64}, Docker: format == "Docker",
					})
					for _, repository := range []string{"demo/shop", "demo/keys"} { // olareg's first uploads into a new one race with each other
						testenv.PushTinyBase(t, reg, repository, "0", basemaker.TinyOptions{Layers: 1, Seed: "other"})
					}
					p := testenv.StartProxy(t, reg)
					b := newBuilder(t, registry.New(registry.Options{}), "the secret")
					b.build(p.Host(), format, fields{"cacheKeyTag": keyTag, "keyRepository": "demo/keys"}, rids...)
					requests := map[string]int{"OCI linux-x64": 5, "Docker linux-x64": 5, "OCI linux-arm64": 6, "Docker linux-arm64": 8}[format+" "+rids[len(rids)-1]]
					for _, tc := range []struct {
						secret string
						rids   []string
						hit    bool
					}{
						{"the secret", rids, true},
						{"", rids, true},
						{"another", rids, false},
						{"", []string{"linux-musl-arm64"}, false},
					} {
						p.Reset()
						fresh := newBuilder(t, registry.New(registry.Options{}), tc.secret)
						file, status := fresh.run("check", "check", fields{
							"reference": p.Host() + "/dotnet/base:1", "registry": p.Host(), "repository": "demo/shop", "keyRepository": "demo/keys",
							"cacheKey": key, "tags": []string{"1.0"}, "runtimeIdentifiers": tc.rids,
						})
						var got check.Response
						if err := json.Unmarshal(must(os.ReadFile(file)), &got); err != nil {
							t.Fatal(err)
						}
						if got.Hit != tc.hit || (status == nil) != tc.hit {
							t.Errorf("%q %v: got %+v, %v", tc.secret, tc.rids, got, status)
						}
						if n := p.Counts().Requests; tc.hit && tc.secret == "" && n != requests {
							t.Errorf("got %d requests, want %d:\n%s", n, requests, p.Log())
						}
					}
				})
			}
		}
	}
}

// alias sends requests for any host to one registry, so that golden files can name one.
type alias struct{ host string }

func (a alias) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	r.URL.Scheme, r.URL.Host = "http", a.host
	r.Header.Set("X-Forwarded-Proto", "https")
	return http.DefaultTransport.RoundTrip(r)
}

// TestGolden holds requests and responses to what other hosts of the stages read.
func TestGolden(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "dotnet/base", "1", basemaker.TinyOptions{Layers: 1, Platforms: []basemaker.Platform{amd64, arm64}})
	b := newBuilder(t, registry.New(registry.Options{Transport: alias{reg.Host()}}), "")
	b.build("registry.example", "", fields{"cacheKeyTag": keyTag}, "linux-x64")
	b.build("registry.example", "", fields{"cacheKeyTag": "content-index"}, "linux-x64", "linux-arm64")
	for _, tc := range []struct {
		name string
		hit  bool
		req  fields
	}{
		{"hit", true, fields{"cacheKey": key, "runtimeIdentifiers": []string{"linux-x64"}, "manifestPath": "manifest.json", "configPath": "config.json"}},
		{"hit-index", true, fields{
			"cacheKey": "index", "runtimeIdentifiers": []string{"linux-x64", "linux-arm64"}, "platformTags": true,
			"indexPath": "index.json", "manifestPath": "manifest.json",
		}},
		{"miss", false, fields{"cacheKey": key + "+1", "hashCacheKey": true, "runtimeIdentifiers": []string{"linux-x64"}, "tagsOnHit": "none"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.t = t
			tc.req["registry"], tc.req["repository"], tc.req["tags"] = "registry.example", "demo/shop", []string{"1.0", "latest"}
			tc.req["resolveBasePath"] = "resolve-base.json"
			file, status := b.run("check", "check", tc.req)
			if (status == nil) != tc.hit {
				t.Errorf("got the status %v", status)
			}
			compare(t, filepath.Join(tc.name, "response.json"), must(os.ReadFile(file)))
			compare(t, filepath.Join(tc.name, "request.json"), must(os.ReadFile(filepath.Join(b.env.Dir, "check.request.json"))))
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "golden", "check", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(must(os.ReadFile(path))), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
