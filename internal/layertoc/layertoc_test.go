package layertoc

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/testenv"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// archive is a tar with these headers; a file's content is its name.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(h.Name))
		}
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(h.Name))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func digest(s string) cas.Digest { return cas.DigestOf([]byte(s)) }

func TestRead(t *testing.T) {
	c, err := Read(bytes.NewReader(archive(
		t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir},
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "of git"}},
		tar.Header{Name: "etc/", Typeflag: tar.TypeDir},
		tar.Header{Name: "./etc/a"},
		tar.Header{Name: "etc/hard", Linkname: "./etc/harder", Typeflag: tar.TypeLink},
		tar.Header{Name: "etc/harder", Linkname: "etc/a", Typeflag: tar.TypeLink},
		tar.Header{Name: "etc/below", Linkname: "usr/x", Typeflag: tar.TypeLink},
		tar.Header{Name: "etc/loop", Linkname: "etc/loop", Typeflag: tar.TypeLink},
		tar.Header{Name: "etc/soft", Linkname: "../usr/x", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "etc/.wh.gone"},
		tar.Header{Name: "etc/.wh..wh..opq"},
		tar.Header{Name: ".wh..wh..opq"},
		tar.Header{Name: "pipe", Typeflag: tar.TypeFifo},
		tar.Header{Name: "twice", Linkname: "etc", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "twice"},
		tar.Header{Name: "ä \"\n\\"},
		tar.Header{Name: strings.Repeat("long/", 60) + "x"},
	)))
	must(t, err)
	want := []Entry{
		{Path: "/", Kind: Opaque},
		{Path: "etc", Kind: Folder},
		{Path: "etc/", Kind: Opaque},
		{Path: "etc/a", Kind: File, Digest: digest("./etc/a")},
		{Path: "etc/below", Kind: File, Target: "usr/x"},
		{Path: "etc/gone", Kind: Deleted},
		{Path: "etc/hard", Kind: File, Digest: digest("./etc/a")},
		{Path: "etc/harder", Kind: File, Digest: digest("./etc/a")},
		{Path: "etc/loop", Kind: File, Target: "etc/loop"},
		{Path: "etc/soft", Kind: Link, Target: "../usr/x"},
		{Path: strings.Repeat("long/", 60) + "x", Kind: File, Digest: digest(strings.Repeat("long/", 60) + "x")},
		{Path: "pipe", Kind: Special},
		{Path: "twice", Kind: File, Digest: digest("twice")},
		{Path: "ä \"\n\\", Kind: File, Digest: digest("ä \"\n\\")},
	}
	if d := cmp.Diff(want, c.Entries); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if c.Unsafe != "" {
		t.Errorf("unsafe: %s", c.Unsafe)
	}
	again, err := Parse(c.Encode())
	if err != nil || !cmp.Equal(again, c.Entries) {
		t.Errorf("got %v, %v", again, err)
	}
}

