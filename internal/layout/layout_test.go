package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

type memory map[cas.Digest][]byte

func (m memory) Blob(_ context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	body, ok := m[d]
	if !ok {
		return nil, errors.New("lost")
	}
	return content.Verify(io.NopCloser(bytes.NewReader(body)), d, size, "memory"), nil
}

func (m memory) add(mediaType, body string) image.Descriptor {
	d := deliver.NewDocument([]byte(body), mediaType).Descriptor
	m[d.Digest] = []byte(body)
	return d
}

// tiny is an image whose upper layer is text; all share the lower one.
func tiny(t *testing.T, text string) (*content.Image, memory) {
	t.Helper()
	m := memory{}
	man := image.Manifest{MediaType: image.OCIManifest}
	man.Layers = []image.Descriptor{m.add(image.OCILayerTar, "base"), m.add(image.OCILayerTar, text)}
	man.Config = m.add(image.OCIConfig, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["`+
		string(man.Layers[0].Digest)+`","`+string(man.Layers[1].Digest)+`"]}}`)
	body, err := man.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, blobs, err := image.References(body, man.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	return &content.Image{Top: deliver.NewDocument(body, man.MediaType), Blobs: blobs, From: m}, m
}

func ref(name string) []content.Name { return []content.Name{{Ref: name}} }

func mustAdd(t *testing.T, dir, text, name string) Added {
	t.Helper()
	img, _ := tiny(t, text)
	added, err := Add(t.Context(), dir, img, ref(name))
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func resolve(t *testing.T, dir, name string) cas.Digest {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := r.Resolve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return top.Descriptor.Digest
}

func digestOf(t *testing.T, text string) cas.Digest {
	img, _ := tiny(t, text)
	return img.Top.Descriptor.Digest
}

// TestAdd: images are kept, a name moves, what others wrote into the index stays, and what is there is not written.
func TestAdd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "layout")
	if a := mustAdd(t, dir, "a", "team/a:1"); !a.Changed || a.Blobs.Uploaded.Count != 3 {
		t.Errorf("first: %+v", a)
	}
	if a := mustAdd(t, dir, "a", "team/a:1"); a.Changed || a.Blobs.Existing.Count != 3 {
		t.Errorf("again: %+v", a)
	}
	if a := mustAdd(t, dir, "b", "team/b:1"); a.Blobs.Existing.Count != 1 || a.Blobs.Uploaded.Count != 2 {
		t.Errorf("a layer in common: %+v", a)
	}
	// another tool's entry, with members that are not known here
	index := filepath.Join(dir, "index.json")
	body, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(body), `"manifests":[`, `"annotations":{"k":"v"},"manifests":[{"mediaType":"`+image.OCIManifest+`","digest":"`+
		string(digestOf(t, "b"))+`","size":1,"artifactType":"x/y","annotations":{"org.opencontainers.image.ref.name":"other"}},`, 1)
	if err := os.WriteFile(index, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, dir, "c", "team/a:1")
	for name, text := range map[string]string{"team/a:1": "c", "team/b:1": "b", "1": ""} {
		if text == "" {
			r, _ := Open(dir)
			if _, err := r.Resolve(t.Context(), name); diag.CodeOf(err) != diag.ImageNotThere || !strings.Contains(err.Error(), "several") {
				t.Errorf("%v", err)
			}
		} else if got := resolve(t, dir, name); got != digestOf(t, text) {
			t.Errorf("%s is %s", name, got)
		}
	}
	if body, err := os.ReadFile(index); err != nil || !bytes.Contains(body, []byte(`"artifactType":"x/y"`)) || !bytes.Contains(body, []byte(`{"k":"v"}`)) {
		t.Errorf("%v: %s", err, body)
	}
	img, _ := tiny(t, "b")
	if a, err := Add(t.Context(), dir, img, nil); err != nil || a.Changed {
		t.Errorf("without a name, and there by another: %v, %+v", err, a)
	}
}

