package resolvelayers

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// TestTarball: a tarball is a layer as it is, whatever its name says of it.
func TestTarball(t *testing.T) {
	w := newWorld(t, nil)
	plain := tarOf(t, "a/", "", "a/b", "content")
	for name, tc := range map[string]struct {
		data      []byte
		mediaType string
	}{
		"a.tar":        {plain, image.OCILayerTar},
		"a.tar.gz":     {gzipped(t, plain), image.OCILayerGzip},
		"a.tgz":        {append(gzipped(t, plain[:1024]), gzipped(t, plain[1024:])...), image.OCILayerGzip},
		"a.tar.zst":    {zstded(t, plain), image.OCILayerZstd},
		"sub/b.tar":    {gzipped(t, plain), image.OCILayerGzip},
		"empty.tar":    {tarOf(t), image.OCILayerTar},
		"BZh.tar":      {tarOf(t, "BZh9", "begins as bzip2 does"), image.OCILayerTar},
		"braces.tar":   {tarOf(t, "{a}", "begins as JSON does"), image.OCILayerTar},
		"padded.tar":   {append(bytes.Clone(plain), make([]byte, 1<<20)...), image.OCILayerTar},
		"unmarked.tar": {plain[:len(plain)-1024], image.OCILayerTar},
	} {
		w.write(name, string(tc.data))
		got := w.must(Item{Include: name})
		inner := plain
		if tc.mediaType == image.OCILayerTar {
			inner = tc.data
		}
		d := cas.DigestOf(tc.data)
		want := tasks.ExtraLayer{Name: name, Order: tasks.OrderBeforeApp, Blob: &tasks.ExtraBlob{
			Descriptor: tasks.Descriptor{MediaType: tc.mediaType, Digest: d, Size: int64(len(tc.data))},
			DiffID:     cas.DigestOf(inner), Key: tasks.BlobKey(d), Contents: got[0].Blob.Contents,
			BlobPath: filepath.Join(w.dir, filepath.FromSlash(name)),
		}}
		if diff := cmp.Diff([]tasks.ExtraLayer{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if _, err := w.store.Size(d); err == nil {
			t.Errorf("%s was copied into the store", name)
		}
	}
}

// TestTarball_refused has what is no tarball of a layer.
func TestTarball_refused(t *testing.T) {
	w := newWorld(t, nil)
	entry := func(h tar.Header) string {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		must(t, tw.WriteHeader(&tar.Header{Name: "fine", Typeflag: tar.TypeReg}))
		must(t, tw.WriteHeader(&h))
		must(t, tw.WriteHeader(&tar.Header{Name: "fine, too", Typeflag: tar.TypeReg}))
		must(t, tw.Close())
		return b.String()
	}
	plain := string(tarOf(t, "a", strings.Repeat("x", 2000)))
	for name, tc := range map[string]struct {
		content string
		code    diag.Code
		text    string
	}{
		"absolute":          {entry(tar.Header{Name: "/etc/passwd", Typeflag: tar.TypeReg}), diag.UnsafeTar, `absolute path "/etc/passwd"`},
		"drive":             {entry(tar.Header{Name: `C:\x`, Typeflag: tar.TypeReg}), diag.UnsafeTar, "absolute path"},
		"up":                {entry(tar.Header{Name: "a/../../b", Typeflag: tar.TypeReg}), diag.UnsafeTar, `"a/../../b"`},
		"up with backslash": {entry(tar.Header{Name: `..\b`, Typeflag: tar.TypeReg}), diag.UnsafeTar, "leads out"},
		"device": {entry(tar.Header{
			Name:     "dev/null",
			Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3,
		}), diag.UnsafeTar, `device "dev/null"`},
		"block device":     {entry(tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock}), diag.UnsafeTar, "device"},
		"hard link up":     {entry(tar.Header{Name: "a", Linkname: "../b", Typeflag: tar.TypeLink}), diag.UnsafeTar, "hard link"},
		"hard link to /":   {entry(tar.Header{Name: "a", Linkname: "/b", Typeflag: tar.TypeLink}), diag.UnsafeTar, "hard link"},
		"half":             {plain[:1500], diag.NotALayer, "tar"},
		"half a header":    {plain[:500], diag.NotALayer, "tar"},
		"nothing":          {"", diag.NotALayer, "empty"},
		"text":             {strings.Repeat("no tar ", 200), diag.NotALayer, "tar"},
		"JSON":             {"\n {}", diag.NotALayer, "JSON"},
		"xz":               {"\xfd7zXZ\x00", diag.UnknownCompression, "xz"},
		"bzip2":            {"BZh91AY&SY", diag.UnknownCompression, "bzip2"},
		"lz4":              {"\x04\x22\x4d\x18", diag.UnknownCompression, "lz4"},
		"zip":              {"PK\x03\x04", diag.UnknownCompression, "zip"},
		"garbage after it": {string(gzipped(t, []byte(plain))) + "garbage", diag.NotALayer, "uncompressed"},
		"half a zstd":      {string(zstded(t, []byte(plain)))[:30], diag.NotALayer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			w.write("a.tar", tc.content)
			for range 2 { // the second time it is known
				w.fails(tc.code, Item{Include: "a.tar"}, tc.text, `ContainerLayer "a.tar"`)
			}
		})
	}
	w.T = t
	w.fails(diag.InvalidLayerItem, Item{Include: "none.tar"}, "does not exist", "none.tar")
	must(t, os.Mkdir(filepath.Join(w.dir, "folder.tar"), 0o755))
	w.fails(diag.InvalidLayerItem, Item{Include: "folder.tar"}, "is a folder")
	for _, fine := range []tar.Header{
		{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
		{Name: "a..b/..c", Typeflag: tar.TypeReg},
		{Name: "./a/./b", Typeflag: tar.TypeReg},
		{Name: "a/.wh..wh..opq", Typeflag: tar.TypeReg},
		{Name: "pipe", Typeflag: tar.TypeFifo},
		{Name: "b", Linkname: "fine", Typeflag: tar.TypeLink},
	} {
		w.write("a.tar", entry(fine))
		w.must(Item{Include: "a.tar"})
	}
}

// TestTarball_record: an untouched tarball is not read again, as long as the store knows what it is.
func TestTarball_record(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.tar", string(tarOf(t, "a", "1")))
	it := Item{Include: "a.tar"}
	time.Sleep(2 * published.Tick)
	reads := func(want bool) []tasks.ExtraLayer {
		t.Helper()
		got := w.must(it)
		if read := strings.Contains(w.log.String(), "the tarball is read"); read != want {
			t.Errorf("it was read: %v", read)
		}
		return got
	}
	first := reads(true)
	if again := reads(false); !cmp.Equal(first, again) {
		t.Errorf("got %+v", again)
	}
	w.write("a.tar", string(tarOf(t, "a", "2")))
	time.Sleep(2 * published.Tick)
	if changed := reads(true); cmp.Equal(first, changed) {
		t.Error("another tarball is the same layer")
	}
	reads(false)
	contents := w.must(it)[0].Blob.Contents
	must(t, os.Remove(w.store.Path(contents)))
	if got := reads(false); got[0].Blob.Contents != "" {
		t.Errorf("got %+v", got[0].Blob)
	}
	w.req.Strict = true
	if got := reads(true); got[0].Blob.Contents != contents {
		t.Errorf("got %+v", got[0].Blob)
	}
	reads(false)
	w.forget()
	reads(true)
	resp, err := w.run(it)
	must(t, err)
	want := []tasks.FileDigest{{Path: filepath.Join(w.dir, "a.tar"), Digest: resp.Layers[0].Blob.Descriptor.Digest}}
	if !cmp.Equal(want, resp.Inputs) {
		t.Errorf("inputs %v", resp.Inputs)
	}
}

// TestTarball_saidOf: what an image says of a layer does not stand for reading a tarball with the same content.
func TestTarball_saidOf(t *testing.T) {
	w, layer, _ := pushed(t)
	w.write("a.tgz", string(layer.Data))
	time.Sleep(2 * published.Tick)
	first := w.must(Item{Include: "a.tgz"})
	w.forget()
	w.req.RecordPath = "" // the record knows the file
	w.must(Item{Include: layer.Digest, Repository: "team/agent", Reference: "1"})
	w.req.RecordPath = "record.json"
	if again := w.must(Item{Include: "a.tgz"}); !cmp.Equal(first, again) {
		t.Errorf("got %+v", again)
	}
	w.says("the tarball is read")
	if again := w.must(Item{Include: layer.Digest, Repository: "team/agent"}); again[0].Blob.Contents == "" {
		t.Errorf("what was read of the tarball is not known of the layer: %+v", again[0].Blob)
	}
	w.requests()
}