func TestRead_noTar(t *testing.T) {
	whole := archive(t, tar.Header{Name: "a"})
	for name, data := range map[string][]byte{
		"nothing": nil, "short": []byte("x"), "text": bytes.Repeat([]byte("text "), 300),
		"cut in a header": whole[:100], "cut in a file": whole[:512],
	} {
		if c, err := Read(bytes.NewReader(data)); !errors.Is(err, ErrNoTar) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
}

// TestRead_large: a layer with more than is listed is a layer, whose paths are not known; what is unsafe in it is.
func TestRead_large(t *testing.T) {
	data := archive(t, tar.Header{Name: "abc"}, tar.Header{Name: "def"}, tar.Header{Name: "/ghi"})
	for _, tc := range []struct {
		most   bounds
		listed int
	}{{bounds{2, 100}, 0}, {bounds{100, 8}, 0}, {bounds{3, 9}, 3}} {
		c, err := read(bytes.NewReader(data), tc.most)
		if err != nil || len(c.Entries) != tc.listed || (c.Entries == nil) != (tc.listed == 0) || !strings.Contains(c.Unsafe, "/ghi") {
			t.Errorf("%+v: got %d entries, %q, %v", tc.most, len(c.Entries), c.Unsafe, err)
		}
	}
}

func TestSame(t *testing.T) {
	file := Entry{Path: "a", Kind: File, Digest: digest("1")}
	other := file
	other.Digest = digest("2")
	for _, tc := range []struct {
		a, b Entry
		want bool
	}{
		{file, file, true},
		{file, other, false},
		{Entry{Kind: Folder}, Entry{Kind: Folder}, true},
		{file, Entry{Kind: Folder}, false},
		{Entry{Kind: Link, Target: "a"}, Entry{Kind: Link, Target: "b"}, false},
		{Entry{Kind: Special}, Entry{Kind: Special}, false},
		{Entry{Kind: Deleted}, Entry{Kind: Deleted}, true},
	} {
		if got := tc.a.Same(tc.b); got != tc.want {
			t.Errorf("%+v and %+v: %v", tc.a, tc.b, got)
		}
	}
}

func TestParse_refused(t *testing.T) {
	good := string((&Contents{Entries: []Entry{{Path: "a", Kind: File, Digest: digest("1")}, {Path: "b", Kind: Link, Target: "a"}}}).Encode())
	edit := func(from, to string) string {
		t.Helper()
		s := strings.Replace(good, from, to, 1)
		if s == good {
			t.Fatalf("%q is not in %s", from, good)
		}
		return s
	}
	for name, text := range map[string]string{
		"empty": "", "another version": edit("contents 1", "contents 2"),
		"cut": good[:len(good)-1], "cut in a line": good[:len(good)-4], "a line more": good + "x\n",
		"kind": edit("file ", "fyle "), "digest": edit("sha256:", "sha255:"), "order": edit(`"a"`, `"c"`), "twice": edit(`"b"`, `"a"`),
		"absolute": edit(`"a"`, `"/a"`),
		"up":       edit(`"a"`, `"../a"`), "empty path": edit(`"a"`, `""`), "raw quotes": edit(`"a"`, "`a`"), "escape": edit(`"a"`, `"\x61"`),
		"no target":        edit(` ""`, ``),
		"digest of a link": edit("link -", "link "+string(digest("1"))), "target and digest": edit(`"a" ""`, `"a" "b"`),
		"zero": edit(`"a"`, `"a\x00"`), "two spaces": edit("file ", "file  "),
	} {
		if e, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %v", name, e)
		}
	}
}

// FuzzRead reads any bytes as a tar: it ends without harm, and what is listed can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a"}, tar.Header{Name: "b/", Typeflag: tar.TypeDir}, tar.Header{
		Name: "c", Linkname: "a",
		Typeflag: tar.TypeLink,
	}))
	f.Add(archive(f, tar.Header{Name: "a/.wh..wh..opq"}, tar.Header{Name: ".wh.x"}, tar.Header{Name: ".wh."}, tar.Header{Name: "a/.wh..."},
		tar.Header{Name: "a/.wh."}, tar.Header{Name: "/../x"}))
	f.Add(archive(f, tar.Header{Name: "ä" + strings.Repeat("x", 300), Linkname: "\xff", Typeflag: tar.TypeSymlink}))
	f.Add(archive(f, tar.Header{Name: "dev", Typeflag: tar.TypeChar, Devmajor: 1}))
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrNoTar) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, err := Parse(c.Encode())
		if err != nil || !cmp.Equal(again, c.Entries) {
			t.Errorf("%q\ngot %v, %v", c.Encode(), again, err)
		}
	})
}

// FuzzParse reads damaged lists: what is accepted is what Encode writes.
func FuzzParse(f *testing.F) {
	f.Add((&Contents{Entries: []Entry{{Path: "/", Kind: Opaque}, {Path: "a", Kind: File, Digest: digest("1")}, {
		Path: "b\xff",
		Kind: Link, Target: "a\n",
	}}}).Encode())
	f.Add([]byte(header))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Parse(data)
		if err == nil && !bytes.Equal((&Contents{Entries: entries}).Encode(), data) {
			t.Errorf("%q was accepted", data)
		}
	})
}

// TestRead_sparse: files with holes, which a tar of a few bytes says are huge, are not read through.
func TestRead_sparse(t *testing.T) {
	testenv.Require(t, "tar", "truncate")
	for _, format := range []string{"gnu", "pax"} {
		dir := t.TempDir()
		run := func(name string, args ...string) {
			t.Helper()
			cmd := exec.Command(name, args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}
		run("truncate", "--size=1T", "huge")
		must(t, os.WriteFile(filepath.Join(dir, "small"), []byte("small"), 0o644))
		run("tar", "--sparse", "--format="+format, "--create", "--file=x.tar", "huge", "small")
		data, err := os.ReadFile(filepath.Join(dir, "x.tar"))
		must(t, err)
		c, err := Read(bytes.NewReader(data))
		must(t, err)
		want := []Entry{{Path: "huge", Kind: Special}, {Path: "small", Kind: File, Digest: digest("small")}}
		if d := cmp.Diff(want, c.Entries); d != "" || len(data) > 1<<20 {
			t.Errorf("%s, %d bytes (-want +got):\n%s", format, len(data), d)
		}
	}
}
