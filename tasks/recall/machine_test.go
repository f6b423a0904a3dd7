package recall_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/computeconfig"
	"github.com/gantry-build/gantry/tasks/createlayers"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/recall"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
	"github.com/gantry-build/gantry/tasks/runner"
	"github.com/gantry-build/gantry/tasks/scan"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

// project is an app and how it is published.
type project struct {
	files                  map[string]string
	proxy                  *testenv.Proxy
	base, repository       string
	tags, cacheFrom        []string
	cacheTag, rid, user    string
	trust                  *bool
	pullPolicy, baseFormat string
	// items are ContainerLayer items, and beside the files beside the app that they name.
	items  []resolvelayers.Item
	beside map[string]string
}

// newProject is an app of a package and a file of its own.
func newProject(proxy *testenv.Proxy, base string) *project {
	return &project{
		proxy: proxy, base: base, repository: "demo/shop", tags: []string{"1.0"}, rid: "linux-x64",
		files: map[string]string{"shop.dll": "the app", "lib.dll": strings.Repeat("the package", 1000)},
	}
}

// machine is where a project is published: a content store and a folder for documents.
type machine struct {
	*testing.T
	dir    string
	store  *cas.Store
	builds int
	log    bytes.Buffer // of the last publish
	// makeLayers is the setting trust.layer-keys = false
	makeLayers bool
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	return &machine{T: t, dir: dir, store: cas.Open(filepath.Join(dir, "store"))}
}

// publish runs the stages of one build as MSBuild does, each as a process of its own, and returns the image's digest. The error is that
// of the stage that failed.
func (m *machine) publish(p *project) (cas.Digest, error) {
	m.Helper()
	m.builds++
	m.log.Reset()
	build := strconv.Itoa(m.builds) + " on " + m.dir
	m.write(p)
	host := p.proxy.Host()
	m.request("recall", &recall.Request{
		Registry: host, Repository: p.repository, Tags: p.tags, CacheFrom: p.cacheFrom, CacheTag: p.cacheTag, RuntimeIdentifier: p.rid,
	})
	const question = "recall.request.json"
	if err := m.resolveLayers(build, p, question); err != nil {
		return "", err
	}
	items := []scan.Item{{Path: "lib.dll", Origin: tasks.OriginPackage, OriginName: "lib", OriginVersion: "1.0"}}
	var last runner.Response
	for _, step := range []struct {
		stage string
		req   runner.Request
	}{
		{"resolve-base", &resolvebase.Request{Reference: p.base, OutputRegistry: host, PullPolicy: p.pullPolicy}},
		{"select-base", &selectbase.Request{
			ResolveBasePath: "resolve-base.json", RuntimeIdentifier: p.rid, ImageFormat: p.baseFormat, OutputRegistry: host,
			RecallRequestPath: question, PullPolicy: p.pullPolicy,
		}},
		{"scan", &scan.Request{FolderPath: "app", Items: items}},
		{"create-layers", &createlayers.Request{
			SelectBasePath: "select-base.json", FileListPath: "scan.json", WorkingDirectory: "/app/", RecallRequestPath: question, TrustLayerKeys: p.trust,
			ExtraLayersPath: map[bool]string{true: "resolve-layers.json"}[len(p.items) > 0],
		}},
		{"compute-config", &computeconfig.Request{
			SelectBasePath: "select-base.json", AppCommand: []string{"dotnet", "/app/shop.dll"}, User: p.user, WorkingDirectory: "/app/",
			OutputRegistry: host, RecallRequestPath: question, PullPolicy: p.pullPolicy,
		}},
		{"push", &push.Request{
			SelectBasePath: "select-base.json", ComputeConfigPath: "compute-config.json", CreateLayersPath: "create-layers.json",
			CreateLayersRequestPath: "create-layers.request.json", Registry: host, Repository: p.repository, Tags: p.tags,
			RecallPath: "recall.json", PullPolicy: p.pullPolicy, PushSettings: tasks.PushSettings{CacheTag: p.cacheTag},
		}},
	} {
		var err error
		if last, err = m.call(build, step.stage, step.req); err != nil {
			return "", err
		}
	}
	return last.(*push.Response).Digest, nil
}

