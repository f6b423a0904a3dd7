package msbuild

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// appFiles are the files in an image's layers above the base's, with a digest of each content.
func appFiles(t *testing.T, image v1.Image, baseLayers int) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, layer := range layers[baseLayers:] {
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		eachEntry(t, r, func(h *tar.Header, content io.Reader) {
			if h.Typeflag != tar.TypeReg {
				return
			}
			if _, twice := files[h.Name]; twice {
				t.Errorf("%s is there twice", h.Name)
			}
			files[h.Name] = digestOf(t, content)
		})
		r.Close()
	}
	return files
}

func eachEntry(t *testing.T, r io.Reader, f func(*tar.Header, io.Reader)) {
	t.Helper()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f(h, tr)
	}
}

// folderFiles are the files below a folder, with a digest of each content.
func folderFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir = strings.TrimSuffix(dir, "/")
	walk(t, dir, func(path string, e fs.DirEntry) {
		if e.IsDir() {
			return
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[strings.TrimPrefix(path, dir+"/")] = digestOf(t, f)
	})
	return files
}

func digestOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
