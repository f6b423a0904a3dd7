package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

type request map[string]any

// traced are the stages in order with their requests; $REGISTRY is the registry.
var traced = []struct {
	stage string
	req   request
}{
	{"resolve-base", request{"reference": "$REGISTRY/dotnet/tiny:1"}},
	{"select-base", request{"resolveBasePath": "resolve-base.out.json", "runtimeIdentifier": "linux-x64"}},
	{"scan", request{"folderPath": "app", "items": []request{{"path": "shop", "sourcePath": "secret.txt", "origin": "app"}}, "transformed": []string{"*.config"}}},
	{"create-layers", request{"selectBasePath": "select-base.out.json", "fileListPath": "scan.out.json", "workingDirectory": "/app/"}},
	{"compute-config", request{"selectBasePath": "select-base.out.json", "appCommand": []string{"/app/shop"}}},
	{"download-layers", request{"selectBasePath": "select-base.out.json", "registry": "$REGISTRY", "repository": "traced/shop"}},
	{"push", request{
		"selectBasePath": "select-base.out.json", "computeConfigPath": "compute-config.out.json", "createLayersPath": "create-layers.out.json",
		"downloadLayersPath": "download-layers.out.json", "registry": "$REGISTRY", "repository": "traced/shop", "tags": []string{"1"},
		"manifestPath": "manifest.json",
	}},
	{"push-index", request{"pushPaths": []string{"push.out.json"}, "registry": "$REGISTRY", "repository": "traced/shop", "tags": []string{"2"}}},
}

// TestUndeclaredReads runs each stage under strace: it may look at the files that its response lists as inputs, at what it wrote,
// the content store and what may stand in for it, files of the system, the credentials, what says how registries are reached, the settings,
// and at nothing else.
func TestUndeclaredReads(t *testing.T) {
	testenv.Require(t, "strace")
	registry := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, registry, "dotnet/tiny", "1", basemaker.TinyOptions{})
	gantry := testenv.BuildGantry(t)
	dir, home := realTempDir(t), realTempDir(t)
	store, fallback := filepath.Join(home, "store"), filepath.Join(home, "tmp", filepath.Base(cas.TemporaryDir()))
	for name, text := range map[string]string{"app/shop": "the app", "app/web.config": "<c/>", "app/wwwroot/a.css": "a", "secret.txt": "not to be read"} {
		file := filepath.Join(dir, name)
		mustDo(t, os.MkdirAll(filepath.Dir(file), 0o755))
		mustDo(t, os.WriteFile(file, []byte(text), 0o644))
	}
	for _, step := range traced {
		log := filepath.Join(home, step.stage+".strace")
		writeRequest(t, dir, step.stage, step.req, registry.Host())
		cmd := exec.Command("strace", "-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file", "-o", log,
			gantry, step.stage, "--request", step.stage+".json", "--response", step.stage+".out.json")
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + home, "PATH=/usr/bin:/bin", "GANTRY_CACHE_DIR=" + store, "TMPDIR=" + filepath.Join(home, "tmp")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", step.stage, err, out)
		}
		allowed := append(declared(t, dir, step.stage), gantry, store+"/", fallback, home+"/.docker/", home+"/.config/containers/", home+"/.config/docker/", home+"/.config/gantry/")
		for at := dir; at != "/"; at = filepath.Dir(at) {
			allowed = append(allowed, filepath.Join(filepath.Dir(at), "gantry.toml"), filepath.Join(filepath.Dir(at), ".git"))
		}
		allowed = append(allowed, filepath.Join(dir, "gantry.toml"), filepath.Join(dir, ".git"))
		for _, path := range seen(t, log, dir) {
			if !permitted(path, allowed) && !system.MatchString(path) {
				t.Errorf("%s looked at %s, which its response does not list", step.stage, path)
			}
		}
	}
}

// system are files that the Go runtime, the resolver and TLS read.
var system = regexp.MustCompile(`^(/etc/(resolv\.conf|hosts|host\.conf|nsswitch\.conf|services|localtime|ssl/.*|pki/.*|mime\.types)|/usr/(share/zoneinfo|lib/locale|share/mime|share/ca-certificates)/.*|/(proc|sys|dev)/.*|/etc/containers/(registries\.conf.*|certs\.d/.*)|/etc/docker/(daemon\.json|certs\.d/.*)|/run/containers/.*|/run/user/\d+/containers/.*)$`)

func realTempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	mustDo(t, err)
	return dir
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeRequest(t *testing.T, dir, stage string, req request, registry string) {
	t.Helper()
	full := request{"schemaVersion": tasks.SchemaVersion, "stage": stage}
	for k, v := range req {
		full[k] = v
	}
	data, err := json.Marshal(full)
	mustDo(t, err)
	text := strings.ReplaceAll(string(data), "$REGISTRY", registry)
	mustDo(t, os.WriteFile(filepath.Join(dir, stage+".json"), []byte(text), 0o644))
}

// declared are the inputs and outputs of a response, and the response with its temporary name.
func declared(t *testing.T, dir, stage string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, stage+".out.json"))
	mustDo(t, err)
	var h tasks.ResponseHeader
	mustDo(t, json.Unmarshal(data, &h))
	paths := []string{stage + ".out.json"}
	for _, in := range h.Inputs {
		paths = append(paths, in.Path)
	}
	for _, out := range h.Outputs {
		if out.Path != "" {
			paths = append(paths, out.Path)
		}
	}
	for i, p := range paths {
		slash := strings.HasSuffix(p, "/")
		if paths[i] = filepath.Join(dir, p); slash {
			paths[i] += "/"
		}
	}
	if !slices.Contains(paths, filepath.Join(dir, stage+".json")) {
		t.Errorf("%s does not list its request", stage)
	}
	return paths
}

// permitted says whether path is one of allowed, lies in one that ends in a slash, leads to one, or is its temporary file.
func permitted(path string, allowed []string) bool {
	for _, a := range allowed {
		temporary := filepath.Join(filepath.Dir(a), "."+filepath.Base(a)+".")
		switch {
		case path == strings.TrimSuffix(a, "/"),
			strings.HasSuffix(a, "/") && strings.HasPrefix(path, a),
			strings.HasPrefix(a, strings.TrimSuffix(path, "/")+"/"),
			strings.HasPrefix(path, temporary):
			return true
		}
	}
	return false
}

var traceLine = regexp.MustCompile(`^\d+ +(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"`)

// seen are the absolute paths that a log names, whether the call succeeded or not.
func seen(t *testing.T, log, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(log)
	mustDo(t, err)
	var paths []string
	for line := range strings.Lines(string(data)) {
		m := traceLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		path, from := m[3], m[2]
		if from == "" {
			from = dir
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(from, path)
		}
		paths = append(paths, filepath.Clean(path))
	}
	if len(paths) < 3 {
		t.Fatalf("%s was not understood:\n%s", log, data)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
