package resolvelayers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// filesWorld is a project with some files; each one's content is its path.
func filesWorld(t *testing.T, paths ...string) *world {
	w := newWorld(t, nil)
	for _, p := range paths {
		w.write(p, p)
	}
	return w
}

// listed are the files of the only layer, "path in the layer<content".
func listed(t *testing.T, layers []tasks.ExtraLayer) (out []string) {
	t.Helper()
	if len(layers) != 1 || layers[0].Files == nil || layers[0].Blob != nil {
		t.Fatalf("got %+v", layers)
	}
	for _, f := range layers[0].Files.Files {
		data, err := os.ReadFile(f.SourcePath)
		must(t, err)
		if f.Digest != cas.DigestOf(data) || f.Size != int64(len(data)) || !filepath.IsAbs(f.SourcePath) {
			t.Errorf("got %+v for %q", f, data)
		}
		out = append(out, f.Path+"<"+string(data))
	}
	return out
}

// TestFiles_globs: which files a glob takes, and where they go.
func TestFiles_globs(t *testing.T) {
	w := filesWorld(t, "models/a.bin", "models/b/c.bin", "models/b/c.tmp", "models/b/d/e.tmp", "models/.h", "other/a.bin", "x y.txt", "[z]",
		"bin/Debug/models/a.bin")
	outside := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	for _, name := range []string{"o.bin", "sub/o.tmp"} {
		must(t, os.WriteFile(filepath.Join(outside, name), []byte("o"), 0o644))
	}
	up, err := filepath.Rel(w.dir, outside)
	must(t, err)
	for _, tc := range []struct{ files, except, want string }{
		{"models/**", "", ".h<models/.h a.bin<models/a.bin b/c.bin<models/b/c.bin b/c.tmp<models/b/c.tmp b/d/e.tmp<models/b/d/e.tmp"},
		{"models/**", "**/*.tmp", ".h<models/.h a.bin<models/a.bin b/c.bin<models/b/c.bin"},
		{"models/**", "models/*", "b/c.bin<models/b/c.bin b/c.tmp<models/b/c.tmp b/d/e.tmp<models/b/d/e.tmp"},
		{"models/**", "models/b;**/d", ".h<models/.h a.bin<models/a.bin b/c.bin<models/b/c.bin b/c.tmp<models/b/c.tmp b/d/e.tmp<models/b/d/e.tmp"},
		{"models/**", "models/b/**;models/.h", "a.bin<models/a.bin"},
		{"models/**", "b/**;**/.h", "a.bin<models/a.bin b/c.bin<models/b/c.bin b/c.tmp<models/b/c.tmp b/d/e.tmp<models/b/d/e.tmp"},
		{`models\**\*.bin`, "", "a.bin<models/a.bin b/c.bin<models/b/c.bin"},
		{"./models/*.bin", "", "a.bin<models/a.bin"},
		{"models/a.bin", "", "a.bin<models/a.bin"},
		{"models/*.bin; other/../models/b/*.bin", "", "a.bin<models/a.bin c.bin<models/b/c.bin"},
		{"models/a.bin;models/*.bin", "", "a.bin<models/a.bin"},
		{"*/a.bin", "other/**", "models/a.bin<models/a.bin"},
		{"**/a.bin", "bin/**", "models/a.bin<models/a.bin other/a.bin<other/a.bin"},
		{"models/{b,c}/*.{bin,tmp}", "", "b/c.bin<models/b/c.bin b/c.tmp<models/b/c.tmp"},
		{"m*/b/**/e.tmp", "", "models/b/d/e.tmp<models/b/d/e.tmp"},
		{"x*.txt", "", "x y.txt<x y.txt"},
		{"[[]z]", "", "[z]<[z]"},
		{outside + "/**", "", "o.bin<o sub/o.tmp<o"},
		{outside + "/**", "**/*.tmp", "o.bin<o"},
		{outside + "/**", outside + "/sub/**", "o.bin<o"},
		{filepath.ToSlash(up) + "/*.bin", "", "o.bin<o"},
	} {
		got, err := w.run(Item{Include: "l", Files: tc.files, Except: tc.except})
		if err != nil {
			t.Errorf("%q except %q: %v", tc.files, tc.except, err)
			continue
		}
		if list := strings.Join(listed(t, got.Layers), " "); list != tc.want {
			t.Errorf("%q except %q: got %q, want %q", tc.files, tc.except, list, tc.want)
		}
	}
	for files, text := range map[string]string{
		"models/*.exe": "models/*.exe", "modell/**": "there is no folder", "models": "models/**", "models/**; none/*": "none/*",
		"models/a": `"models/a"`, "MODELS/**": "no folder",
	} {
		w.fails(diag.LayerMatchesNothing, Item{Include: "l", Files: files}, text, `ContainerLayer "l"`)
	}
	w.fails(diag.LayerMatchesNothing, Item{Include: "l", Files: "models/*.bin", Except: "models/**"})
	w.fails(diag.InvalidLayerItem, Item{Include: "l", Files: "models/*.bin;other/*.bin"}, "models/a.bin", "other/a.bin", "two files")
}

