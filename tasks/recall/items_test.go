package recall_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
	"github.com/gantry-build/gantry/tasks/runner"
)

// tarOf is a tar with one file.
func tarOf(t *testing.T, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPipeline_items: with a layer of another repository, one of files and a tarball a machine without anything asks no more than without
// them, and stores none of them. What changes is made and sent alone; the image is that of a machine that knows no earlier one.
func TestPipeline_items(t *testing.T) {
	for name, start := range testenv.Registries {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			proxy := testenv.StartProxy(t, reg)
			testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
			testenv.PushTinyBase(t, reg, "demo/shop", "0", basemaker.TinyOptions{Seed: "x"}) // olareg asks for the repository to be there
			agent := testenv.PushTinyBase(t, reg, "agents", "1", basemaker.TinyOptions{Seed: "agent", Layers: 1}).Images[0]
			m, err := image.ParseManifest(agent.Manifest.Data, agent.Manifest.MediaType)
			if err != nil {
				t.Fatal(err)
			}
			layer := m.Layers[0]
			p := newProject(proxy, proxy.Reference("base", "1"))
			p.items = []resolvelayers.Item{
				{Include: "tools.tar", Order: "AfterApp"},
				{Include: "models", Files: "*.onnx", TargetDirectory: "/models", Owner: "1654:1654"},
				{Include: string(layer.Digest), Repository: "agents"},
			}
			p.beside = map[string]string{"m.onnx": "the model", "tools.tar": tarOf(t, "opt/tool", "a tool")}
			first := newMachine(t)
			want, asked := first.mustPublish(p)
			if n := count(asked, "HEAD blobs"); n != 1 || !slices.Equal(first.made(), []string{"app", "models", "packages"}) {
				t.Fatalf("%d questions about the layer; made %v, requests %q", n, first.made(), asked)
			}
			checkLayers(t, reg, "demo/shop", "1.0", 3+5, "models", string(layer.Digest), "packages", "app", "tools.tar")

			again, asked := first.mustPublish(p)
			first.counts("the same machine", asked, "HEAD manifests", "HEAD manifests")
			fresh := newMachine(t)
			got, asked := fresh.mustPublish(p)
			fresh.counts("nothing changed", asked, "GET manifests", "GET manifests", "GET blobs")
			if got != want || again != want || len(fresh.made()) != 0 {
				t.Errorf("made %v; %s and %s, want %s", fresh.made(), got, again, want)
			}
			fresh.said("known from an earlier image and not asked for")
			if _, err := fresh.store.Size(layer.Digest); err == nil {
				t.Error("the content store has the layer of another repository")
			}

			p.beside["m.onnx"] = "the model, changed"
			changed := newMachine(t)
			got, asked = changed.mustPublish(p)
			if n := count(asked, "PUT uploads"); n != 2 || !slices.Equal(changed.made(), []string{"models"}) { // the layer and the configuration
				t.Errorf("the model changed: made %v, %d uploads, requests %q", changed.made(), n, asked)
			}
			p.beside["tools.tar"] = tarOf(t, "opt/tool", "another tool")
			changed = newMachine(t)
			got2, asked := changed.mustPublish(p)
			if n := count(asked, "PUT uploads"); n != 2 || len(changed.made()) != 0 {
				t.Errorf("the tarball changed: made %v, %d uploads, requests %q", changed.made(), n, asked)
			}
			changed.said("took layer tools.tar from its file", "took layer models from the registry")
			no := false
			clean, _ := newMachine(t).mustPublish(with(*p, func(p *project) { p.tags, p.trust = []string{"clean"}, &no }))
			if got == want || got2 == got || got2 != clean {
				t.Errorf("%s, before %s and %s; a machine that trusts nothing gives %s", got2, got, want, clean)
			}
		})
	}
}

// TestPipeline_itemsRemade: blobs of items that the content store lost after create-layers come again from their files for the push, and when
// a file is another by then nothing is pushed.
func TestPipeline_itemsRemade(t *testing.T) {
	reg := testenv.StartRegistry(t)
	proxy := testenv.StartProxy(t, reg)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newProject(proxy, proxy.Reference("base", "1"))
	p.items = []resolvelayers.Item{{Include: "tools.tar"}, {Include: "models", Files: "*.onnx", TargetDirectory: "/models"}}
	p.beside = map[string]string{"m.onnx": "the model", "tools.tar": tarOf(t, "opt/tool", "a tool")}
	m := newMachine(t)
	want, _ := m.mustPublish(p)
	again := func(other *testenv.Registry) (runner.Response, error) { // which has nothing to mount
		if err := os.RemoveAll(filepath.Join(m.store.Dir(), "blobs")); err != nil {
			t.Fatal(err)
		}
		m.log.Reset()
		return m.call("", "push", &push.Request{
			SelectBasePath: "select-base.json", ComputeConfigPath: "compute-config.json", CreateLayersPath: "create-layers.json",
			CreateLayersRequestPath: "create-layers.request.json", Registry: other.Host(), Repository: "demo/shop", Tags: []string{"1"},
		})
	}
	resp, err := again(testenv.StartRegistry(t))
	if err != nil || resp.(*push.Response).Digest != want {
		t.Fatalf("%v, %+v, want %s", err, resp, want)
	}
	m.said("layers are made again", "made layer models", "took layer tools.tar from its file")
	other := testenv.StartRegistry(t)
	for name, content := range map[string]string{"m.onnx": "lthe mode", "tools.tar": tarOf(t, "opt/tool", "A tool")} {
		was := p.beside[name]
		p.beside[name] = content
		m.write(p)
		if _, err := again(other); diag.CodeOf(err) != diag.FileChanged || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %s", name, err, diag.FileChanged)
		}
		p.beside[name] = was
	}
	if tags := other.Tags("demo/shop"); len(tags) != 0 {
		t.Errorf("tags %v were written", tags)
	}
}

// checkLayers fails the test unless an image has so many layers, the topmost of which are called so in its history.
func checkLayers(t *testing.T, reg *testenv.Registry, repository, tag string, layers int, names ...string) {
	t.Helper()
	mediaType, _, body := reg.Manifest(repository, tag)
	m, err := image.ParseManifest(body, mediaType)
	if err != nil {
		t.Fatal(err)
	}
	own, err := image.ReadOwn(m, reg.Blob(repository, string(m.Config.Digest)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range own.Layers {
		got = append(got, l.CreatedBy[strings.Index(l.CreatedBy, ": ")+2:])
	}
	if len(m.Layers) != layers || !slices.Equal(got, names) {
		t.Errorf("%d layers, of Gantry's %q; want %d, %q", len(m.Layers), got, layers, names)
	}
}
