package imagediff

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// file is an entry of a layer that a test writes.
type file struct {
	name, content string
	kind          byte // tar's; 0 is a file
	link          string
	mode          int64
}

// layerOf writes a tar of entries, compressed as asked for.
func layerOf(t *testing.T, level int, files ...file) (blob []byte, diffID string) {
	t.Helper()
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range files {
		if f.kind == 0 {
			f.kind = tar.TypeReg
		}
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: 0o755 | f.mode, Size: int64(len(f.content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	diffID = fmt.Sprintf("sha256:%x", sha256.Sum256(plain.Bytes()))
	z, err := gzip.NewWriterLevel(&packed, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes(), diffID
}

// made is an image to be pushed.
type made struct {
	layers  [][]byte
	diffIDs []string
	config  map[string]any
	top     map[string]any
	extra   map[string]string // annotations
}

func (m *made) layer(t *testing.T, files ...file) *made {
	blob, id := layerOf(t, gzip.BestSpeed, files...)
	m.layers, m.diffIDs = append(m.layers, blob), append(m.diffIDs, id)
	return m
}

// push writes the image to the registry and returns its reference.
func (m *made) push(t *testing.T, r *testenv.Registry, tag string) string {
	t.Helper()
	doc := map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"WorkingDir": "/app/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": append([]string{}, m.diffIDs...)},
	}
	for k, v := range m.config {
		doc["config"].(map[string]any)[k] = v
	}
	for k, v := range m.top {
		doc[k] = v
	}
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var layers []basemaker.Blob
	for _, l := range m.layers {
		layers = append(layers, basemaker.NewBlob(basemaker.OCILayer, l))
	}
	img, err := basemaker.NewImage(basemaker.OCIManifest, basemaker.NewBlob(basemaker.OCIConfig, body), layers, basemaker.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if m.extra != nil {
		var manifest map[string]any
		if err := json.Unmarshal(img.Manifest.Data, &manifest); err != nil {
			t.Fatal(err)
		}
		manifest["annotations"] = m.extra
		if body, err = json.Marshal(manifest); err != nil {
			t.Fatal(err)
		}
		img.Manifest = basemaker.NewBlob(basemaker.OCIManifest, body)
	}
	if err := r.Target().PushImage(t.Context(), "shop", tag, img); err != nil {
		t.Fatal(err)
	}
	return r.Reference("shop", tag)
}

func deps(t *testing.T) Deps {
	t.Helper()
	client := registry.New(registry.Options{})
	return Deps{
		Source: func(n registry.Name) Repository { return client.Repository(n, registry.ModePull) },
		Store:  cas.Open(t.TempDir()),
		Log:    slog.New(slog.DiscardHandler),
	}
}

// TestRun_images compares small images in a real registry.
func TestRun_images(t *testing.T) {
	r := testenv.StartRegistry(t)
	base := func() *made {
		return (&made{}).layer(t, file{name: "etc/a", content: "a"}, file{name: "app/old", content: "old"})
	}
	app := func(files ...file) *made { return base().layer(t, files...) }
	repacked := app(file{name: "app/x", content: "1"})
	repacked.layers[1], _ = layerOf(t, gzip.BestCompression, file{name: "app/x", content: "1"})
	stored, _ := layerOf(t, gzip.NoCompression, file{name: "app/x", content: "1"})
	repacked.layers[1] = stored
	one := app(file{name: "app/x", content: "1"})
	tests := []struct {
		name  string
		a, b  *made
		cause string
		more  string // a text of another difference
	}{
		{"content", one, app(file{name: "app/x", content: "22"}), "x changed (content, 1 → 2 bytes)", "1 layers are only in A, 1 only in B, 1 are in both"},
		{"mode", one, app(file{name: "app/x", content: "1", mode: 0o4000}), "the mode of x changed: 0755 → 4755", ""},
		{"link", app(file{name: "app/l", kind: tar.TypeSymlink, link: "x"}), app(file{name: "app/l", kind: tar.TypeSymlink, link: "y"}), "l leads elsewhere: x → y", ""},
		{"kind", one, app(file{name: "app/x", kind: tar.TypeSymlink, link: "y"}), "x was a file and is a symbolic link", ""},
		{"whiteout", one, app(file{name: "app/x", content: "1"}, file{name: "app/.wh.old"}), "old is deleted of a lower layer only in B", ""},
		{"hard link", app(file{name: "app/x", content: "1"}, file{name: "app/y", content: "1"}), app(file{name: "app/x", content: "1"}, file{name: "app/y", kind: tar.TypeLink, link: "app/x"}), "the same files are divided into layers differently", ""},
		{"compression", one, repacked, "the layers have the same content and are compressed differently", ""},
		{
			"split", app(file{name: "app/x", content: "1"}, file{name: "app/y", content: "2"}),
			app(file{name: "app/x", content: "1"}).layer(t, file{name: "app/y", content: "2"}), "the same files are divided into layers differently", "",
		},
		{"deleted above", one, app(file{name: "app/x", content: "1"}, file{name: "app/d/z", content: "2"}).layer(t, file{name: "app/.wh.d"}), "d is deleted of a lower layer only in B", ""},
		{"opaque", one, app(file{name: "app/x", content: "1"}, file{name: "app/d/z", content: "2"}).layer(t, file{name: "app/d/.wh..wh..opq"}), "d/.wh..wh..opq is deleted of a lower layer only in B", ""},
		{"outside", one, app(file{name: "app/x", content: "1"}, file{name: "etc/b"}), "/etc/b is only in B", ""},
		{"control characters", one, app(file{name: "app/x", content: "1"}, file{name: "app/\x1b[2Jbad"}), `"\x1b[2Jbad" is only in B`, ""},
		{"user", one, &made{layers: one.layers, diffIDs: one.diffIDs, config: map[string]any{"User": "1654"}}, "user is only in B: 1654", ""},
		{"health check", one, &made{layers: one.layers, diffIDs: one.diffIDs, config: map[string]any{"Healthcheck": map[string]any{"Test": []string{"CMD", "hunter2"}}}}, "member Healthcheck of the configuration is only in B: sha256:", ""},
		{"created", one, &made{layers: one.layers, diffIDs: one.diffIDs, top: map[string]any{"created": "2026-01-01T00:00:00Z"}}, "creation time is only in B: 2026-01-01T00:00:00Z", ""},
		{"empty members", one, &made{layers: one.layers, diffIDs: one.diffIDs, config: map[string]any{"Env": []string{}}}, "the manifests or configurations say the same", ""},
		{"annotation", one, &made{layers: one.layers, diffIDs: one.diffIDs, extra: map[string]string{"secret": "hunter2"}}, "annotation secret is only in B: sha256:", ""},
		{
			"base", &made{layers: one.layers, diffIDs: one.diffIDs, extra: map[string]string{baseDigest: "sha256:1", baseName: "b:1"}},
			&made{layers: one.layers, diffIDs: one.diffIDs, extra: map[string]string{baseDigest: "sha256:2", baseName: "b:1"}, config: map[string]any{"User": "x"}},
			"the base moved: sha256:1 → sha256:2", "user is only in B: x",
		},
		{
			"another base", &made{layers: one.layers, diffIDs: one.diffIDs, config: map[string]any{"Labels": map[string]string{baseDigest: "sha256:1", baseName: "b:1"}}},
			&made{layers: one.layers, diffIDs: one.diffIDs, config: map[string]any{"Labels": map[string]string{baseDigest: "sha256:2", baseName: "b:2"}}},
			"the base is another: b:1 → b:2", "label " + baseName + " changed: b:1 → b:2",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tag := strings.ReplaceAll(test.name, " ", "-")
			o := Options{A: test.a.push(t, r, tag+"-a"), B: test.b.push(t, r, tag+"-b"), Dir: t.TempDir()}
			d := deps(t)
			report, err := Run(t.Context(), d, o)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(report.Cause, test.cause) || report.Equal {
				t.Errorf("got %q, want %q", report.Cause, test.cause)
			}
			var text bytes.Buffer
			if err := report.WriteText(&text, true); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text.String(), test.more) || strings.Contains(text.String(), "hunter2") {
				t.Errorf("got\n%s\nwant it to have %q", text.String(), test.more)
			}
			o.B = o.A
			if report, err := Run(t.Context(), d, o); err != nil || !report.Equal || !strings.HasPrefix(report.Cause, "equal: ") {
				t.Errorf("with itself: %v %v", report, err)
			}
		})
	}
}

// TestRun_hostile holds images that lie to coded errors.
func TestRun_hostile(t *testing.T) {
	r := testenv.StartRegistry(t)
	good := (&made{}).layer(t, file{name: "app/x", content: "1"})
	wrongID := (&made{}).layer(t, file{name: "app/x", content: "2"})
	wrongID.diffIDs = good.diffIDs
	noTar := &made{layers: [][]byte{[]byte("no tar at all, and not short enough to be nothing either")}, diffIDs: []string{"sha256:" + strings.Repeat("0", 64)}}
	cut := (&made{}).layer(t, file{name: "app/x", content: strings.Repeat("2", 4096)})
	cut.layers[0] = cut.layers[0][:len(cut.layers[0])-12]
	escape := (&made{}).layer(t, file{name: "app/../../etc/passwd", content: "2"})
	count := (&made{}).layer(t, file{name: "app/x", content: "2"})
	count.diffIDs = append(count.diffIDs, count.diffIDs[0])
	tests := []struct {
		name string
		m    *made
		code diag.Code
	}{
		{"a wrong diff ID", wrongID, diag.InvalidBaseConfig},
		{"no tar", noTar, diag.InvalidBaseManifest},
		{"a layer that is cut off", cut, diag.InvalidBaseManifest},
		{"a path out of the root", escape, diag.InvalidBaseManifest},
		{"too many diff IDs", count, diag.InvalidBaseConfig},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tag := fmt.Sprint(i)
			_, err := Run(t.Context(), deps(t), Options{A: good.push(t, r, "good"), B: test.m.push(t, r, tag), Dir: t.TempDir()})
			if diag.CodeOf(err) != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, deps(t), Options{A: good.push(t, r, "good"), B: wrongID.push(t, r, "other"), Dir: t.TempDir()}); err == nil {
		t.Error("a cancelled context: no error")
	}
}

// TestRun_rottenStore damages the layer in the store: it is fetched again.
func TestRun_rottenStore(t *testing.T) {
	r := testenv.StartRegistry(t)
	a, b := (&made{}).layer(t, file{name: "app/x", content: "1"}), (&made{}).layer(t, file{name: "app/x", content: "2"})
	o := Options{A: a.push(t, r, "a"), B: b.push(t, r, "b"), Dir: t.TempDir()}
	d := deps(t)
	for range 2 {
		report, err := Run(t.Context(), d, o)
		if err != nil || report.Cause != "x changed (content)" {
			t.Fatalf("got %+v, %v", report, err)
		}
		rot(t, d.Store.Path(cas.DigestOf(a.layers[0])))
	}
}
