package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

// memory is a source of blobs that counts what is read.
type memory struct {
	blobs map[cas.Digest][]byte
	read  int
}

func (m *memory) Blob(_ context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	m.read++
	body, ok := m.blobs[d]
	if !ok {
		return nil, errors.New("lost")
	}
	return content.Verify(io.NopCloser(bytes.NewReader(body)), d, size, "memory"), nil
}

func (m *memory) add(mediaType string, body []byte) image.Descriptor {
	d := deliver.NewDocument(body, mediaType).Descriptor
	m.blobs[d.Digest] = body
	return d
}

// tiny is an image of two layers, which are tars without compression.
func tiny(t testing.TB) (*content.Image, *memory) {
	t.Helper()
	m := &memory{blobs: map[cas.Digest][]byte{}}
	man := image.Manifest{MediaType: image.DockerManifest}
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[`
	for i, text := range []string{"one", strings.Repeat("two", 1000)} {
		l := m.add(image.DockerLayerTar, []byte(text))
		man.Layers = append(man.Layers, l)
		config += []string{"", ","}[i] + `"` + string(l.Digest) + `"`
	}
	man.Config = m.add(image.DockerConfig, []byte(config+`]}}`))
	body, err := man.Encode()
	if err != nil {
		t.Fatal(err)
	}
	top := deliver.NewDocument(body, man.MediaType)
	_, blobs, err := image.References(body, man.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	return &content.Image{Top: top, Blobs: blobs, From: m}, m
}

var names = []content.Name{content.NameOf("", "team/shop", "1.0"), content.NameOf("r.example", "shop", "latest")}

func plans(t testing.TB, img *content.Image) map[string]*Archive {
	t.Helper()
	docker, err := NewDocker(img, names)
	if err != nil {
		t.Fatal(err)
	}
	oci, err := NewOCI(img, names)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Archive{"docker": docker, "oci": oci}
}

// TestSave: what was written is read back, is left alone when it is whole, and is written anew when a byte differs anywhere.
func TestSave(t *testing.T) {
	img, m := tiny(t)
	for name, a := range plans(t, img) {
		path := filepath.Join(t.TempDir(), "deep", "a.tar")
		if written, err := a.Save(t.Context(), path); err != nil || !written {
			t.Fatalf("%s: %v, %v", name, written, err)
		}
		whole, err := os.ReadFile(path)
		if err != nil || int64(len(whole)) != a.Size() {
			t.Fatalf("%s: %v: %d bytes, planned %d", name, err, len(whole), a.Size())
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		m.read = 0
		if written, err := a.Save(t.Context(), path); err != nil || written || m.read != 0 {
			t.Errorf("%s: again: %v, %v, %d blobs read", name, written, err, m.read)
		}
		for at := 0; at < len(whole); at += 97 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 0x20
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if same, _ := a.isIn(t.Context(), path); same {
				t.Fatalf("%s: byte %d differs and nobody sees it", name, at)
			}
		}
		for _, other := range [][]byte{nil, whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
			if err := os.WriteFile(path, other, 0o644); err != nil {
				t.Fatal(err)
			}
			if written, err := a.Save(t.Context(), path); err != nil || !written {
				t.Errorf("%s: a file of %d bytes was left alone: %v", name, len(other), err)
			}
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, name := range []string{"", "latest", "r.example/shop:latest"} {
			top, err := r.Resolve(t.Context(), name)
			if err != nil || top.Descriptor.Digest != img.Top.Descriptor.Digest {
				t.Errorf("%q: %s, %v; want %s", name, top.Descriptor.Digest, err, img.Top.Descriptor.Digest)
			}
		}
		back, err := content.Load(t.Context(), r, img.Top)
		if err != nil || len(back.Blobs) != len(img.Blobs) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSave_fails: a blob that is lost or not what its name says leaves the old file, and nothing else.
func TestSave_fails(t *testing.T) {
	for name, harm := range map[string]func(m *memory, d cas.Digest){
		"lost":    func(m *memory, d cas.Digest) { delete(m.blobs, d) },
		"rotten":  func(m *memory, d cas.Digest) { m.blobs[d] = bytes.Repeat([]byte("x"), len(m.blobs[d])) },
		"shorter": func(m *memory, d cas.Digest) { m.blobs[d] = m.blobs[d][1:] },
		"longer":  func(m *memory, d cas.Digest) { m.blobs[d] = append([]byte("x"), m.blobs[d]...) },
	} {
		img, m := tiny(t)
		harm(m, img.Blobs[1].Digest)
		dir := t.TempDir()
		path := filepath.Join(dir, "a.tar")
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := plans(t, img)["oci"].Save(t.Context(), path); err == nil {
			t.Errorf("%s: no error", name)
		}
		entries, err := os.ReadDir(dir)
		if got, e := os.ReadFile(path); err != nil || e != nil || string(got) != "old" || len(entries) != 1 {
			t.Errorf("%s: %v, %v: %q, %v", name, err, e, got, entries)
		}
	}
}

func TestPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "is.folder")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{
		"out":         "out/team/shop.tar.gz",
		"out/":        "out/team/shop.tar.gz",
		"out.d/":      "out.d/team/shop.tar.gz",
		"out/a.tar":   "out/a.tar",
		"a.tar.gz":    "a.tar.gz",
		"out/a.":      "out/a./team/shop.tar.gz",
		"v1.0/images": "v1.0/images/team/shop.tar.gz",
		dir:           dir + "/team/shop.tar.gz",
	} {
		if got := Path(output, "team/shop"); got != filepath.FromSlash(want) {
			t.Errorf("%s: %s, want %s", output, got, want)
		}
	}
}

// tarOf writes entries as they are given.
func tarOf(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := []byte(h.PAXRecords["body"])
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.PAXRecords, h.Size, h.Mode = nil, int64(len(body)), 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func file(name, body string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, PAXRecords: map[string]string{"body": body}}
}

// TestOpen_hostile: archives that no tool of good faith writes are refused with a code, before anything is taken from them.
func TestOpen_hostile(t *testing.T) {
	link := func(name, to string, kind byte) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: to}
	}
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + string(cas.DigestOf([]byte("l"))) + `"]}}`
	manifest := `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l"]}]`
	mark := file("oci-layout", layoutText)
	for says, headers := range map[string][]tar.Header{
		"leads out of the archive":                   {file("../x", "")},
		"it leads out":                               {file("/etc/passwd", "")},
		"twice":                                      {file("a", "1"), file("./a", "2")},
		"links out of the archive":                   {link("a", "../../etc/passwd", tar.TypeSymlink)},
		"it links out":                               {link("a", "/etc/passwd", tar.TypeSymlink)},
		"neither a file nor a link":                  {link("a", "", tar.TypeFifo)},
		"manifest.json is missing":                   {file("a", "")},
		"manifest.json:":                             {file("manifest.json", "{")},
		"has 0 images":                               {file("manifest.json", "[]")},
		"c.json is missing":                          {file("manifest.json", manifest)},
		"it is missing":                              {file("manifest.json", manifest), file("c.json", config)},
		"the configuration says":                     {file("manifest.json", manifest), file("c.json", config), file("l", "other")},
		`configuration "../c.json"`:                  {file("manifest.json", `[{"Config":"../c.json"}]`)},
		"has 1 layers and manifest.json 0":           {file("manifest.json", `[{"Config":"c.json"}]`), file("c.json", config)},
		"oci-layout is missing":                      {file("index.json", "{}")},
		"names the version":                          {file("oci-layout", `{"imageLayoutVersion":"9"}`), file("index.json", "{}")},
		`"schemaVersion" is missing`:                 {mark, file("index.json", "{}")},
		"is missing; make it anew":                   {mark, file("index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"`+image.OCIManifest+`","digest":"`+string(cas.DigestOf(nil))+`","size":1}]}`)},
		"has several images":                         {mark, file("index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"`+string(cas.DigestOf(nil))+`","size":1},{"mediaType":"x","digest":"`+string(cas.DigestOf([]byte("x")))+`","size":1}]}`)},
		"a loop":                                     {link("manifest.json", "manifest.json", tar.TypeSymlink)},
		"manifest.json has 4194305 bytes, more than": {file("manifest.json", strings.Repeat(" ", 4<<20+1))},
	} {
		r, err := Open(tarOf(t, headers...))
		if err == nil {
			_, err = r.Resolve(t.Context(), "")
			r.Close()
		}
		if says == "a loop" {
			says = "manifest.json is missing"
		}
		if err == nil || !strings.Contains(err.Error(), says) || diag.CodeOf(err) == diag.Internal {
			t.Errorf("%v (%s), want %q", err, diag.CodeOf(err), says)
		}
	}
	for name, data := range map[string]string{"gunzip": "\x1f\x8b\x08\x00", "unzstd": "\x28\xb5\x2f\xfd", "EOF": "", "no archive": strings.Repeat("x", 2000)} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); diag.CodeOf(err) != diag.InvalidArchive || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

// TestOpen_links: docker save of old links a layer that it wrote already.
func TestOpen_links(t *testing.T) {
	l := string(cas.DigestOf([]byte("l")))
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + l + `","` + l + `"]}}`
	r, err := Open(tarOf(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "a/"},
		file("a/layer.tar", "l"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "b/layer.tar", Linkname: "../a/layer.tar"},
		file("c.json", config),
		file("manifest.json", `[{"Config":"c.json","RepoTags":["x:1"],"Layers":["a/layer.tar","b/layer.tar"]}]`),
	))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	top, err := r.Resolve(t.Context(), "x:1")
	if err != nil {
		t.Fatal(err)
	}
	img, err := content.Load(t.Context(), r, top)
	if err != nil || len(img.Blobs) != 2 { // the layer, and the configuration
		t.Errorf("%v: %+v", err, img)
	}
}

// TestOpen_zstd: a Docker archive with a layer that Docker's format has no name for becomes an OCI image; a comment of the tar is none of
// its files.
func TestOpen_zstd(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := "one", "two"
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + string(cas.DigestOf([]byte(one))) + `","` + string(cas.DigestOf([]byte(two))) + `"]}}`
	r, err := Open(tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}},
		file("1", one), file("2", string(z.EncodeAll([]byte(two), nil))), file("c.json", config),
		file("manifest.json", `[{"Config":"c.json","RepoTags":null,"Layers":["1","2"]}]`),
	))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	top, err := r.Resolve(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.ParseManifest(top.Body, image.OCIManifest)
	if err != nil || m.Layers[0].MediaType != image.OCILayerTar || m.Layers[1].MediaType != image.OCILayerZstd || m.Config.MediaType != image.OCIConfig {
		t.Errorf("%v: %+v", err, m)
	}
}

// TestArchive_large: a blob whose size has no room in a plain header has one that every reader knows.
func TestArchive_large(t *testing.T) {
	const size = 9 << 30
	e := entry{name: blobName(cas.DigestOf(nil)), blob: &image.Descriptor{Size: size}}
	h, err := tar.NewReader(bytes.NewReader(e.header())).Next()
	if err != nil || h.Size != size || h.Name != e.name || len(e.header())%blockSize != 0 {
		t.Errorf("%v: %+v", err, h)
	}
}
