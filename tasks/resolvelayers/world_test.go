package resolvelayers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a registry behind a proxy that counts, a project folder and a content store.
type world struct {
	*testing.T
	registry *testenv.Registry
	proxy    *testenv.Proxy
	dir      string // of the project
	out      string // of the responses
	store    *cas.Store
	log      bytes.Buffer
	req      Request
	recall   func(context.Context) (*tasks.Recalled, error)
	check    bool // asks as the stage check does
}

func newWorld(t *testing.T, start func(testing.TB) *testenv.Registry) *world {
	w := &world{T: t, dir: t.TempDir(), out: t.TempDir()}
	w.forget()
	if start != nil {
		w.registry = start(t)
		w.proxy = testenv.StartProxy(t, w.registry)
		w.req.BaseRegistry, w.req.OutputRegistry = w.proxy.Host(), w.proxy.Host()
	}
	w.req.ProjectFolderPath, w.req.RuntimeIdentifier, w.req.RecordPath, w.req.WorkingDirectory = w.dir, "linux-x64", "record.json", "/app"
	return w
}

func docker(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) }

// forget makes the content store empty.
func (w *world) forget() { w.store = cas.Open(filepath.Join(w.TempDir(), "store")) }

// run runs the stage in a new process, as far as a test can tell: with a new client.
func (w *world) run(items ...Item) (*tasks.ExtraLayers, error) {
	w.Helper()
	w.log.Reset()
	if w.proxy != nil {
		w.proxy.Reset()
	}
	client := registry.New(registry.Options{})
	req := w.req
	req.Items = items
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return Run(w.Context(), Deps{
		Repository: func(n registry.Name, m registry.Mode) Repository { return client.Repository(n, m) },
		Store:      w.store, Records: records.Of(w.store), OutputDir: w.out, Recall: w.recall, RegistriesOnly: w.check,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, &req)
}

func (w *world) must(items ...Item) []tasks.ExtraLayer {
	w.Helper()
	resp, err := w.run(items...)
	must(w, err)
	return resp.Layers
}

// fails runs the stage, which has to fail with a code and all texts.
func (w *world) fails(code diag.Code, item Item, texts ...string) {
	w.Helper()
	_, err := w.run(item)
	if err == nil || diag.CodeOf(err) != code {
		w.Errorf("got %v, want %s", err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			w.Errorf("%q is not in the message: %v", text, err)
		}
	}
}

// requests compares what the registry was asked, "METHOD kind", in any order.
func (w *world) requests(want ...string) {
	w.Helper()
	var got []string
	for _, r := range w.proxy.Requests() {
		kind := "other"
		for _, k := range []string{"manifests", "blobs"} {
			if strings.Contains(r.Path, "/"+k+"/") {
				kind = k
			}
		}
		got = append(got, r.Method+" "+kind)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("the registry was asked %q, want %q\n%s", got, want, w.proxy.Log())
	}
}

// says fails unless a text is in the log of the last run.
func (w *world) says(text string) {
	w.Helper()
	if !strings.Contains(w.log.String(), text) {
		w.Errorf("%q is not in the log:\n%s", text, w.log.String())
	}
}

func (w *world) write(name, content string) {
	w.Helper()
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	must(w, os.MkdirAll(filepath.Dir(file), 0o755))
	must(w, os.WriteFile(file, []byte(content), 0o644))
}

// tarOf is a tar with files of these names and contents, in pairs; a name that ends in a slash is a folder.
func tarOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		h := &tar.Header{Name: pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1])), Typeflag: tar.TypeReg}
		if strings.HasSuffix(pairs[i], "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(pairs[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func blobOf(mediaType string, data []byte) basemaker.Blob { return basemaker.NewBlob(mediaType, data) }

// config is the configuration of an image with these uncompressed layers.
func config(t testing.TB, labels map[string]string, tars ...[]byte) basemaker.Blob {
	t.Helper()
	ids := make([]cas.Digest, len(tars))
	for i, data := range tars {
		ids[i] = cas.DigestOf(data)
	}
	doc, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	must(t, err)
	return blobOf(image.OCIConfig, doc)
}

var amd64 = basemaker.Platform{OS: "linux", Architecture: "amd64"}

// push puts an image into the registry.
func (w *world) push(repository, tag string, config basemaker.Blob, layers ...basemaker.Blob) *basemaker.Image {
	w.Helper()
	img, err := basemaker.NewImage(image.OCIManifest, config, layers, amd64)
	must(w, err)
	must(w, w.registry.Target().PushImage(w.Context(), repository, tag, img))
	return img
}

// foreignLayer is a layer as Docker's images for Windows have them: it is not in the registry.
func foreignLayer(b basemaker.Blob) basemaker.Blob {
	return basemaker.Blob{Descriptor: basemaker.Descriptor{
		MediaType: image.DockerForeignGzip, Digest: b.Digest, Size: b.Size, URLs: []string{"https://example.com/layer"},
	}}
}

// pushAs pushes the manifest alone: the blobs are there, whatever it says of them.
func (w *world) pushAs(repository, tag string, config basemaker.Blob, layers ...basemaker.Blob) {
	w.Helper()
	img, err := basemaker.NewImage(image.OCIManifest, config, layers, amd64)
	must(w, err)
	must(w, w.registry.Target().PushManifest(w.Context(), repository, tag, img.Manifest))
}
