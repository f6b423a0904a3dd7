package layer

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenSpec has an entry of each form that the format knows.
func goldenSpec() (fstest.MapFS, *Spec) {
	folder := fstest.MapFS{}
	spec := &Spec{WorkingDirectory: "/app/", UID: 1654, Time: DefaultTime, Folders: []string{"empty/below"}}
	big := make([]byte, 3*BlockSize+17)
	for i, x := 0, uint32(1); i < len(big); i++ {
		x = x*1664525 + 1013904223
		big[i] = byte(x >> 24 % 40)
	}
	for name, content := range map[string]string{
		"app.dll": string(big), "zero": "", "a.b": "1", "a/b": "2", "ä/ö.txt": "3", "empty.txt": "",
		strings.Repeat("prefix/", 20) + "name": "4", strings.Repeat("x", 150): "5", "wwwroot/site.css": "6",
	} {
		folder[name] = &fstest.MapFile{Data: []byte(content)}
		spec.Files = append(spec.Files, File{Path: name, Size: int64(len(content)), Time: DefaultTime})
	}
	return folder, spec
}

// wordsSpec is 5 MiB of text, as the bytes of goldenSpec hardly compress: what compressors make of matches shows here.
func wordsSpec() (fstest.MapFS, *Spec) {
	var b bytes.Buffer
	for x := uint32(1); b.Len() < 5<<20; {
		x = x*1664525 + 1013904223
		fmt.Fprintf(&b, "word%d ", (x>>20)*(x>>20)>>12)
	}
	size := int64(b.Len())
	return fstest.MapFS{"words": &fstest.MapFile{Data: b.Bytes()}},
		&Spec{WorkingDirectory: "/app", Time: DefaultTime, Files: []File{{Path: "words", Size: size, Time: DefaultTime}}}
}

type golden struct {
	DiffID  cas.Digest `json:"diffId"`
	TarSize int64      `json:"tarSize"`
	Digest  cas.Digest `json:"digest"`
	Size    int64      `json:"size"`
}

func make1(t testing.TB, folder fstest.MapFS, spec *Spec) golden {
	t.Helper()
	var b bytes.Buffer
	r, err := Write(context.Background(), &b, folder, spec, runtime.GOMAXPROCS(0))
	must(t, err)
	return golden{r.DiffID, r.TarSize, cas.DigestOf(b.Bytes()), int64(b.Len())}
}