// TestFiles_metadata: where the files go and whose they are.
func TestFiles_metadata(t *testing.T) {
	w := filesWorld(t, "m/a")
	w.req.User = "1654"
	for _, tc := range []struct {
		item Item
		want tasks.ExtraFiles
	}{
		{Item{}, tasks.ExtraFiles{TargetDirectory: "/app", UID: 1654}},
		{Item{TargetDirectory: "/models", Mode: "0644", Owner: "1:2"}, tasks.ExtraFiles{
			TargetDirectory: "/models",
			UID:             1, GID: 2, Mode: "0644",
		}},
		{Item{TargetDirectory: `data\m`, Owner: "0"}, tasks.ExtraFiles{TargetDirectory: "/app/data/m"}},
		{Item{TargetDirectory: `C:\models`}, tasks.ExtraFiles{TargetDirectory: "C:/models", UID: 1654}},
	} {
		tc.item.Include, tc.item.Files = "l", "m/*"
		got := *w.must(tc.item)[0].Files
		got.Files = nil
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", tc.item, d)
		}
	}
	w.req.User = "app"
	if got := w.must(Item{Include: "l", Files: "m/*"}); got[0].Files.UID != 0 {
		t.Errorf("got %+v", got[0].Files)
	}
}

// TestFiles_expanded: items whose Include MSBuild expanded to a file each are one layer.
func TestFiles_expanded(t *testing.T) {
	w := filesWorld(t, "models/a.bin", "models/b/c.bin", "other/a.bin")
	one := func(include, recursive string) Item {
		return Item{Include: include, RecursiveDir: recursive, Layer: "models", TargetDirectory: "/m", Mode: "0600"}
	}
	got := w.must(one("models/a.bin", ""), one(`models\b\c.bin`, `b\`))
	if list := strings.Join(listed(t, got), " "); list != "a.bin<models/a.bin b/c.bin<models/b/c.bin" || got[0].Name != "models" ||
		got[0].Files.TargetDirectory != "/m" {
		t.Errorf("got %q, %+v", list, got[0])
	}
	for name, tc := range map[string]struct {
		second Item
		code   diag.Code
		text   string
	}{
		"not there":     {one("models/none", ""), diag.LayerMatchesNothing, "models/none"},
		"a folder":      {one("models/b", ""), diag.InvalidLayerItem, "no file"},
		"the same path": {one("other/a.bin", ""), diag.InvalidLayerItem, "two files"},
		"a way out":     {one("models/b/c.bin", "../"), diag.InvalidLayerItem, "../c.bin"},
		"another Mode":  {func() Item { i := one("models/b/c.bin", "b/"); i.Mode = ""; return i }(), diag.InvalidLayerItem, "differ"},
		"another Order": {func() Item { i := one("models/b/c.bin", "b/"); i.Order = "AfterApp"; return i }(), diag.InvalidLayerItem, "differ"},
	} {
		if _, err := w.run(one("models/a.bin", ""), tc.second); diag.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestFiles_expandedLinks: a link is followed where Files would follow it, and a file outside that its own path names is none.
func TestFiles_expandedLinks(t *testing.T) {
	outside := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	for _, name := range []string{"x.bin", "sub/y.bin"} {
		must(t, os.WriteFile(filepath.Join(outside, name), []byte(name), 0o644))
	}
	must(t, os.Symlink(outside, filepath.Join(outside, "sub", "back")))
	must(t, os.Symlink(t.TempDir(), filepath.Join(outside, "gone")))
	w := filesWorld(t, "other/a", "d/e")
	for name, to := range map[string]string{
		"file": filepath.Join(outside, "x.bin"), "folder": outside, "inside": "../d/e", "d": "../d", "around": "../d/out",
	} {
		must(t, os.Symlink(to, filepath.Join(w.dir, "other", name)))
	}
	must(t, os.Symlink(outside, filepath.Join(w.dir, "d", "out")))
	must(t, os.Symlink(outside, filepath.Join(w.dir, "shared")))
	up, err := filepath.Rel(w.dir, outside)
	must(t, err)
	for _, tc := range []struct{ include, recursive, want string }{ // want is the file, or the link of the error
		{"other/a", "", "a<other/a"},
		{"other/inside", "", "inside<d/e"},
		{"other/d/e", "d/", "d/e<d/e"},
		{`other\d\e`, `d\`, "d/e<d/e"},
		{up + "/x.bin", "", "x.bin<x.bin"},
		{outside + "/sub/y.bin", "sub/", "sub/y.bin<sub/y.bin"},
		{outside + "/sub/back/x.bin", "sub/back/", "sub/back/x.bin<x.bin"},
		{"shared/x.bin", "", "x.bin<x.bin"}, // as Files="shared/*": the glob begins behind the link
		{"other/file", "", "other/file"},
		{"other/folder/x.bin", "folder/", "other/folder"},
		{"other/d/out/x.bin", "d/out/", "other/d/out"},
		{"other/around/sub/y.bin", "around/sub/", "other/around"},
		{outside + "/sub/back/gone", "sub/back/", ""}, // a folder
	} {
		it := Item{Include: tc.include, RecursiveDir: tc.recursive, Layer: "o", TargetDirectory: "/o"}
		switch got, err := w.run(it); {
		case tc.want == "":
			w.fails(diag.InvalidLayerItem, it, "no file")
		case !strings.Contains(tc.want, "<"):
			w.fails(diag.SymlinkEscapes, it, "the symbolic link "+filepath.Join(w.dir, tc.want)+" leads out", "Exclude")
		case err != nil:
			t.Errorf("%s: %v", tc.include, err)
		default:
			if list := strings.Join(listed(t, got.Layers), " "); list != tc.want {
				t.Errorf("%s: got %q, want %q", tc.include, list, tc.want)
			}
		}
	}
}

// TestFiles_exceptNothing: a glob of Except that leaves out nothing is said, and no error.
func TestFiles_exceptNothing(t *testing.T) {
	w := filesWorld(t, "models/a.bin", "models/b/c.bin", "other/a.bin")
	for _, tc := range []struct {
		files, except string
		says          []string
	}{
		{"models/**", "models/*.bin", nil},
		{"models/**", "**/a.bin;models/a.*", nil},
		{"models/**", "models/b/**", nil},
		{"models/**;other/**/a.b*", "models/a.bin", nil},
		{"models/**", "**/*.tmp", []string{"**/*.tmp"}},
		{"models/**", "models/b", []string{"models/b"}}, // a folder
		{"models/**", "other/*;models/a.bin;none", []string{"other/*", "none"}},
		{"models/*", "models/b/**", []string{"models/b/**"}},
	} {
		w.must(Item{Include: "l", Files: tc.files, Except: tc.except})
		if n := strings.Count(w.log.String(), string(diag.ExceptMatchesNothing)+": "); n != len(tc.says) {
			t.Errorf("%+v: %d messages\n%s", tc, n, w.log.String())
		}
		for _, glob := range tc.says {
			w.says(`ContainerLayer \"l\": the glob \"` + glob + `\" of Except`)
		}
	}
}

