package records

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

func someBlob() LayerBlob {
	return LayerBlob{
		Digest: digest("blob"), MediaType: "application/x",
		Size: 17, DiffID: digest("tar"), By: ByReading, Contents: digest("paths"), Unsafe: `the path "../x"`,
		In: []string{"r.example:5000/a", "r.example/b"},
	}
}

func TestLayerBlob(t *testing.T) {
	r, store := newRecords(t)
	b := someBlob()
	if _, ok := r.LayerBlob(b.Digest); ok {
		t.Error("a blob that nobody kept is known")
	}
	r.KeepLayerBlob(b)
	if got, ok := r.LayerBlob(b.Digest); !ok || !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, %v", got, ok)
	}
	file := fileOf(t, store, BlobsKind)
	old := time.Now().Add(-2 * useNoted)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	r.LayerBlob(b.Digest)
	if fi, err := os.Stat(file); err != nil || time.Since(fi.ModTime()) > useNoted {
		t.Errorf("its use was not noted: %v, %v", fi.ModTime(), err)
	}
	b.Seen("r.example/c")
	b.Seen("r.example/b")
	if want := []string{"r.example/b", "r.example/c", "r.example:5000/a"}; !slices.Equal(b.In, want) || !b.Known("r.example/c") ||
		b.Known("r.example/d") {
		t.Errorf("got %q", b.In)
	}
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		b.Seen(name)
	}
	r.KeepLayerBlob(b)
	if got, _ := r.LayerBlob(b.Digest); len(got.In) != maxIn || got.In[0] != "8" {
		t.Errorf("got %q", got.In)
	}
}

// TestLayerBlob_garbage: a record that says anything but what was written is none, and what cannot be is not kept.
func TestLayerBlob_garbage(t *testing.T) {
	r, store := newRecords(t)
	for _, edit := range []func(*LayerBlob){
		func(b *LayerBlob) { b.Digest = "" },
		func(b *LayerBlob) { b.DiffID = "sha256:../x" },
		func(b *LayerBlob) { b.Size = 0 },
		func(b *LayerBlob) { b.MediaType = "" },
		func(b *LayerBlob) { b.By = "hearsay" },
		func(b *LayerBlob) { b.Contents = "x" },
	} {
		b := someBlob()
		edit(&b)
		r.KeepLayerBlob(b)
	}
	if _, err := os.Stat(store.Dir()); err == nil {
		t.Error("something was kept")
	}
	b := someBlob()
	r.KeepLayerBlob(b)
	file := fileOf(t, store, BlobsKind)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)/2], "more": append(slices.Clone(whole), '}'),
		"diff ID": bytes.Replace(whole, []byte(b.DiffID), []byte(digest("x")), 1), "size": bytes.Replace(whole, []byte("17"), []byte("18"), 1),
		"safe":       bytes.Replace(whole, []byte(`the path`), []byte(`thy path`), 1),
		"repository": bytes.Replace(whole, []byte("r.example/b"), []byte("r.example/c"), 1),
		"by":         bytes.Replace(whole, []byte(ByReading), []byte(ByRecall), 1),
		"contents":   bytes.Replace(whole, []byte(b.Contents), []byte(digest("x")), 1),
		"media type": bytes.Replace(whole, []byte("/x"), []byte("/y"), 1),
	} {
		if bytes.Equal(data, whole) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := r.LayerBlob(b.Digest); ok {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), digest("other").Hex()+".json"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := r.LayerBlob(digest("other")); ok {
		t.Errorf("the record of another: %+v", got)
	}
	if got, ok := r.LayerBlob("sha256:../../x"); ok {
		t.Errorf("got %+v", got)
	}
}
