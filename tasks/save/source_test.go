package save_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// items puts a layer of each kind into the image: one of another repository, files, and a tarball.
func (b *build) items() {
	b.t.Helper()
	agent := testenv.PushTinyBase(b.t, b.proxy.Registry(), "agents", "1", basemaker.TinyOptions{Seed: "agent", Layers: 1}).Images[0]
	blob := func(name string) tasks.ExtraLayer {
		m, err := image.ParseManifest(agent.Manifest.Data, agent.Manifest.MediaType)
		if err != nil {
			b.t.Fatal(err)
		}
		config, err := image.ParseConfig(agent.Config.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		d := m.Layers[0]
		return tasks.ExtraLayer{Name: name, Order: tasks.OrderBeforeApp, Blob: &tasks.ExtraBlob{Descriptor: d, DiffID: config.DiffIDs[0], Key: tasks.BlobKey(d.Digest)}}
	}
	source := blob("agent")
	source.Blob.Source = &tasks.LayerSource{Registry: b.proxy.Host(), Repository: "agents"}

	agent = testenv.PushTinyBase(b.t, b.proxy.Registry(), "elsewhere", "1", basemaker.TinyOptions{Seed: "tarball", Layers: 1}).Images[0]
	tar := blob("t.tar.gz")
	b.write("t.tar.gz", string(b.proxy.Registry().Blob("elsewhere", string(tar.Blob.Descriptor.Digest))))
	tar.Blob.BlobPath, tar.Order = filepath.Join(b.env.Dir, "t.tar.gz"), tasks.OrderAfterApp

	b.write("m.onnx", "model")
	models := tasks.ExtraLayer{Name: "models", Order: tasks.OrderBeforeApp, Files: &tasks.ExtraFiles{TargetDirectory: "/models", Files: []tasks.ExtraFile{
		{Path: "m.onnx", SourcePath: filepath.Join(b.env.Dir, "m.onnx"), Size: 5, Digest: cas.DigestOf([]byte("model"))},
	}}}
	body, err := json.Marshal(&tasks.ExtraLayers{
		ResponseHeader: tasks.ResponseHeader{SchemaVersion: 1, Stage: "resolve-layers", Inputs: []tasks.FileDigest{}, Outputs: []tasks.Output{}},
		Layers:         []tasks.ExtraLayer{source, models, tar},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("resolve-layers.json", string(body))
}

// prepareItems is prepare with the layers of items.
func (b *build) prepareItems() {
	b.t.Helper()
	b.prepare("linux-x64")
	b.run("create-layers", "linux-x64", object{
		"selectBasePath": "select-baselinux-x64.json", "fileListPath": "scan.json", "workingDirectory": "/app/", "extraLayersPath": "resolve-layers.json",
	})
}

// TestSave_items: the layers of items are in the image that is saved as in the one that is pushed, in their order. What its repository has
// is fetched when it is needed, and a lost tarball or layer is an error that leaves no archive.
func TestSave_items(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1})
	b.items()
	b.prepareItems()
	pushed := b.run("push", "", parts("linux-x64", object{"registry": b.proxy.Host()}))
	dst := parts("linux-x64", object{"destination": "archive", "archivePath": "a.tar", "archiveFormat": "docker"})
	b.again("other")
	b.prepareItems()
	b.proxy.Reset()
	if saved := b.run("save", "", dst); saved["digest"] != pushed["digest"] || b.blobs() != 2 { // the base's layer and the item's
		t.Errorf("saved %v, pushed %v; %d blobs fetched", saved["digest"], pushed["digest"], b.blobs())
	}
	img, err := tarball.ImageFromPath("a.tar", nil)
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var history []string
	for _, h := range config.History[len(config.History)-4:] {
		history = append(history, h.CreatedBy)
	}
	if got, want := strings.Join(history, ", "), "gantry resolve-layers: agent, gantry resolve-layers: models, gantry create-layers: app, gantry resolve-layers: t.tar.gz"; got != want {
		t.Errorf("history %s, want %s", got, want)
	}

	b.again("empty")
	b.prepareItems()
	b.proxy.Reset()
	b.run("save", "", dst)
	if b.blobs() != 0 || !strings.Contains(b.said.String(), "Image already present in ") {
		t.Errorf("again: %d blobs\n%s", b.blobs(), b.said.String())
	}

	for _, tc := range []struct {
		name string
		lose func() error
		code diag.Code
	}{
		{"the layer", func() error {
			b.proxy.Inject(func(r *http.Request) *testenv.Fault {
				if strings.HasPrefix(r.URL.Path, "/v2/agents/") {
					return &testenv.Fault{Status: http.StatusNotFound}
				}
				return nil
			})
			return nil
		}, diag.LayerNotFound},
		{"the tarball", func() error { b.proxy.Inject(nil); return os.Remove("t.tar.gz") }, diag.FileChanged},
	} {
		b.again("lost")
		if err := os.RemoveAll("lost"); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove("a.tar")
		if err := tc.lose(); err != nil {
			t.Fatal(err)
		}
		b.run("resolve-base", "", object{"reference": strings.Replace(b.base.Reference, b.proxy.Registry().Host(), b.proxy.Host(), 1)})
		b.run("select-base", "linux-x64", object{"resolveBasePath": "resolve-base.json", "runtimeIdentifier": "linux-x64"})
		if _, err := b.try("save", "", dst); diag.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
		if _, err := os.Stat("a.tar"); err == nil {
			t.Errorf("%s: an archive was written", tc.name)
		}
	}
}
