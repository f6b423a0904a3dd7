package check_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/check"
)

const (
	baseDigest = "org.opencontainers.image.base.digest"
	baseName   = "org.opencontainers.image.base.name"
	key        = "5d41402abc4b2a76b9719d911017c592"
	keyTag     = "content-" + key
)

var (
	amd64  = basemaker.Platform{OS: "linux", Architecture: "amd64"}
	arm64  = basemaker.Platform{OS: "linux", Architecture: "arm64"}
	server = map[string]func(t *testing.T) *testenv.Registry{
		"distribution": func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t) },
		"olareg":       func(t *testing.T) *testenv.Registry { return testenv.StartOlareg(t) },
	}
)

// world is a registry with a base image and images on it, which a check sees through a proxy.
type world struct {
	t      *testing.T
	reg    *testenv.Registry
	proxy  *testenv.Proxy
	direct *registry.Client
	docker bool
	base   testenv.Base
	secret string
	out    string // folder of the answer
	told   []outcome.Result
	log    bytes.Buffer
}

func newWorld(t *testing.T, reg *testenv.Registry, docker bool, platforms ...basemaker.Platform) *world {
	t.Helper()
	w := &world{t: t, reg: reg, proxy: testenv.StartProxy(t, reg), direct: registry.New(registry.Options{}), docker: docker, out: t.TempDir()}
	w.pushBase("", platforms...)
	return w
}

// pushBase makes the base's tag name something new.
func (w *world) pushBase(seed string, platforms ...basemaker.Platform) {
	w.t.Helper()
	w.base = testenv.PushTinyBase(w.t, w.reg, "dotnet/base", "1", basemaker.TinyOptions{
		Layers: 1, Docker: w.docker, Platforms: platforms, Index: len(platforms) > 0, Seed: seed,
	})
}

func (w *world) format() string {
	if w.docker {
		return image.FormatDocker
	}
	return image.FormatOCI
}

// baseOf is the digest of the base for one architecture.
func (w *world) baseOf(p basemaker.Platform) string {
	for _, i := range w.base.Images {
		if i.Platform.Architecture == p.Architecture {
			return i.Manifest.Digest
		}
	}
	w.t.Fatalf("the base has no %s", p.Architecture)
	return ""
}

// images is a repository as whoever may push sees it.
func (w *world) images(repository string) *registry.Repository {
	return w.direct.Repository(registry.Name{Registry: w.reg.Host(), Repository: repository}, registry.ModePush)
}