// A difference here means that every image that was ever pushed gets new layers: it is never to be accepted by the way.
func TestGoldenLayer(t *testing.T) {
	got := map[string]golden{}
	folder, spec := goldenSpec()
	got["linux"] = make1(t, folder, spec)
	for _, level := range []int{1, 6} {
		spec.Compression.Level = level
		got[fmt.Sprintf("linux, level %d", level)] = make1(t, folder, spec)
	}
	spec.Compression = Compression{Algorithm: Zstd}
	got["linux, zstd"] = make1(t, folder, spec)
	spec.Compression = Compression{Algorithm: None}
	got["linux, not compressed"] = make1(t, folder, spec)
	spec.Compression, spec.Windows, spec.UID, spec.WorkingDirectory = Compression{}, true, 0, `C:\app\`
	got["windows"] = make1(t, folder, spec)
	folder, spec = wordsSpec()
	for name, c := range compressions {
		spec.Compression = c
		got["words, "+name] = make1(t, folder, spec)
	}
	const file = "testdata/golden.json"
	if *update {
		data, err := json.MarshalIndent(got, "", "  ")
		must(t, err)
		must(t, os.WriteFile(file, append(data, '\n'), 0o644))
	}
	data, err := os.ReadFile(file)
	must(t, err)
	want := map[string]golden{}
	must(t, json.Unmarshal(data, &want))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("layers\n got %+v\nwant %+v", got, want)
	}
}

// compressions are one of each kind.
var compressions = map[string]Compression{
	"gzip": {}, "gzip 1": {Gzip, 1}, "zstd": {Zstd, 0}, "zstd 1": {Zstd, 1}, "zstd 7": {Zstd, 7}, "none": {None, 0},
}

func TestBytesDoNotDependOnCores(t *testing.T) {
	folder, spec := wordsSpec() // of more than one block and one job
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, c := range compressions {
		spec.Compression = c
		var want golden
		for i, n := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(n)
			got := make1(t, folder, spec)
			if i == 0 {
				want = got
			}
			if got != want {
				t.Errorf("%s, %d cores: %+v, want %+v", name, n, got, want)
			}
		}
	}
}

// Other implementations read each compression, to the tar that was written.
func TestCompressionsAreReadByOthers(t *testing.T) {
	testenv.Require(t, "gzip", "zstd")
	folder, spec := goldenSpec()
	var tar bytes.Buffer
	must(t, WriteTar(context.Background(), &tar, folder, spec))
	for name, c := range compressions {
		spec.Compression = c
		var b bytes.Buffer
		_, err := Write(context.Background(), &b, folder, spec, 3)
		must(t, err)
		got := b.Bytes()
		if c.Algorithm != None {
			cmd := exec.Command(cmp.Or(c.Algorithm, Gzip), "-dc")
			cmd.Stdin = &b
			got, err = cmd.Output()
			must(t, err)
		}
		if !bytes.Equal(got, tar.Bytes()) {
			t.Errorf("%s: read back %d bytes, want the tar's %d", name, len(got), tar.Len())
		}
	}
}

func TestUnknownCompression(t *testing.T) {
	folder, spec := goldenSpec()
	for _, c := range []Compression{{"xz", 0}, {Gzip, 10}, {Gzip, -1}, {"", 10}, {Zstd, 23}, {None, 1}} {
		spec.Compression = c
		if _, err := Write(context.Background(), io.Discard, folder, spec, 1); err == nil {
			t.Errorf("%+v: no error", c)
		}
		if _, err := Key(spec, "m"); err == nil {
			t.Errorf("%+v: no error of Key", c)
		}
	}
}

func TestMediaType(t *testing.T) {
	for c, want := range map[Compression][2]string{
		{}:        {image.DockerLayerGzip, image.OCILayerGzip},
		{Gzip, 3}: {image.DockerLayerGzip, image.OCILayerGzip},
		{None, 0}: {image.DockerLayerTar, image.OCILayerTar},
		{Zstd, 0}: {"", image.OCILayerZstd},
	} {
		for i, format := range []string{image.FormatDocker, image.FormatOCI} {
			if got, ok := c.MediaType(format); ok != (want[i] != "") || ok && got != want[i] {
				t.Errorf("%+v in %s: %q, %t, want %q", c, format, got, ok, want[i])
			}
		}
	}
}

func TestGzipDoesNotDependOnWrites(t *testing.T) {
	data := make([]byte, 2*BlockSize+99)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	compress := func(step int) []byte {
		var b bytes.Buffer
		z, err := newGzip(&b, DefaultGzipLevel, 2)
		must(t, err)
		for rest := data; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			_, err := z.Write(rest[:min(step, len(rest))])
			must(t, err)
		}
		must(t, z.Close())
		return b.Bytes()
	}
	want := compress(len(data))
	if head := want[:10]; !bytes.Equal(head, []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) {
		t.Errorf("header % x", head)
	}
	for _, step := range []int{1000, 4096, BlockSize - 1, BlockSize + 1} {
		if !bytes.Equal(compress(step), want) {
			t.Errorf("writes of %d bytes give other bytes", step)
		}
	}
	r, err := gzip.NewReader(bytes.NewReader(want))
	must(t, err)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back %d bytes, %v", len(got), err)
	}
}

// Whatever order a folder is read in, the same files give the same bytes, in order of path.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		element := rapid.StringMatching(`[a-c.ä]{1,3}`).Filter(func(s string) bool { return s != "." && s != ".." })
		names := rapid.MapOf(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(element, 1, 4).Draw(t, "elements"), "/")
		}), rapid.String()).Draw(rt, "files")
		folder, spec := fstest.MapFS{}, &Spec{WorkingDirectory: "/w", Time: DefaultTime}
		for name, content := range names {
			if clash(names, name) {
				continue
			}
			folder[name] = &fstest.MapFile{Data: []byte(content)}
			spec.Files = append(spec.Files, File{Path: name, Size: int64(len(content)), Time: DefaultTime})
		}
		var first, second bytes.Buffer
		if err := WriteTar(context.Background(), &first, folder, spec); err != nil {
			rt.Fatal(err)
		}
		spec.Files = rapid.Permutation(spec.Files).Draw(rt, "order")
		if err := WriteTar(context.Background(), &second, folder, spec); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			rt.Fatal("another order gave other bytes")
		}
	})
}

// clash says whether name is also a folder of another file.
func clash(names map[string]string, name string) bool {
	for other := range names {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}

func TestEntries(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "a/b/c.txt", "a-b", "z"} {
		write(t, dir, name, name)
	}
	tests := []struct{ workingDirectory, want string }{
		{"/app/", "app app/a app/a-b app/a.txt app/a/b app/a/b/c.txt app/e app/e/f app/z"},
		{"/", "a a-b a.txt a/b a/b/c.txt e e/f z"},
		{"/srv/x/../y//z", "srv/y/z srv/y/z/a srv/y/z/a-b srv/y/z/a.txt srv/y/z/a/b srv/y/z/a/b/c.txt srv/y/z/e srv/y/z/e/f srv/y/z/z"},
	}
	for _, tt := range tests {
		spec := &Spec{WorkingDirectory: tt.workingDirectory, Time: 1, Files: list(t, dir), Folders: []string{"e/f", "a"}}
		var names []string
		for _, e := range entriesOf(t, dir, spec) {
			names = append(names, e.Name)
			if e.Mode != 0o755 || e.Uid != 0 || e.Gid != 0 || e.Uname != "" || e.Gname != "" {
				t.Errorf("%s: %+v", e.Name, e)
			}
			if dir := e.FileInfo().IsDir(); dir && e.ModTime.Unix() != 1 || !dir && e.ModTime.Unix() != DefaultTime {
				t.Errorf("%s: time %s", e.Name, e.ModTime)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.workingDirectory, got, tt.want)
		}
	}
}

func TestContainerPath(t *testing.T) {
	tests := []struct {
		in      string
		windows bool
		want    string
	}{
		{"/app/", false, "app"},
		{"/app", false, "app"},
		{"app", false, "app"},
		{`\srv\x\`, false, "srv/x"},
		{"/", false, ""},
		{"/../a", false, "a"},
		{`C:\app\`, true, "Files/app"},
		{`c:\a\b`, true, "Files/a/b"},
		{"C:/app", true, "Files/app"},
		{`\app`, true, "Files/app"},
		{`C:\`, true, "Files"},
		{"C:", true, "Files"},
	}
	for _, tt := range tests {
		if got := ContainerPath(tt.in, tt.windows); got != tt.want {
			t.Errorf("ContainerPath(%q, %t) = %q, want %q", tt.in, tt.windows, got, tt.want)
		}
	}
}

type brokenSink struct{ room int }

var errFull = errors.New("disk full")

func (s *brokenSink) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorsOfTheSinkComeBack(t *testing.T) {
	folder, spec := goldenSpec()
	for name, c := range compressions {
		spec.Compression = c
		for _, room := range []int{0, 5, 10, 1000, BlockSize} {
			if _, err := Write(context.Background(), &brokenSink{room}, folder, spec, 2); !errors.Is(err, errFull) {
				t.Errorf("%s, room for %d bytes: error %v", name, room, err)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	folder, spec := goldenSpec()
	for name, c := range compressions {
		spec.Compression = c
		if _, err := Write(ctx, io.Discard, folder, spec, 2); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSamePathTwice(t *testing.T) {
	folder, spec := goldenSpec()
	spec.Files = append(spec.Files, spec.Files[0])
	_, err := Write(context.Background(), io.Discard, folder, spec, 2)
	wantCode(t, err, "GANTRY1005")
	if want := fmt.Sprintf("%q", "app/"+spec.Files[0].Path); !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not name %s", err, want)
	}
}
