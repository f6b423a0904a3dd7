package recall

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// made is an image as a push of Gantry's makes it.
type made struct {
	*basemaker.Image
	config json.RawMessage
	own    []tasks.Layer
	record image.ImageRecord
}

// makeImage puts layers with records on a base.
func makeImage(t *testing.T, base *basemaker.Image, seed string, change func(*image.ImageRecord)) *made {
	t.Helper()
	m, err := image.ParseManifest(base.Manifest.Data, base.Manifest.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ParseConfig(base.Config.Data)
	if err != nil {
		t.Fatal(err)
	}
	out := &made{Image: &basemaker.Image{Layers: slices.Clone(base.Layers), Platform: base.Platform}}
	if out.config, err = c.Derive(image.Changes{Environment: c.Environment, Created: "2020-01-01T00:00:00Z", User: seed}); err != nil {
		t.Fatal(err)
	}
	format := image.FormatOf(m.MediaType)
	kind, err := image.LayerType(image.OCILayerGzip, format)
	if err != nil {
		t.Fatal(err)
	}
	final := image.Manifest{MediaType: m.MediaType, Layers: m.Layers}
	if format == image.FormatOCI {
		final.Annotations = map[string]string{"org.opencontainers.image.base.name": "base"}
	}
	for _, name := range []string{"packages", "app"} {
		blob := basemaker.NewBlob(kind, []byte(seed+name))
		out.Layers = append(out.Layers, blob)
		desc := tasks.Descriptor{MediaType: kind, Digest: cas.Digest(blob.Digest), Size: blob.Size}
		final.Layers = append(final.Layers, desc)
		out.own = append(out.own, tasks.Layer{
			Name: name, Descriptor: desc, DiffID: cas.DigestOf([]byte(name)), Key: cas.DigestOf([]byte("key" + seed + name)), CreatedBy: "gantry create-layers: " + name,
		})
	}
	out.record = image.ImageRecord{
		Config: cas.DigestOf([]byte(seed)), Seal: image.Seal(out.config, final.Annotations, final.Layers), Layers: 2,
		Base: image.BaseRecord{
			Manifest: tasks.Descriptor{MediaType: m.MediaType, Digest: cas.Digest(base.Manifest.Digest), Size: base.Manifest.Size},
			Config:   m.Config, Platform: c.Platform, Created: c.Created,
		},
	}
	if change != nil {
		change(&out.record)
	}
	body, err := image.AddLayers(out.config, []image.NewLayer{
		{DiffID: out.own[0].DiffID, CreatedBy: out.own[0].CreatedBy, Comment: image.Record{Layer: out.own[0].Key}.Comment()},
		{DiffID: out.own[1].DiffID, CreatedBy: out.own[1].CreatedBy, Comment: image.Record{Layer: out.own[1].Key, Image: &out.record}.Comment()},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Config = basemaker.NewBlob(image.ConfigType(format), body)
	final.Config = tasks.Descriptor{MediaType: out.Config.MediaType, Digest: cas.Digest(out.Config.Digest), Size: out.Config.Size}
	if body, err = final.Encode(); err != nil {
		t.Fatal(err)
	}
	out.Manifest = basemaker.NewBlob(m.MediaType, body)
	return out
}

// world is a registry behind a proxy that counts, and a machine with an empty store.
type world struct {
	*testing.T
	reg   *testenv.Registry
	proxy *testenv.Proxy
	store *cas.Store
	log   bytes.Buffer
	ctx   context.Context
}

func newWorld(t *testing.T, start func(testing.TB) *testenv.Registry) *world {
	t.Helper()
	reg := start(t)
	w := &world{T: t, reg: reg, proxy: testenv.StartProxy(t, reg), ctx: t.Context()}
	w.fresh()
	return w
}

// fresh is the next machine.
func (w *world) fresh() {
	w.Helper()
	w.store = cas.Open(w.TempDir())
	w.log.Reset()
	w.proxy.Reset()
}

func tiny(t *testing.T, o basemaker.TinyOptions) *basemaker.TinyBase {
	t.Helper()
	base, err := basemaker.Tiny(o)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// push puts an image of Gantry's on a tiny base into the registry.
func (w *world) push(repository, tag, seed string) *made {
	w.Helper()
	m := makeImage(w.T, tiny(w.T, basemaker.TinyOptions{}).Images[0], seed, nil)
	w.put(repository, tag, m.Image)
	return m
}

func (w *world) put(repository, tag string, i *basemaker.Image) {
	w.Helper()
	if err := w.reg.Target().PushImage(w.Context(), repository, tag, i); err != nil {
		w.Fatal(err)
	}
}

func (w *world) request(tags ...string) *Request {
	return &Request{Registry: w.proxy.Host(), Repository: "demo/shop", Tags: tags, RuntimeIdentifier: "linux-x64"}
}

func (w *world) run(req *Request) (*tasks.Recalled, error) {
	w.Helper()
	if err := req.Validate(); err != nil {
		w.Fatal(err)
	}
	client := registry.New(registry.Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	return Run(w.ctx, Deps{
		Repository: func(n registry.Name, m registry.Mode) Repository { return client.Repository(n, m) },
		Store:      w.store, Records: records.Of(w.store), Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Build: "b1",
	}, req)
}

// recall runs the stage and compares how often the registry was asked; -1 does not.
func (w *world) recall(req *Request, requests int) *tasks.Recalled {
	w.Helper()
	got, err := w.run(req)
	if err != nil {
		w.Fatal(err)
	}
	if n := w.proxy.Counts().Requests; requests >= 0 && n != requests {
		w.Errorf("%d requests, want %d:\n%s", n, requests, w.proxy.Log())
	}
	return got
}

// said fails the test unless the log has each text; one that begins with ! must not be there.
func (w *world) said(texts ...string) {
	w.Helper()
	for _, s := range texts {
		want := !strings.HasPrefix(s, "!")
		if strings.Contains(w.log.String(), strings.TrimPrefix(s, "!")) != want {
			w.Errorf("the log has %q: %v, want %v:\n%s", s, !want, want, w.log.String())
		}
	}
}