// resolveLayers finds the layers of items, if there are any.
func (m *machine) resolveLayers(build string, p *project, question string) error {
	m.Helper()
	if len(p.items) == 0 {
		return nil
	}
	_, err := m.call(build, "resolve-layers", &resolvelayers.Request{
		Items: p.items, ProjectFolderPath: ".", RuntimeIdentifier: p.rid, BaseRegistry: p.proxy.Host(), OutputRegistry: p.proxy.Host(), PullPolicy: p.pullPolicy,
		TrustLayerKeys: p.trust, RecallRequestPath: question,
	})
	return err
}

// call runs a stage as a process of a build.
func (m *machine) call(build, stage string, req runner.Request) (runner.Response, error) {
	m.Helper()
	env := &runner.Env{
		Dir: m.dir, Stdin: &bytes.Buffer{}, Stdout: io.Discard, Store: m.store, Registry: registry.New(registry.Options{}), BuildID: build,
		Log: slog.New(slog.NewTextHandler(&m.log, nil)), Progress: progress.Discard{}, Warn: func(diag.Code, string) {}, MakeLayers: m.makeLayers,
	}
	m.request(stage, req)
	s, err := runner.Find(runner.Stages(), stage)
	if err != nil {
		m.Fatal(err)
	}
	resp := s.NewResponse()
	if err := s.Exec(m.Context(), env, runner.Files{Request: stage + ".request.json", Response: stage + ".json"}); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(m.dir, stage+".json"))
	if err == nil {
		err = json.Unmarshal(data, resp)
	}
	return resp, err
}

// mustPublish publishes and returns the requests as "METHOD kind": manifests, blobs, uploads.
func (m *machine) mustPublish(p *project) (cas.Digest, []string) {
	m.Helper()
	p.proxy.Reset()
	d, err := m.publish(p)
	if err != nil {
		m.Fatalf("%v\n%s", err, m.log.String())
	}
	var asked []string
	for _, r := range p.proxy.Requests() {
		kind := "blobs"
		switch {
		case strings.Contains(r.Path, "/manifests/"):
			kind = "manifests"
		case strings.Contains(r.Path, "/uploads/"):
			kind = "uploads"
		}
		asked = append(asked, r.Method+" "+kind)
	}
	return d, asked
}

// write makes the publish folder what the project is.
func (m *machine) write(p *project) {
	m.Helper()
	app := filepath.Join(m.dir, "app")
	if err := os.RemoveAll(app); err != nil {
		m.Fatal(err)
	}
	if err := os.MkdirAll(app, 0o755); err != nil {
		m.Fatal(err)
	}
	for name, text := range p.files {
		if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o600); err != nil {
			m.Fatal(err)
		}
	}
	for name, text := range p.beside {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *machine) request(stage string, req runner.Request) {
	m.Helper()
	*req.Header() = tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: stage}
	data, err := json.Marshal(req)
	data = regexp.MustCompile(`"[a-zA-Z]+":null,?`).ReplaceAll(data, nil) // requests have no null
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, stage+".request.json"), data, 0o600)
	}
	if err != nil {
		m.Fatal(err)
	}
}

// made are the layers that the last publish made.
func (m *machine) made() []string {
	var names []string
	for _, line := range strings.Split(m.log.String(), "\n") {
		if _, rest, found := strings.Cut(line, `msg="made layer `); found {
			name, _, _ := strings.Cut(rest, `"`)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// said fails the test unless the last publish said each text; one that begins with ! must not be there.
func (m *machine) said(texts ...string) {
	m.Helper()
	for _, s := range texts {
		want := !strings.HasPrefix(s, "!")
		if strings.Contains(m.log.String(), strings.TrimPrefix(s, "!")) != want {
			m.Errorf("it says %q: %v, want %v:\n%s", s, !want, want, m.log.String())
		}
	}
}

// counts fails the test unless the requests are these, in any order.
func (m *machine) counts(name string, got []string, want ...string) {
	m.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		m.Errorf("%s: requests %q, want %q", name, got, want)
	}
}