func (w *world) blob(repository string, content []byte, mediaType string) image.Descriptor {
	w.t.Helper()
	d := image.Descriptor{MediaType: mediaType, Digest: cas.DigestOf(content), Size: int64(len(content))}
	_, err := w.images(repository).PushBlob(w.t.Context(), registry.BlobSource{
		Digest: d.Digest, Size: d.Size, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// doc is a manifest or index that was pushed by its digest.
type doc struct {
	mediaType string
	body      []byte
	desc      image.Descriptor
}

func (w *world) put(repository, tag string, d doc) {
	w.t.Helper()
	if err := w.images(repository).PushManifest(w.t.Context(), tag, d.mediaType, d.body); err != nil {
		w.t.Fatal(err)
	}
}

// image pushes an image with some content that records its base as gantry does. Change may spoil it.
func (w *world) image(repository, content string, p basemaker.Platform, change ...func(record map[string]string)) doc {
	w.t.Helper()
	record := map[string]string{baseDigest: w.baseOf(p), baseName: w.proxy.Host() + "/dotnet/base:1"}
	for _, c := range change {
		c(record)
	}
	layer := w.blob(repository, []byte(content), must(image.LayerType(image.OCILayerGzip, w.format())))
	config := map[string]any{
		"os": p.OS, "architecture": p.Architecture, "rootfs": map[string]any{"type": "layers", "diff_ids": []any{layer.Digest}}, "config": map[string]any{},
	}
	m := image.Manifest{MediaType: image.ManifestType(w.format()), Layers: []image.Descriptor{layer}}
	if w.docker {
		config["config"] = map[string]any{"Labels": record}
	} else {
		m.Annotations = record
	}
	m.Config = w.blob(repository, must(json.Marshal(config)), image.ConfigType(w.format()))
	return w.document(repository, m.MediaType, must(m.Encode()), &image.Platform{OS: p.OS, Architecture: p.Architecture})
}

// index pushes an index of images.
func (w *world) index(repository string, images ...doc) doc {
	w.t.Helper()
	x := image.Index{MediaType: image.IndexType(w.format())}
	for _, i := range images {
		x.Manifests = append(x.Manifests, i.desc)
	}
	return w.document(repository, x.MediaType, must(x.Encode()), nil)
}

func (w *world) document(repository, mediaType string, body []byte, p *image.Platform) doc {
	w.t.Helper()
	d := doc{mediaType, body, image.Descriptor{MediaType: mediaType, Digest: cas.DigestOf(body), Size: int64(len(body)), Platform: p}}
	w.put(repository, string(d.desc.Digest), d)
	return d
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// request is the usual one, for an image in "app".
func (w *world) request(rids ...string) *check.Request {
	return &check.Request{
		RequestHeader: tasks.RequestHeader{SchemaVersion: 1, Stage: "check"}, Reference: w.proxy.Host() + "/dotnet/base:1",
		Registry: w.proxy.Host(), Repository: "app", CacheKey: key, Tags: []string{"1.0"}, RuntimeIdentifiers: rids,
	}
}

// run checks with an empty store, as on a fresh machine, and forgets the requests before.
func (w *world) run(req *check.Request) (*check.Response, error) {
	w.t.Helper()
	if err := req.Validate(); err != nil {
		w.t.Fatal(err)
	}
	w.told, w.log = nil, bytes.Buffer{}
	w.proxy.Reset()
	return check.Run(w.t.Context(), w.deps(), req)
}

func (w *world) deps() check.Deps {
	client := registry.New(registry.Options{})
	open := func(n registry.Name) cachekey.Repository { return client.Repository(n, registry.ModePush) }
	return check.Deps{
		Repository: func(n registry.Name, m registry.Mode) check.Repository { return client.Repository(n, m) },
		Keys:       func(image, keys registry.Name) check.Keys { return cachekey.New(open, image, keys, w.secret) },
		Store:      cas.Open(w.t.TempDir()), Log: slog.New(slog.NewTextHandler(&w.log, nil)), Progress: progress.Discard{}, OutputDir: w.out,
		Outcome: func(r outcome.Result) error { w.told = append(w.told, r); return nil },
	}
}

// hit wants an image, after so many requests.
func (w *world) hit(req *check.Request, want doc, requests int) *check.Response {
	w.t.Helper()
	resp, err := w.run(req)
	if err != nil || !resp.Hit || resp.Digest != want.desc.Digest || resp.ExitCode() != 0 || resp.Reason == "" {
		w.t.Fatalf("got %+v, %v, want %s", resp, err, want.desc.Digest)
	}
	if n := w.proxy.Counts().Requests; n != requests {
		w.t.Errorf("got %d requests, want %d:\n%s", n, requests, w.proxy.Log())
	}
	return resp
}

// miss wants none, for a reason, and that nothing was written.
func (w *world) miss(req *check.Request, reason string) *check.Response {
	w.t.Helper()
	resp, err := w.run(req)
	if err != nil || resp.Hit || resp.Digest != "" || resp.ExitCode() != 10 || !strings.Contains(resp.Reason, reason) {
		w.t.Errorf("got %+v, %v, want a miss: %s", resp, err, reason)
		return resp
	}
	if !strings.Contains(w.log.String(), "No image for the cache key in") {
		w.t.Errorf("the log has no reason: %s", &w.log)
	}
	for _, r := range w.proxy.Requests() {
		if r.Method != "GET" && r.Method != "HEAD" && r.Status/100 == 2 {
			w.t.Errorf("a miss has written: %s", r)
		}
	}
	if len(w.told) > 0 {
		w.t.Errorf("a miss was reported as done: %+v", w.told)
	}
	return resp
}

// names checks what a tag names.
func (w *world) names(repository, tag string, want doc) {
	w.t.Helper()
	if _, digest, _ := w.reg.Manifest(repository, tag); digest != string(want.desc.Digest) {
		w.t.Errorf("%s:%s names %s, want %s", repository, tag, digest, want.desc.Digest)
	}
}

func (w *world) file(name string) []byte {
	w.t.Helper()
	body, err := os.ReadFile(filepath.Join(w.out, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return body
}

// resolved writes a response of resolve-base for the base.
func (w *world) resolved(digest, mediaType string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "resolve-base.json")
	body := must(json.Marshal(map[string]any{
		"schemaVersion": 1, "stage": "resolve-base", "reference": w.proxy.Host() + "/dotnet/base:1", "registry": w.proxy.Host(),
		"repository": "dotnet/base", "digest": digest, "mediaType": mediaType,
	}))
	if err := os.WriteFile(path, body, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// remove takes a blob away under the registry.
func (w *world) remove(digest string) {
	w.t.Helper()
	if err := os.Remove(w.reg.BlobFile(digest)); err != nil {
		w.t.Fatal(err)
	}
}