// TestFiles_odd has what cannot be in a layer, and links.
func TestFiles_odd(t *testing.T) {
	link := func(to string) func(w *world) {
		return func(w *world) { must(w, os.Symlink(to, filepath.Join(w.dir, "m", "link"))) }
	}
	elsewhere := t.TempDir()
	must(t, os.WriteFile(filepath.Join(elsewhere, "f"), []byte("f"), 0o644))
	for name, tc := range map[string]struct {
		make func(w *world)
		code diag.Code // empty: it is want
		want string
	}{
		"link to a file":         {link("a"), "", "a<m/a b/c<m/b/c link<m/a"},
		"link to a folder":       {link("b"), "", "a<m/a b/c<m/b/c link/c<m/b/c"},
		"link into the project":  {link("../other"), "", "a<m/a b/c<m/b/c link/d<other/d"},
		"link elsewhere":         {link(filepath.Join(elsewhere, "f")), diag.SymlinkEscapes, "m/link"},
		"link to a folder there": {link(elsewhere), diag.SymlinkEscapes, "m/link"},
		"link to nothing":        {link("none"), diag.SymlinkLoop, "m/link"},
		"link to itself":         {link("link"), diag.SymlinkLoop, "m/link"},
		"link to its folder":     {link("."), diag.SymlinkLoop, "a folder that it is in"},
		"link to the project":    {link(".."), diag.SymlinkLoop, "a folder that it is in"},
		"whiteout":               {func(w *world) { w.write("m/.wh.a", "") }, diag.WhiteoutName, ".wh.a"},
		"name":                   {func(w *world) { w.write("m/\xff", "") }, diag.NameNotUTF8, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			w := filesWorld(t, "m/a", "m/b/c", "other/d")
			tc.make(w)
			it := Item{Include: "l", Files: "m/**"}
			if tc.code == "" {
				if list := strings.Join(listed(t, w.must(it)), " "); list != tc.want {
					t.Errorf("got %q, want %q", list, tc.want)
				}
				return
			}
			w.fails(tc.code, it, tc.want)
			it.Except = "m/link;m/.wh.a;m/\xff"
			if !strings.Contains(name, "name") {
				if list := strings.Join(listed(t, w.must(it)), " "); list != "a<m/a b/c<m/b/c" {
					t.Errorf("without it: %q", list)
				}
			}
		})
	}
}

