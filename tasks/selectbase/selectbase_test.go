package selectbase

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

const diffID = `"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`

// base is an image in the store; a test changes a part before it is stored.
type base struct {
	config   string
	manifest image.Manifest
	platform image.Platform
	index    bool
}

func newBase() *base {
	return &base{
		config:   `{"os":"linux","architecture":"amd64","created":"2020-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":[` + diffID + `]}}`,
		manifest: image.Manifest{MediaType: image.OCIManifest, Layers: []image.Descriptor{{MediaType: image.OCILayerGzip, Digest: cas.DigestOf(nil), Size: 1}}},
		platform: image.Platform{OS: "linux", Architecture: "amd64"},
	}
}

// store puts the base into a new store and returns the stage's dependencies and the response of resolve-base. Its registry does not
// exist: what the store lacks cannot be had.
func (b *base) store(t *testing.T, change func(*image.Descriptor)) (Deps, string) {
	t.Helper()
	dir := t.TempDir()
	store := cas.Open(filepath.Join(dir, "store"))
	put := func(body []byte, err error) (cas.Digest, int64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d, err := store.PutBytes(body)
		if err != nil {
			t.Fatal(err)
		}
		return d, int64(len(body))
	}
	d, n := put([]byte(b.config), nil)
	b.manifest.Config = image.Descriptor{MediaType: image.OCIConfig, Digest: d, Size: n}
	if change != nil {
		change(&b.manifest.Config)
	}
	d, n = put(b.manifest.Encode())
	mediaType := b.manifest.MediaType
	if b.index {
		x, err := image.NewIndex(image.FormatOCI, []image.Descriptor{{MediaType: mediaType, Digest: d, Size: n, Platform: &b.platform}})
		if err != nil {
			t.Fatal(err)
		}
		d, n = put(x.Encode())
		mediaType = x.MediaType
	}
	doc, err := json.Marshal(map[string]any{
		"schemaVersion": 1, "stage": "resolve-base", "reference": "r.example/b:1", "registry": "r.example", "repository": "b",
		"digest": d, "mediaType": mediaType, "size": n, "field of a later version": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "resolve-base.json")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	source := func(registry.Name, registry.Mode) Fetcher {
		return registry.New(registry.Options{}).Repository(registry.Name{Registry: "not a registry", Repository: "b"}, registry.ModePull)
	}
	return Deps{Source: source, Store: store, Log: slog.New(slog.DiscardHandler)}, file
}

func TestRun(t *testing.T) {
	b := newBase()
	b.index = true
	deps, file := b.store(t, nil)
	graph := filepath.Join(t.TempDir(), "graph.json")
	if err := os.WriteFile(graph, []byte(`{"runtimes":{"demo":{"#import":["linux-x64"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	resp, err := Run(t.Context(), deps, &Request{ResolveBasePath: file, RuntimeIdentifier: "demo", RidGraphPath: graph})
	if err != nil {
		t.Fatal(err)
	}
	var inputs []string
	for _, in := range resp.Inputs {
		inputs = append(inputs, in.Path)
	}
	if d := cmp.Diff([]string{file, graph}, inputs); d != "" {
		t.Errorf("inputs (-want +got):\n%s", d)
	}
	want := tasks.Base{
		Reference: "r.example/b:1", Registry: "r.example", Repository: "b", Digest: resp.Base.Digest,
		Manifest: resp.Base.Manifest, Config: b.manifest.Config, Layers: b.manifest.Layers,
		Platform: b.platform, RuntimeIdentifier: "demo", Format: tasks.FormatOCI, Created: "2020-01-01T00:00:00Z",
	}
	if d := cmp.Diff(want, resp.Base); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if resp.Base.Manifest.Digest == resp.Base.Digest {
		t.Error("the platform's manifest has the digest of the index")
	}
	_, err = Run(t.Context(), deps, &Request{ResolveBasePath: file, RuntimeIdentifier: "linux-arm64"})
	if diag.CodeOf(err) != diag.NoImageForRID || !strings.Contains(err.Error(), "linux-x64") {
		t.Errorf("got %v, want %s with the list of what there is", err, diag.NoImageForRID)
	}
}

// TestRun_single: a base that is no index serves every runtime identifier, as with the SDK.
func TestRun_single(t *testing.T) {
	deps, file := newBase().store(t, nil)
	for _, rid := range []string{"linux-x64", "linux-arm64", "win-x64", "nonsense"} {
		if _, err := Run(t.Context(), deps, &Request{ResolveBasePath: file, RuntimeIdentifier: rid}); err != nil {
			t.Errorf("%s: %v", rid, err)
		}
	}
}

func TestRun_refused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*base)
		config func(*image.Descriptor)
		req    Request
		code   diag.Code
	}{
		{"layers and diff IDs differ", func(b *base) { b.manifest.Layers = nil }, nil, Request{}, diag.InvalidBaseConfig},
		{"config is no object", func(b *base) { b.config = `[]` }, nil, Request{}, diag.InvalidBaseConfig},
		{"config of another size", nil, func(d *image.Descriptor) { d.Size++ }, Request{}, diag.InvalidBaseManifest},
		{"huge config", nil, func(d *image.Descriptor) { d.Size = 1 << 40 }, Request{}, diag.InvalidBaseManifest},
		{"zstd for Docker", func(b *base) { b.manifest.Layers[0].MediaType = image.OCILayerZstd }, nil, Request{ImageFormat: "Docker"}, diag.ZstdUnderDocker},
		{"unknown layer", func(b *base) { b.manifest.Layers[0].MediaType = "a/b" }, nil, Request{}, diag.UnknownMediaType},
		{"nested index", func(b *base) { b.index, b.manifest.MediaType = true, image.OCIIndex }, nil, Request{}, diag.UnknownManifest},
		{"no graph", func(b *base) { b.index = true }, nil, Request{RidGraphPath: "missing.json"}, diag.InvalidValue},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBase()
			if tc.change != nil {
				tc.change(b)
			}
			deps, file := b.store(t, tc.config)
			req := tc.req
			req.ResolveBasePath, req.RuntimeIdentifier = file, "linux-x64"
			if _, err := Run(t.Context(), deps, &req); diag.CodeOf(err) != tc.code {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
}

func TestRun_wrongDocument(t *testing.T) {
	deps, _ := newBase().store(t, nil)
	file := filepath.Join(t.TempDir(), "x.json")
	for body, code := range map[string]diag.Code{
		`{"schemaVersion":1,"stage":"scan"}`:                              diag.UnsupportedSchema,
		`{"schemaVersion":2,"stage":"resolve-base"}`:                      diag.UnsupportedSchema,
		`{"schemaVersion":1,"stage":"resolve-base","digest":"sha256:no"}`: diag.MalformedJSON,
		`x`: diag.MalformedJSON,
	} {
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), deps, &Request{ResolveBasePath: file, RuntimeIdentifier: "linux-x64"}); diag.CodeOf(err) != code {
			t.Errorf("%s: got %v, want %s", body, err, code)
		}
	}
	if _, err := Run(t.Context(), deps, &Request{ResolveBasePath: file + ".none"}); diag.CodeOf(err) != diag.RequestUnreadable {
		t.Errorf("no file: got %v, want %s", err, diag.RequestUnreadable)
	}
}

func TestRequest_Validate(t *testing.T) {
	err := (&Request{ImageFormat: "docker"}).Validate()
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) || len(list.Unwrap()) != 3 {
		t.Errorf("got %v, want three problems", err)
	}
	if err := (&Request{ResolveBasePath: "a", RuntimeIdentifier: "b"}).Validate(); err != nil {
		t.Error(err)
	}
}
