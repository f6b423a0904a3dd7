package layer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"pgregory.net/rapid"
)

// withDigests gives each file of spec the digest that it has in folder.
func withDigests(folder fstest.MapFS, spec *Spec) {
	for i := range spec.Files {
		f := &spec.Files[i]
		f.Digest = cas.DigestOf(folder[f.Path].Data)
	}
}

func keyOf(t testing.TB, spec *Spec) cas.Digest {
	t.Helper()
	key, err := Key(spec, image.OCILayerGzip)
	must(t, err)
	return key
}

// A difference here means that no layer that was ever made is found again. It belongs with a change of the bytes, the format or the
// compressor's version, and with no other.
func TestGoldenKey(t *testing.T) {
	folder, spec := goldenSpec()
	withDigests(folder, spec)
	got := []cas.Digest{keyOf(t, spec)}
	spec.Windows, spec.WorkingDirectory, spec.Compression = true, `C:\app\`, Compression{Algorithm: Zstd}
	got = append(got, keyOf(t, spec))
	for i, want := range []cas.Digest{
		"sha256:e069b50f0b61af770ef42d2bed38e561eb361fe7c726096177f2805236550e44",
		"sha256:6f83b3da624a25368d6b4c4a922dfa7d607897007d0cb906ac6316436ed4d9d7",
	} {
		if got[i] != want {
			t.Errorf("key %d is %s, want %s", i, got[i], want)
		}
	}
}

// Each thing that decides a byte decides the key, and what decides none does not.
func TestKeyFollowsTheBytes(t *testing.T) {
	base := func() (fstest.MapFS, *Spec) {
		folder, spec := fstest.MapFS{}, &Spec{WorkingDirectory: "/app", Time: DefaultTime, Folders: []string{"e"}}
		for name, content := range map[string]string{"a": strings.Repeat("content ", 100), "b/c": "x"} {
			folder[name] = &fstest.MapFile{Data: []byte(content)}
			spec.Files = append(spec.Files, File{Path: name, Size: int64(len(content)), Time: DefaultTime})
		}
		return folder, spec
	}
	file := func(spec *Spec, path string) *File {
		for i := range spec.Files {
			if spec.Files[i].Path == path {
				return &spec.Files[i]
			}
		}
		panic(path)
	}
	tests := []struct {
		name string
		same bool
		edit func(fstest.MapFS, *Spec)
	}{
		{"content", false, func(f fstest.MapFS, _ *Spec) { f["b/c"].Data = []byte("y") }},
		{"size", false, func(f fstest.MapFS, s *Spec) { f["b/c"].Data, file(s, "b/c").Size = []byte("xx"), 2 }},
		{"path", false, func(f fstest.MapFS, s *Spec) { f["b/d"], file(s, "b/c").Path = f["b/c"], "b/d" }},
		{"long path", false, func(f fstest.MapFS, s *Spec) {
			long := strings.Repeat("x", 120)
			f[long], file(s, "b/c").Path = f["b/c"], long
		}},
		{"time of a file", false, func(_ fstest.MapFS, s *Spec) { file(s, "a").Time++ }},
		{"time of the folders", false, func(_ fstest.MapFS, s *Spec) { s.Time++ }},
		{"a folder more", false, func(_ fstest.MapFS, s *Spec) { s.Folders = append(s.Folders, "f") }},
		{"no empty folder", false, func(_ fstest.MapFS, s *Spec) { s.Folders = nil }},
		{"a file less", false, func(_ fstest.MapFS, s *Spec) { s.Files = s.Files[:1] }},
		{"owner", false, func(_ fstest.MapFS, s *Spec) { s.UID = 1 }},
		{"large owner", false, func(_ fstest.MapFS, s *Spec) { s.UID = 1 << 21 }},
		{"group", false, func(_ fstest.MapFS, s *Spec) { s.GID = 1 }},
		{"large group", false, func(_ fstest.MapFS, s *Spec) { s.GID = 1 << 21 }},
		{"mode", false, func(_ fstest.MapFS, s *Spec) { s.Mode = 0o644 }},
		{"working directory", false, func(_ fstest.MapFS, s *Spec) { s.WorkingDirectory = "/srv" }},
		{"windows", false, func(_ fstest.MapFS, s *Spec) { s.Windows = true }},
		{"level", false, func(_ fstest.MapFS, s *Spec) { s.Compression.Level = 1 }},
		{"zstd", false, func(_ fstest.MapFS, s *Spec) { s.Compression.Algorithm = Zstd }},
		{"none", false, func(_ fstest.MapFS, s *Spec) { s.Compression.Algorithm = None }},
		{"other content in its place", false, func(_ fstest.MapFS, s *Spec) { file(s, "b/c").Content = []byte("z") }},
		{"empty content in its place", false, func(_ fstest.MapFS, s *Spec) { file(s, "b/c").Content = []byte{} }},

		{"the same content in its place", true, func(_ fstest.MapFS, s *Spec) { file(s, "b/c").Content = []byte("x") }},
		{"the default level", true, func(_ fstest.MapFS, s *Spec) { s.Compression = Compression{Gzip, DefaultGzipLevel} }},
		{"the default mode", true, func(_ fstest.MapFS, s *Spec) { s.Mode = 0o755 }},
		{"order", true, func(_ fstest.MapFS, s *Spec) { s.Files[0], s.Files[1] = s.Files[1], s.Files[0] }},
		{"a folder that is there anyway", true, func(_ fstest.MapFS, s *Spec) { s.Folders = append(s.Folders, "b") }},
		{"the same working directory", true, func(_ fstest.MapFS, s *Spec) { s.WorkingDirectory = "app/x/../" }},
		{"time of the published file", true, func(_ fstest.MapFS, s *Spec) { file(s, "a").ModTime = 0 }},
	}
	folder, spec := base()
	withDigests(folder, spec)
	key, bytes := keyOf(t, spec), make1(t, folder, spec)
	for _, tt := range tests {
		folder, spec := base()
		tt.edit(folder, spec)
		withDigests(folder, spec)
		if same := keyOf(t, spec) == key; same != tt.same {
			t.Errorf("%s: the key is the same: %t", tt.name, same)
		}
		if same := make1(t, folder, spec) == bytes; same != tt.same {
			t.Errorf("%s: the bytes are the same: %t", tt.name, same)
		}
	}
	if other, err := Key(spec, image.DockerLayerGzip); err != nil || other == key {
		t.Errorf("another media type: %s, %v", other, err)
	}
}

// The levels of zstd that are one to the compressor are one to the key, and others are not.
func TestKeyOfZstdLevels(t *testing.T) {
	spec := &Spec{WorkingDirectory: "/app"}
	byKey := map[cas.Digest][]int{}
	for level := range 23 {
		spec.Compression = Compression{Zstd, level}
		byKey[keyOf(t, spec)] = append(byKey[keyOf(t, spec)], level)
	}
	if len(byKey) != 3 {
		t.Errorf("keys %v, want those of 3 levels", byKey)
	}
}

// Two layers have one key if and only if they have the same bytes.
func TestKeyProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(label string) (cas.Digest, []byte) {
			name := rapid.SampledFrom([]string{"a", "b", "b/c", "c:", "1"})
			names := rapid.SliceOfNDistinct(name, 0, 3, rapid.ID[string]).Draw(rt, label)
			folder := fstest.MapFS{}
			spec := &Spec{
				WorkingDirectory: rapid.SampledFrom([]string{"/", "/a", "/1"}).Draw(rt, label), Windows: rapid.Bool().Draw(rt, label),
				Time: rapid.Int64Range(0, 1).Draw(rt, label), UID: rapid.Int64Range(0, 1).Draw(rt, label), GID: rapid.Int64Range(0, 1).Draw(rt, label),
				Mode: rapid.SampledFrom([]int64{0, 0o755, 0o644}).Draw(rt, label), Compression: Compression{Algorithm: None},
			}
			for _, n := range names {
				content := rapid.SampledFrom([]string{"", "1", "a", "11"}).Draw(rt, label)
				folder[n] = &fstest.MapFile{Data: []byte(content)}
				spec.Files = append(spec.Files, File{Path: n, Size: int64(len(content)), Time: rapid.Int64Range(0, 1).Draw(rt, label)})
			}
			if folder["b"] != nil && folder["b/c"] != nil {
				rt.Skip("a file and a folder of one name")
			}
			withDigests(folder, spec)
			key, err := Key(spec, "m")
			if err != nil {
				rt.Fatal(err)
			}
			var tar bytes.Buffer
			if _, err := Write(context.Background(), &tar, folder, spec, 1); err != nil {
				rt.Fatal(err)
			}
			return key, tar.Bytes()
		}
		key1, bytes1 := draw("first")
		key2, bytes2 := draw("second")
		if (key1 == key2) != bytes.Equal(bytes1, bytes2) {
			rt.Fatalf("same key: %t, same bytes: %t", key1 == key2, bytes.Equal(bytes1, bytes2))
		}
	})
}

func TestKeyNeedsDigests(t *testing.T) {
	_, spec := goldenSpec()
	if key, err := Key(spec, "m"); err == nil || !strings.Contains(err.Error(), "no digest") {
		t.Errorf("key %q, error %v", key, err)
	}
}

// The versions are constants, because the build information of a binary is not to be had everywhere: they must be those of go.mod.
func TestCompressorVersions(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(testenv.Root(t), "go.mod"))
	must(t, err)
	for module := range strings.SplitSeq(gzipModule, ", ") {
		if !strings.Contains(string(data), "\t"+module+"\n") {
			t.Errorf("go.mod does not require %q: when a compressor's version changes, so do its constant and the keys", module)
		}
	}
}