// TestFiles_record: an untouched file is not read again, and one that changed in any way is.
func TestFiles_record(t *testing.T) {
	w := filesWorld(t, "m/a", "m/b")
	it := Item{Include: "l", Files: "m/**"}
	path := filepath.Join(w.dir, "m", "a")
	old := time.Unix(1700000000, 0)
	must(t, os.Chtimes(path, old, old))
	time.Sleep(2 * published.Tick)
	first := w.must(it)
	record := filepath.Join(w.out, "record.json")
	before, err := os.Stat(record)
	must(t, err)
	// A digest that is only in the record: it shows whether the file was read.
	lie := func(content string) {
		data, err := os.ReadFile(record)
		must(t, err)
		text := strings.ReplaceAll(string(data), string(cas.DigestOf([]byte(content))), string(cas.DigestOf([]byte("lie"))))
		if text == string(data) {
			t.Fatalf("the record does not have %q", content)
		}
		must(t, os.WriteFile(record, []byte(text), 0o644))
	}
	if again := w.must(it); !cmp.Equal(first, again) {
		t.Errorf("got %+v", again)
	}
	if after, err := os.Stat(record); err != nil || !os.SameFile(before, after) {
		t.Errorf("the record was written again: %v", err)
	}
	digest := func() cas.Digest { return w.must(it)[0].Files.Files[0].Digest }
	lie("m/a")
	if digest() != cas.DigestOf([]byte("lie")) {
		t.Error("the file was read, and nothing had changed")
	}
	must(t, os.WriteFile(path, []byte("A/m"), 0o644)) // of the same size and time
	must(t, os.Chtimes(path, old, old))
	if digest() != cas.DigestOf([]byte("A/m")) {
		t.Error("the file was not read")
	}
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(path, future, future)) // it may change again without a sign of it
	digest()
	lie("A/m")
	if digest() != cas.DigestOf([]byte("A/m")) {
		t.Error("a file that was not settled was not read")
	}
	must(t, os.WriteFile(record, []byte("{"), 0o644))
	if digest() != cas.DigestOf([]byte("A/m")) {
		t.Error("a broken record counted")
	}
	must(t, os.Remove(record))
	must(t, os.MkdirAll(filepath.Join(record, "x"), 0o755))
	if digest() != cas.DigestOf([]byte("A/m")) {
		t.Error("without a record")
	}
	w.says("cannot be written")
}
