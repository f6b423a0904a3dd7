package image_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// finished is an image as a push makes it, on a base of any shape.
type finished struct {
	computed json.RawMessage // by compute-config
	manifest image.Manifest
	config   []byte
	added    []image.NewLayer
	record   image.ImageRecord
}

func finish(t testing.TB, o basemaker.TinyOptions, layers int) *finished {
	t.Helper()
	base, err := basemaker.Tiny(o)
	if err != nil {
		t.Fatal(err)
	}
	b := base.Images[0]
	m, err := image.ParseManifest(b.Manifest.Data, b.Manifest.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ParseConfig(b.Config.Data)
	if err != nil {
		t.Fatal(err)
	}
	f := &finished{manifest: image.Manifest{MediaType: m.MediaType, Layers: m.Layers, Annotations: map[string]string{"a": "b"}}}
	f.computed, err = c.Derive(image.Changes{
		Environment: c.Environment, Ports: c.Ports, Created: "2020-01-01T00:00:00Z", Labels: map[string]string{"html": "<&> \u2028 é"},
	})
	if err != nil {
		t.Fatal(err)
	}
	format := image.FormatOf(m.MediaType)
	own, err := image.LayerType(image.OCILayerGzip, format)
	if err != nil {
		t.Fatal(err)
	}
	for i := range layers {
		d := cas.DigestOf([]byte{byte(i)})
		f.manifest.Layers = append(f.manifest.Layers, image.Descriptor{MediaType: own, Digest: d, Size: int64(i + 1)})
		f.added = append(f.added, image.NewLayer{DiffID: cas.DigestOf([]byte{1, byte(i)}), CreatedBy: "gantry create-layers: <app>"})
	}
	f.record = image.ImageRecord{
		Config: cas.DigestOf([]byte("input")), Layers: layers, Seal: image.Seal(f.computed, f.manifest.Annotations, f.manifest.Layers),
		Base: image.BaseRecord{
			Manifest: image.Descriptor{MediaType: m.MediaType, Digest: cas.Digest(b.Manifest.Digest), Size: b.Manifest.Size}, Config: m.Config,
			Platform: c.Platform, Created: c.Created,
		},
	}
	f.write(t)
	return f
}

// write makes the configuration of the layers and the record.
func (f *finished) write(t testing.TB) {
	t.Helper()
	for i := range f.added {
		r := image.Record{Layer: key(i)}
		if i == len(f.added)-1 {
			r.Image = &f.record
		}
		f.added[i].Comment = r.Comment()
	}
	f.encode(t)
}

func (f *finished) encode(t testing.TB) {
	t.Helper()
	var err error
	if f.config, err = image.AddLayers(f.computed, f.added); err != nil {
		t.Fatal(err)
	}
	f.manifest.Config = image.Descriptor{
		MediaType: image.ConfigType(image.FormatOf(f.manifest.MediaType)), Digest: cas.DigestOf(f.config), Size: int64(len(f.config)),
	}
}

func key(i int) cas.Digest { return cas.DigestOf([]byte{2, byte(i)}) }

// shapes are bases that make the documents differ.
func shapes() map[string]basemaker.TinyOptions {
	document := func(change func(map[string]any)) basemaker.TinyOptions {
		return basemaker.TinyOptions{Document: change}
	}
	return map[string]basemaker.TinyOptions{
		"oci":        {},
		"docker":     {Docker: true},
		"zstd":       {Zstd: true},
		"foreign":    {Foreign: true, Docker: true, Platforms: []basemaker.Platform{{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1.2"}}},
		"no layers":  {Layers: basemaker.NoLayers},
		"no history": document(func(d map[string]any) { delete(d, "history") }),
		"short history": document(func(d map[string]any) {
			d["history"] = []any{map[string]any{"created_by": "a"}, map[string]any{"created_by": "b", "empty_layer": true}}
		}),
		"unknown members": document(func(d map[string]any) { d["z"], d["moby.buildkit"] = 1.5, []any{"<", nil} }),
		"odd rootfs":      document(func(d map[string]any) { d["rootfs"].(map[string]any)["extra"] = 1 }),
		"no time":         document(func(d map[string]any) { delete(d, "created") }),
	}
}

// TestReadOwn: what ReadOwn takes off is what was added, and what is left is what was there before, byte for byte.
func TestReadOwn(t *testing.T) {
	for name, o := range shapes() {
		for _, n := range []int{1, 3} {
			f := finish(t, o, n)
			own, err := image.ReadOwn(&f.manifest, f.config)
			if err != nil {
				t.Errorf("%s, %d layers: %v", name, n, err)
				continue
			}
			if d := cmp.Diff(string(f.computed), string(own.Config)); d != "" {
				t.Errorf("%s, %d layers: configuration (-want +got):\n%s", name, n, d)
			}
			below := len(f.manifest.Layers) - n
			want := &image.Own{Config: f.computed, Created: "2020-01-01T00:00:00Z", Base: f.manifest.Layers[:below], Record: f.record}
			for i, l := range f.added {
				want.Layers = append(want.Layers, image.OwnLayer{Descriptor: f.manifest.Layers[below+i], DiffID: l.DiffID, Key: key(i), CreatedBy: l.CreatedBy})
			}
			if d := cmp.Diff(want, own); d != "" {
				t.Errorf("%s, %d layers (-want +got):\n%s", name, n, d)
			}
		}
	}
}

// TestReadOwn_refused: images that other tools made, changed or built upon, and records that claim what is not so.
func TestReadOwn_refused(t *testing.T) {
	edit := func(change func(doc map[string]any)) func(*testing.T, *finished) {
		return func(t *testing.T, f *finished) {
			var doc map[string]any
			if err := json.Unmarshal(f.config, &doc); err != nil {
				t.Fatal(err)
			}
			change(doc)
			var err error
			if f.config, err = image.Encode(doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	history := func(doc map[string]any) []any { return doc["history"].([]any) }
	record := func(change func(*image.ImageRecord)) func(*testing.T, *finished) {
		return func(t *testing.T, f *finished) {
			change(&f.record)
			f.write(t)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *finished)
		why    string
	}{
		{"no history", edit(func(d map[string]any) { delete(d, "history") }), "history for 0"},
		{"history cut", edit(func(d map[string]any) { d["history"] = history(d)[1:] }), "history for"},
		{"history too long", edit(func(d map[string]any) { d["history"] = append(history(d)[:1:1], history(d)...) }), "history for"},
		{"diff ID missing", edit(func(d map[string]any) {
			fs := d["rootfs"].(map[string]any)
			fs["diff_ids"] = fs["diff_ids"].([]any)[1:]
		}), "diff IDs"},
		{"layer missing", func(_ *testing.T, f *finished) { f.manifest.Layers = f.manifest.Layers[1:] }, "layers"},
		{"something on top", edit(func(d map[string]any) {
			d["history"] = append(history(d), map[string]any{"created_by": "ENV A=1", "empty_layer": true})
		}), "no layer"},
		{"a layer on top", func(t *testing.T, f *finished) {
			f.added = append(f.added, image.NewLayer{DiffID: key(9), CreatedBy: "COPY"})
			f.manifest.Layers = append(slices.Clone(f.manifest.Layers), f.manifest.Layers[0])
			f.encode(t)
		}, "without a record"},
		{"a layer of ours without a record", func(t *testing.T, f *finished) {
			f.added[0].Comment = ""
			f.encode(t)
		}, "without a record"},
		{"two image records", func(t *testing.T, f *finished) {
			f.added[0].Comment = f.added[1].Comment
			f.encode(t)
		}, "below the topmost"},
		{"no image record", func(t *testing.T, f *finished) {
			f.added[1].Comment = f.added[0].Comment
			f.encode(t)
		}, "no record of an image"},
		{"claims more than there are", record(func(r *image.ImageRecord) { r.Layers = 100 }), "claims 100"},
		{"claims the base's", record(func(r *image.ImageRecord) { r.Layers = 3 }), "without a record"},
		{"claims fewer", record(func(r *image.ImageRecord) { r.Layers = 1 }), "Gantry made it"},
		{"claims none", record(func(r *image.ImageRecord) { r.Layers = 0 }), "claims 0"},
		{"claims a negative number", record(func(r *image.ImageRecord) { r.Layers = -1 }), "claims -1"},
		{"another version", func(t *testing.T, f *finished) {
			f.added[1].Comment = strings.Replace(f.added[1].Comment, `"gantry":1`, `"gantry":2`, 1)
			f.encode(t)
		}, "without a record"},
		{"a record with more in it", func(t *testing.T, f *finished) {
			f.added[1].Comment = strings.Replace(f.added[1].Comment, `"gantry":1`, `"gantry":1,"x":1`, 1)
			f.encode(t)
		}, "without a record"},
		{"a label set", edit(func(d map[string]any) { d["config"].(map[string]any)["Labels"] = map[string]any{"x": "y"} }), "changed it"},
		{"written by another tool", func(_ *testing.T, f *finished) { f.config = append([]byte(" "), f.config...) }, "as Gantry writes"},
		{"another annotation", func(_ *testing.T, f *finished) { f.manifest.Annotations = nil }, "changed it"},
		{"compressed anew", func(_ *testing.T, f *finished) { f.manifest.Layers[4].Digest = key(8) }, "changed it"},
		{"put on another base", func(_ *testing.T, f *finished) { f.manifest.Layers[0].Digest = key(8) }, "changed it"},
		{"no seal", record(func(r *image.ImageRecord) { r.Seal = "" }), "without a record"},
		{"one key, two layers", func(t *testing.T, f *finished) {
			f.added[0].Comment = image.Record{Layer: key(1)}.Comment()
			f.encode(t)
		}, "two layers of the key"},
		{"base is no manifest", record(func(r *image.ImageRecord) { r.Base.Manifest.MediaType = image.OCIIndex }), "names no manifest"},
		{"base has no size", record(func(r *image.ImageRecord) { r.Base.Manifest.Size = 0 }), "names no manifest"},
		{"base has no configuration", record(func(r *image.ImageRecord) { r.Base.Config.MediaType = "a/b" }), "names no configuration"},
		{"base of another platform", record(func(r *image.ImageRecord) { r.Base.Platform.Architecture = "arm64" }), "arm64"},
		{"base has an odd time", record(func(r *image.ImageRecord) { r.Base.Created = "yesterday" }), "time"},
		{"configuration of another type", func(_ *testing.T, f *finished) { f.manifest.Config.MediaType = image.DockerConfig }, "of the type"},
		{"no configuration", func(_ *testing.T, f *finished) { f.config = []byte("[]") }, "not valid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := finish(t, basemaker.TinyOptions{}, 2)
			tc.change(t, f)
			_, err := image.ReadOwn(&f.manifest, f.config)
			if err == nil || !strings.Contains(err.Error(), tc.why) {
				t.Errorf("got %v, want %q", err, tc.why)
			}
		})
	}
}

// TestReadOwn_stacked: an image of Gantry's as the base of another: the records of the lower one do not count.
func TestReadOwn_stacked(t *testing.T) {
	lower := finish(t, basemaker.TinyOptions{}, 2)
	c, err := image.ParseConfig(lower.config)
	if err != nil {
		t.Fatal(err)
	}
	upper := &finished{manifest: image.Manifest{MediaType: image.OCIManifest, Layers: slices.Clone(lower.manifest.Layers)}, record: lower.record}
	if upper.computed, err = c.Derive(image.Changes{Environment: c.Environment, Created: "2021-01-01T00:00:00Z"}); err != nil {
		t.Fatal(err)
	}
	upper.added = []image.NewLayer{{DiffID: key(7)}}
	upper.manifest.Layers = append(upper.manifest.Layers, image.Descriptor{MediaType: image.OCILayerGzip, Digest: key(6), Size: 1})
	upper.record.Layers, upper.record.Seal = 1, image.Seal(upper.computed, nil, upper.manifest.Layers)
	upper.write(t)
	own, err := image.ReadOwn(&upper.manifest, upper.config)
	if err != nil || len(own.Layers) != 1 || len(own.Base) != 5 {
		t.Fatalf("got %+v, %v: want one layer on five", own, err)
	}
	upper.record.Layers = 3 // with those of the base
	upper.write(t)
	if _, err := image.ReadOwn(&upper.manifest, upper.config); err == nil {
		t.Error("the base's records counted")
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(image.Record{Layer: key(1)}.Comment())
	f.Add(image.Record{Layer: key(1), Image: &image.ImageRecord{Config: key(2), Seal: key(3), Layers: 1}}.Comment())
	f.Add(`{"gantry":1,"layer":"sha256:"}`)
	f.Add(`{"gantry":1,"Gantry":2}`)
	f.Fuzz(func(t *testing.T, comment string) {
		if r, ok := image.ParseRecord(comment); ok && (r.Comment() != comment || r.Gantry != image.RecordVersion || r.Layer == "") {
			t.Errorf("%q was taken for %+v", comment, r)
		}
	})
}

// FuzzReadOwn: a foreign configuration under a manifest of ours gives no more than it can prove.
func FuzzReadOwn(f *testing.F) {
	for _, o := range shapes() {
		f.Add(finish(f, o, 2).config, 2)
	}
	whole := finish(f, basemaker.TinyOptions{}, 2)
	f.Fuzz(func(t *testing.T, config []byte, layers int) {
		m := whole.manifest
		m.Layers = m.Layers[:min(max(layers, 0), len(m.Layers))]
		own, err := image.ReadOwn(&m, config)
		if err != nil {
			return
		}
		if len(own.Layers)+len(own.Base) != len(m.Layers) || own.Record.Layers != len(own.Layers) || own.Record.Seal != image.Seal(own.Config, m.Annotations, m.Layers) {
			t.Errorf("took %+v", own)
		}
		for _, l := range own.Layers {
			if l.Key == "" || l.DiffID == "" {
				t.Errorf("took a layer without a name: %+v", l)
			}
		}
	})
}
