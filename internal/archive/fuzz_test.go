package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
)

// FuzzOpen: whatever a file holds, it is read or refused with a code, and no blob is other than its name.
func FuzzOpen(f *testing.F) {
	img, _ := tiny(f)
	for _, a := range plans(f, img) {
		var b bytes.Buffer
		if err := a.Write(f.Context(), &b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	path := filepath.Join(f.TempDir(), "a.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, path)
	})
}

// FuzzDocuments: the same for the documents of an archive that is a sound tar.
func FuzzDocuments(f *testing.F) {
	layer := "a layer"
	diffID := string(cas.DigestOf([]byte(layer)))
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + diffID + `"]}}`
	descriptor := func(mediaType, body string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, cas.DigestOf([]byte(body)), len(body))
	}
	manifest := `{"schemaVersion":2,"config":` + descriptor(image.OCIConfig, config) + `,"layers":[` + descriptor(image.OCILayerTar, layer) + `]}`
	f.Add("manifest.json", `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["a","link"]}]`, config, layer)
	f.Add("index.json", `{"schemaVersion":2,"manifests":[`+descriptor(image.OCIManifest, manifest)+`]}`, manifest, layer)
	f.Add("oci-layout", `{"imageLayoutVersion":"1.0.0"}`, config, "\x28\xb5\x2f\xfd")
	f.Fuzz(func(t *testing.T, name, document, config, layer string) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range []struct{ name, body, link string }{
			{"c.json", config, ""},
			{"a", layer, ""},
			{"link", "", "a"},
			{blobName(cas.DigestOf([]byte(config))), config, ""},
			{blobName(cas.DigestOf([]byte(layer))), layer, ""},
			{"oci-layout", layoutText, ""},
			{name, document, ""},
		} {
			h := tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.body)), Mode: 0o644}
			if e.link != "" {
				h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
			}
			if w.WriteHeader(&h) != nil {
				return // no name of a tar
			}
			if _, err := io.WriteString(w, e.body); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, path)
	})
}

// readAll reads an archive as far as it goes: each error has a code, and no blob is other than its name.
func readAll(t *testing.T, path string) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		coded(t, err)
		return
	}
	defer r.Close()
	top, err := r.Resolve(t.Context(), "")
	if err != nil {
		coded(t, err)
		return
	}
	img, err := content.Load(t.Context(), r, top)
	if err != nil {
		coded(t, err)
		return
	}
	for _, b := range img.Blobs {
		var got bytes.Buffer
		if err := content.CopyBlob(t.Context(), pull.Blobs(r), b, &got); err != nil {
			coded(t, err)
		} else if cas.DigestOf(got.Bytes()) != b.Digest {
			t.Errorf("%s holds something else", b.Digest)
		}
	}
}

func coded(t *testing.T, err error) {
	t.Helper()
	if diag.CodeOf(err) == diag.Internal {
		t.Errorf("no code: %v", err)
	}
}
