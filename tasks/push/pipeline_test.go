package push_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/computeconfig"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/pushindex"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

// pipeline runs the image's stages one after the other in one folder, as the runner does: each reads the files that the earlier ones
// wrote.
type pipeline struct {
	t      *testing.T
	dir    string
	store  *cas.Store
	client *registry.Client
	log    *slog.Logger
	said   *bytes.Buffer  // what was logged
	did    outcome.Result // of the last push or push-index
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir) // requests name the responses by relative paths
	said := &bytes.Buffer{}
	return &pipeline{
		t: t, dir: dir, store: cas.Open(filepath.Join(dir, "store")), client: registry.New(registry.Options{}),
		log: slog.New(slog.NewTextHandler(said, nil)), said: said,
	}
}

func (p *pipeline) repo(n registry.Name, m registry.Mode) *registry.Repository {
	return p.client.Repository(n, m)
}

// save writes a response as the runner does.
func (p *pipeline) save(stage, file string, resp tasks.Document) {
	p.t.Helper()
	h := resp.ResponseOf()
	h.SchemaVersion, h.Stage = tasks.SchemaVersion, stage
	if err := os.WriteFile(file, encode(p.t, resp), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func header(stage string) tasks.RequestHeader {
	return tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: stage}
}

// valid fails the test for a request that its stage refuses.
func valid(t *testing.T, req interface{ Validate() error }) {
	t.Helper()
	if err := req.Validate(); err != nil {
		t.Fatal(err)
	}
}

func (p *pipeline) resolve(reference string) (*resolvebase.Response, error) {
	req := &resolvebase.Request{RequestHeader: header("resolve-base"), Reference: reference}
	valid(p.t, req)
	resp, err := resolvebase.Run(p.t.Context(), resolvebase.Deps{
		Source: func(n registry.Name, m registry.Mode) resolvebase.Source { return p.repo(n, m) }, Store: p.store, Log: p.log,
	}, req)
	if err == nil {
		p.save("resolve-base", "resolve-base.json", resp)
	}
	return resp, err
}

func (p *pipeline) selectBase(rid, format string) (*selectbase.Response, error) {
	req := &selectbase.Request{RequestHeader: header("select-base"), ResolveBasePath: "resolve-base.json", RuntimeIdentifier: rid, ImageFormat: format}
	valid(p.t, req)
	resp, err := selectbase.Run(p.t.Context(), selectbase.Deps{
		Source: func(n registry.Name, m registry.Mode) selectbase.Fetcher { return p.repo(n, m) }, Store: p.store, Log: p.log,
	}, req)
	if err == nil {
		p.save("select-base", "select-base.json", resp)
	}
	return resp, err
}

// config is a request with a bit of everything.
func config() *computeconfig.Request {
	return &computeconfig.Request{
		RequestHeader: header("compute-config"), SelectBasePath: "select-base.json",
		Labels:         []tasks.NameValue{{Name: "org.opencontainers.image.version", Value: "1.0.0"}},
		UserLabels:     []tasks.NameValue{{Name: "mine", Value: "a:b;c"}},
		GenerateLabels: true, GenerateDigestLabel: true, GenerateCreatedLabels: true,
		Environment: []tasks.NameValue{{Name: "GREETING", Value: "hello <world> & \"all\""}, {Name: "ASPNETCORE_URLS", Value: "http://+:8080"}},
		Ports:       []tasks.Port{{Number: "53", Type: "udp"}}, WorkingDirectory: "/app/",
		Entrypoint: []string{}, EntrypointArgs: []string{}, AppCommand: []string{"dotnet", "/app/shop.dll"}, AppCommandArgs: []string{}, DefaultArgs: []string{"--help"},
		SourceDateEpoch: "1700000000",
	}
}

func (p *pipeline) config(req *computeconfig.Request) *computeconfig.Response {
	p.t.Helper()
	valid(p.t, req)
	resp, err := computeconfig.Run(p.t.Context(), computeconfig.Deps{
		Source: func(n registry.Name, m registry.Mode) pull.Blobs { return p.repo(n, m) }, Store: p.store, Log: p.log,
		Warn: func(diag.Code, string) {},
	}, req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.save("compute-config", "compute-config.json", resp)
	return resp
}

// layers writes a response of create-layers with app layers of the given names. A name may end in a colon and a size in bytes; one
// that begins with an exclamation mark has no key.
func (p *pipeline) layers(names ...string) []tasks.Layer {
	p.t.Helper()
	doc := struct {
		tasks.ResponseHeader
		Layers []tasks.Layer `json:"layers"`
	}{ResponseHeader: tasks.ResponseHeader{SchemaVersion: 1, Stage: "create-layers"}}
	for _, name := range names {
		name, bytes, _ := strings.Cut(name, ":")
		size, _ := strconv.Atoi(bytes)
		tarball, gz := tarGzip(p.t, name, size)
		d, err := p.store.PutBytes(gz)
		if err != nil {
			p.t.Fatal(err)
		}
		key := cas.DigestOf(append([]byte("key of "), tarball...))
		if strings.HasPrefix(name, "!") {
			key = ""
		}
		doc.Layers = append(doc.Layers, tasks.Layer{
			Name: name, Key: key, Descriptor: tasks.Descriptor{MediaType: image.OCILayerGzip, Digest: d, Size: int64(len(gz))},
			DiffID: cas.DigestOf(tarball), Files: 1, CreatedBy: "gantry: " + name,
		})
	}
	if err := os.WriteFile("create-layers.json", encode(p.t, doc), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return doc.Layers
}

// tarGzip is a layer with one file of at least size bytes. It is stored without compression, so that its bytes hang on no compressor.
func tarGzip(t *testing.T, name string, size int) (tarball, gz []byte) {
	t.Helper()
	var b, z bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "app/" + name, Mode: 0o755, Size: int64(max(len(name), size)), Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, name+strings.Repeat("\x00", max(0, size-len(name)))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := gzip.NewWriterLevel(&z, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), z.Bytes()
}

func (p *pipeline) download(host, repository string) *downloadlayers.Response {
	p.t.Helper()
	req := &downloadlayers.Request{RequestHeader: header("download-layers"), SelectBasePath: "select-base.json", Registry: host, Repository: repository}
	valid(p.t, req)
	resp, err := downloadlayers.Run(p.t.Context(), downloadlayers.Deps{
		Repository: func(n registry.Name, m registry.Mode) downloadlayers.Repository { return p.repo(n, m) },
		Store:      p.store, Log: p.log, Progress: progress.Discard{},
	}, req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.save("download-layers", "download-layers.json", resp)
	return resp
}

// pushRequest is a request for the usual files.
func pushRequest(host, repository string, tags ...string) *push.Request {
	return &push.Request{
		RequestHeader: header("push"), SelectBasePath: "select-base.json", ComputeConfigPath: "compute-config.json",
		CreateLayersPath: "create-layers.json", Registry: host, Repository: repository, Tags: tags,
	}
}

func (p *pipeline) pushDeps() push.Deps {
	return push.Deps{
		Repository: func(n registry.Name, m registry.Mode) push.Repository { return p.repo(n, m) },
		Store:      p.store, Records: records.Of(p.store), Log: p.log, Progress: progress.Discard{}, Outcome: p.note,
	}
}

func (p *pipeline) note(r outcome.Result) error {
	p.did = r
	return nil
}

func (p *pipeline) push(file string, req *push.Request) (*push.Response, error) {
	p.t.Helper()
	valid(p.t, req)
	resp, err := push.Run(p.t.Context(), p.pushDeps(), req)
	if err == nil {
		p.save("push", file, resp)
	}
	return resp, err
}

func (p *pipeline) pushIndex(req *pushindex.Request) (*pushindex.Response, error) {
	p.t.Helper()
	req.RequestHeader = header("push-index")
	valid(p.t, req)
	resp, err := pushindex.Run(p.t.Context(), pushindex.Deps{
		Repository: func(n registry.Name, m registry.Mode) pushindex.Repository { return p.repo(n, m) }, Store: p.store, Log: p.log,
		Progress: progress.Discard{}, Outcome: p.note, PushPlatform: p.pushPlatform,
	}, req)
	if err == nil {
		p.save("push-index", "push-index.json", resp)
	}
	return resp, err
}

// pushPlatform runs a request for its image alone, as the runner does.
func (p *pipeline) pushPlatform(ctx context.Context, path string, to deliver.Destination, held []cas.Digest) (did outcome.Result, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return did, err
	}
	var req push.Request
	if err := json.Unmarshal(data, &req); err != nil {
		return did, err
	}
	req.Defer, req.Tags = false, nil
	d := p.pushDeps()
	d.Held, d.To = held, &to
	d.Outcome = func(r outcome.Result) error {
		did = r
		return nil
	}
	_, err = push.Run(ctx, d, &req)
	return did, err
}

// again forgets what a process knows: tokens, mounts, and with fresh the content store too.
func (p *pipeline) again(fresh bool) {
	p.t.Helper()
	p.client = registry.New(registry.Options{})
	if fresh {
		p.store = cas.Open(filepath.Join(p.t.TempDir(), "store"))
	}
}

// prepare runs all stages before push for a base in the same or another registry.
func (p *pipeline) prepare(reference, rid, format string, layers ...string) {
	p.t.Helper()
	if _, err := p.resolve(reference); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.selectBase(rid, format); err != nil {
		p.t.Fatal(err)
	}
	p.config(config())
	p.layers(layers...)
}
