package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The SDK's own layer for the same base was read with another tar library; see SecurityDescriptor.
func TestWindowsLayer(t *testing.T) {
	const sdkRecord = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA=="
	dir := t.TempDir()
	write(t, dir, "x.dll", "x")
	write(t, dir, "data/a.txt", "a")
	spec := &Spec{WorkingDirectory: `C:\app\`, Windows: true, Time: DefaultTime, Files: list(t, dir)}
	var names []string
	for _, e := range entriesOf(t, dir, spec) {
		names = append(names, e.Name)
		if got := e.PAXRecords["MSWINDOWS.rawsd"]; got != sdkRecord {
			t.Errorf("%s: record %q, want the SDK's %q", e.Name, got, sdkRecord)
		}
		if len(e.PAXRecords) != 1 {
			t.Errorf("%s: records %v, want one", e.Name, e.PAXRecords)
		}
	}
	want := "Files Files/app Files/app/data Files/app/data/a.txt Files/app/x.dll Hives"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("entries\n got %s\nwant %s", got, want)
	}
}

func TestHeaderBytes(t *testing.T) {
	var b bytes.Buffer
	w := NewTarWriter(&b)
	must(t, w.Header(&Entry{Path: "app/x", Size: 3, Time: DefaultTime, UID: 1654}))
	_, err := io.WriteString(w, "abc")
	must(t, err)
	must(t, w.Close())
	got := b.Bytes()
	if len(got) != 4*blockSize {
		t.Fatalf("%d bytes, want 4 blocks", len(got))
	}
	z := func(n int) string { return strings.Repeat("\x00", n) }
	want := "app/x" + z(95) + "0000755\x00" + "0003166\x00" + "0000000\x00" + "00000000003\x00" + "07033241600\x00" + "010225\x00 " + "0" +
		z(100) + "ustar\x0000" + z(64) + "0000000\x00" + "0000000\x00" + z(167)
	if string(got[:blockSize]) != want {
		t.Errorf("header\n got %q\nwant %q", got[:blockSize], want)
	}
	if string(got[blockSize:]) != "abc"+z(509+2*blockSize) {
		t.Errorf("content and end are %q", got[blockSize:])
	}
}

func TestPaxOnlyWhereNeeded(t *testing.T) {
	long := strings.Repeat("n", 100)
	tests := []struct {
		name  string
		entry Entry
		want  string // records, in order
	}{
		{"short", Entry{Path: "app/x"}, ""},
		{"100 bytes", Entry{Path: long}, ""},
		{"101 bytes, no slash", Entry{Path: long + "n"}, "path"},
		{"prefix", Entry{Path: strings.Repeat("p", 155) + "/" + long}, ""},
		{"prefix too long", Entry{Path: strings.Repeat("p", 156) + "/" + long}, "path"},
		{"name too long", Entry{Path: "p/" + long + "n"}, "path"},
		{"non-ASCII", Entry{Path: "app/ä"}, "path"},
		{"8 GiB less one", Entry{Path: "x", Size: maxOctalSize - 1}, ""},
		{"8 GiB", Entry{Path: "x", Size: maxOctalSize}, "size"},
		{"owner", Entry{Path: "x", UID: maxOctalID - 1}, ""},
		{"large owner", Entry{Path: "x", UID: maxOctalID}, "uid"},
		{"group", Entry{Path: "x", GID: maxOctalID - 1}, ""},
		{"large group", Entry{Path: "x", GID: maxOctalID}, "gid"},
		{"all", Entry{Path: "ä", Size: maxOctalSize, UID: 1<<31 - 1, GID: 1<<31 - 1, Security: "s"}, "MSWINDOWS.rawsd path size uid gid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			must(t, NewTarWriter(&b).Header(&tt.entry))
			var keys []string
			if b.Len() > blockSize { // the pax header's content is its second block
				for _, r := range strings.Split(strings.TrimRight(b.String()[blockSize:b.Len()-blockSize], "\x00\n"), "\n") {
					key, _, _ := strings.Cut(r, "=")
					keys = append(keys, strings.Fields(key)[1])
				}
			}
			if got := strings.Join(keys, " "); got != tt.want {
				t.Errorf("records %q, want %q", got, tt.want)
			}
			h, err := tar.NewReader(&b).Next()
			must(t, err)
			if h.Name != tt.entry.Path || h.Size != tt.entry.Size || int64(h.Uid) != tt.entry.UID || int64(h.Gid) != tt.entry.GID {
				t.Errorf("read back %q, %d bytes, owner %d:%d", h.Name, h.Size, h.Uid, h.Gid)
			}
		})
	}
}

func TestTarWriterRefusesWrongUse(t *testing.T) {
	for _, e := range []Entry{
		{Path: ""},
		{Path: "/x"},
		{Path: "x/"},
		{Path: "a\x00b"},
		{Path: "x", Size: -1},
		{Path: "x", Dir: true, Size: 1},
		{Path: "x", Time: -1},
		{Path: "x", Time: MaxTime + 1},
		{Path: "x", UID: -1},
		{Path: "x", UID: 1 << 31},
		{Path: "x", GID: -1},
		{Path: "x", GID: 1 << 31},
		{Path: "x", Mode: -1},
		{Path: "x", Mode: 0o10000},
		{Path: "x", Security: "\x00"},
	} {
		if err := NewTarWriter(io.Discard).Header(&e); !errors.Is(err, ErrTarUse) {
			t.Errorf("%+v: error %v", e, err)
		}
	}
	w := NewTarWriter(io.Discard)
	must(t, w.Header(&Entry{Path: "x", Size: 2}))
	if _, err := w.Write([]byte("abc")); !errors.Is(err, ErrTarUse) {
		t.Errorf("too much content: error %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrTarUse) {
		t.Errorf("too little content: error %v", err)
	}
}

// discard counts, and keeps the first bytes, where the headers are.
type discard struct {
	n    int64
	head []byte
}

func (d *discard) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	if room := 4*blockSize - len(d.head); room > 0 {
		d.head = append(d.head, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// zeros is a file of any size that costs nothing to read.
type zeros struct {
	fs.FileInfo
	left int64
}

func (z *zeros) Open(string) (fs.File, error) { return z, nil }
func (z *zeros) Stat() (fs.FileInfo, error)   { return z.FileInfo, nil }
func (z *zeros) Close() error                 { return nil }
func (z *zeros) Read(p []byte) (n int, err error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n = int(min(int64(len(p)), z.left))
	z.left -= int64(n)
	return n, nil
}

func TestFileOver8GiB(t *testing.T) {
	const size = maxOctalSize + 12345
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big"))
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(size))
	fi, err := f.Stat()
	must(t, err)
	d := &discard{}
	must(t, WriteTar(context.Background(), d, &zeros{fi, size}, &Spec{WorkingDirectory: "/", Time: DefaultTime, Files: list(t, dir)}))
	if want := int64(3*blockSize + size + padding(size) + 2*blockSize); d.n != want {
		t.Errorf("%d bytes, want %d", d.n, want)
	}
	h, err := tar.NewReader(bytes.NewReader(d.head)).Next()
	must(t, err)
	if h.Size != size || h.PAXRecords["size"] != fmt.Sprint(int64(size)) {
		t.Errorf("header has %d bytes, records %v", h.Size, h.PAXRecords)
	}
}

func FuzzTarRoundTrip(f *testing.F) {
	f.Add("app/x.dll", "content", int64(DefaultTime), int64(0), false, "")
	f.Add(strings.Repeat("dir/", 60)+"ä", "", int64(MaxTime), int64(1)<<31-1, true, "AQ==")
	f.Add("a b\n=", "=", int64(0), int64(1), false, "x\ny")
	f.Fuzz(func(t *testing.T, path, content string, seconds, uid int64, dir bool, security string) {
		e := &Entry{Path: path, Dir: dir, Time: seconds, UID: uid, Security: security}
		if !dir {
			e.Size = int64(len(content))
		}
		if !ValidPath(path) || check(e) != nil {
			return
		}
		var b bytes.Buffer
		w := NewTarWriter(&b)
		must(t, w.Header(e))
		if !dir {
			_, err := io.WriteString(w, content)
			must(t, err)
		}
		must(t, w.Header(&Entry{Path: "next", Dir: true}))
		must(t, w.Close())
		if b.Len()%blockSize != 0 {
			t.Fatalf("%d bytes are no whole blocks", b.Len())
		}
		r := tar.NewReader(&b)
		h, err := r.Next()
		must(t, err)
		body, err := io.ReadAll(r)
		must(t, err)
		if h.Name != path || !h.ModTime.Equal(time.Unix(seconds, 0)) || int64(h.Uid) != uid || h.PAXRecords["MSWINDOWS.rawsd"] != security ||
			(h.Typeflag == tar.TypeDir) != dir || h.Mode != 0o755 || int64(len(body)) != e.Size || !dir && string(body) != content {
			t.Fatalf("wrote %+v, read %+v, content %q", e, h, body)
		}
		if h, err := r.Next(); err != nil || h.Name != "next" {
			t.Fatalf("next entry: %+v, %v", h, err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}
