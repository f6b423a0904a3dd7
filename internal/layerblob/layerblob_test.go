package layerblob

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func plain(t testing.TB, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: name, Size: 3, Typeflag: tar.TypeReg}))
	_, err := w.Write([]byte("abc"))
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, data []byte, o ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, o...)
	must(t, err)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func TestRead(t *testing.T) {
	p := plain(t, "a")
	skipped := []byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc") // a frame of zstd that is to be skipped
	for name, tc := range map[string]struct {
		data      []byte
		mediaType string
		inner     []byte
	}{
		"tar":                 {p, image.OCILayerTar, p},
		"tar, bytes after it": {append(bytes.Clone(p), "more"...), image.OCILayerTar, append(bytes.Clone(p), "more"...)},
		"gzip":                {gzipped(t, p), image.OCILayerGzip, p},
		"gzip in two parts":   {append(gzipped(t, p[:700]), gzipped(t, p[700:])...), image.OCILayerGzip, p},
		"zstd":                {zstded(t, p), image.OCILayerZstd, p},
		"zstd, large window":  {zstded(t, p, zstd.WithWindowSize(64<<20)), image.OCILayerZstd, p},
		"zstd, skipped frame": {append(skipped, zstded(t, p)...), image.OCILayerZstd, p},
		"zstd, chunked":       {append(zstded(t, p), skipped...), image.OCILayerZstd, p},
		"a name of xz":        {plain(t, "\xfd7zXZ"), image.OCILayerTar, plain(t, "\xfd7zXZ")},
	} {
		for way, r := range map[string]io.Reader{
			"at once":      bytes.NewReader(tc.data),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(tc.data)),
		} {
			l, err := Read(t.Context(), r)
			if err != nil {
				t.Errorf("%s %s: %v", name, way, err)
				continue
			}
			if l.MediaType != tc.mediaType || l.Digest != cas.DigestOf(tc.data) || l.Size != int64(len(tc.data)) ||
				l.DiffID != cas.DigestOf(tc.inner) || len(l.Entries) != 1 {
				t.Errorf("%s %s: got %+v", name, way, l)
			}
		}
	}
}

// TestRead_source: an error of the source counts before all that is wrong with the content: it may be the reason.
func TestRead_source(t *testing.T) {
	stop := errors.New("the digest is another")
	for name, data := range map[string][]byte{
		"a layer": gzipped(t, plain(t, "a")), "xz": []byte("\xfd7zXZ\x00"), "JSON": []byte("{}"),
		"half": gzipped(t, plain(t, "a"))[:40],
	} {
		if l, err := Read(t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(stop))); !errors.Is(err, stop) {
			t.Errorf("%s: got %+v, %v", name, l, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, bytes.NewReader(plain(t, "a"))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestRead_bomb: what grows without end when it is uncompressed is refused, in a tar or behind it.
func TestRead_bomb(t *testing.T) {
	p := plain(t, "a")
	for _, data := range [][]byte{zstded(t, append(bytes.Clone(p), make([]byte, 1<<20)...)), gzipped(t, make([]byte, 1<<20))} {
		var none *NotALayerError
		if _, err := read(bufio.NewReader(bytes.NewReader(data)), 1<<19); !errors.As(err, &none) || !strings.Contains(err.Error(), "more bytes") {
			t.Errorf("got %v", err)
		}
		if _, err := read(bufio.NewReader(bytes.NewReader(data)), 1<<21); err != nil {
			t.Error(err)
		}
	}
}

// FuzzRead reads any bytes: they are a layer, or one of two things is wrong with them.
func FuzzRead(f *testing.F) {
	p := plain(f, "a")
	for _, seed := range [][]byte{
		p, gzipped(f, p),
		zstded(f, p), []byte("{}"), []byte("\xfd7zXZ\x00"), nil, gzipped(f, p)[:50], append(zstded(f, p), p...),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Read(t.Context(), bytes.NewReader(data))
		var none *NotALayerError
		var compression *CompressionError
		switch {
		case err != nil && !errors.As(err, &none) && !errors.As(err, &compression):
			t.Errorf("got %v", err)
		case err == nil && (l.Digest != cas.DigestOf(data) || l.Size != int64(len(data)) || l.MediaType == image.OCILayerTar &&
			l.DiffID != l.Digest):
			t.Errorf("got %+v", l)
		}
	})
}