// TestAdd_repairs: a blob or document that rotted is written anew; what an interrupted run left goes.
func TestAdd_repairs(t *testing.T) {
	dir := t.TempDir()
	mustAdd(t, dir, "a", "a")
	img, m := tiny(t, "a")
	for d := range m {
		for _, harm := range []string{"", "x", strings.Repeat("x", len(m[d]))} {
			path := filepath.Join(dir, blobsDir, d.Hex())
			if err := os.WriteFile(path, []byte(harm), 0o644); err != nil {
				t.Fatal(err)
			}
			if a := mustAdd(t, dir, "a", "a"); !a.Changed || a.Blobs.Uploaded.Count != 1 {
				t.Errorf("%q: %+v", harm, a)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, blobsDir, img.Top.Descriptor.Digest.Hex()), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, blobsDir, "."+img.Top.Descriptor.Digest.Hex()+".123")
	if err := os.WriteFile(left, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(left, long, long); err != nil {
		t.Fatal(err)
	}
	if a := mustAdd(t, dir, "a", "a"); !a.Changed || resolve(t, dir, "") != img.Top.Descriptor.Digest {
		t.Errorf("%+v", a)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what an interrupted run left is there")
	}
}

// TestAdd_atOnce: no name is lost when many write.
func TestAdd_atOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			text := fmt.Sprint(i)
			img, _ := tiny(t, text)
			if _, err := Add(t.Context(), dir, img, ref(text)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 12 {
		if text := fmt.Sprint(i); resolve(t, dir, text) != digestOf(t, text) {
			t.Errorf("%s is another image", text)
		}
	}
}

// TestAdd_fails: the names stay as they were, and a folder of other things is left alone.
func TestAdd_fails(t *testing.T) {
	dir := t.TempDir()
	mustAdd(t, dir, "a", "a")
	before, err := os.ReadFile(filepath.Join(dir, indexFile))
	if err != nil {
		t.Fatal(err)
	}
	img, m := tiny(t, "b")
	m[img.Blobs[1].Digest] = []byte("rotten")
	if _, err := Add(t.Context(), dir, img, ref("a")); diag.CodeOf(err) != diag.DigestMismatch {
		t.Errorf("%v", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, indexFile))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v: %s", err, after)
	}
	entries, err := os.ReadDir(filepath.Join(dir, blobsDir))
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) {
		t.Errorf("%v: %v", err, entries)
	}
	for name, text := range map[string]string{indexFile: `{"schemaVersion":2,"manifests":[],"manifests":[]}`, markFile: `{"imageLayoutVersion":"2"}`, "readme.txt": "x"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		good, _ := tiny(t, "a")
		if _, err := Add(t.Context(), dir, good, nil); diag.CodeOf(err) != diag.InvalidArchive {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}

// FuzzIndex: any index.json is read or refused with a code, and adding to one that is valid keeps it valid.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[{"mediaType":"x","digest":"` + string(cas.DigestOf(nil)) + `","size":0}],"annotations":{"a":"b"}}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":null,"Manifests":[1]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[],"Manifests":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for name, body := range map[string][]byte{indexFile: data, markFile: []byte(markText)} {
			if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		img, _ := tiny(t, "a")
		_, err := Add(t.Context(), dir, img, ref("fuzz"))
		if err != nil {
			if diag.CodeOf(err) == diag.Internal {
				t.Errorf("no code: %v", err)
			}
			return
		}
		if got := resolve(t, dir, "fuzz"); got != img.Top.Descriptor.Digest {
			t.Errorf("the name is %s", got)
		}
		var doc struct{ Manifests []json.RawMessage }
		if body, err := os.ReadFile(filepath.Join(dir, indexFile)); err != nil || json.Unmarshal(body, &doc) != nil {
			t.Errorf("%v: %s", err, body)
		}
	})
}
