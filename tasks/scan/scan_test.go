package scan

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func request(dir string) *Request {
	return &Request{RequestHeader: tasks.RequestHeader{SchemaVersion: 1, Stage: Stage}, FolderPath: dir}
}

func paths(r *Response) string {
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Path)
	}
	return strings.Join(names, " ")
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"app.dll", "a/b.txt", "a.txt", "a-b", ".hidden", "app.deps.json", "sub/x.deps.json", "ä"} {
		write(t, dir, name, name)
	}
	must(t, os.MkdirAll(filepath.Join(dir, "empty", "below"), 0o755))
	req := request(dir)
	req.Items = []Item{
		{Path: "APP.dll", Origin: "project", OriginName: "first"},
		{Path: "app.dll", Origin: "package", OriginName: "Some.Package", OriginVersion: "1.2.3"},
		{Path: `a\b.txt`, Origin: "runtime"},
		{Path: "not/there", Origin: "app"},
	}
	got, err := Run(context.Background(), Deps{}, req)
	must(t, err)
	if want := ".hidden a a-b a.txt a/b.txt app.deps.json app.dll empty empty/below sub sub/x.deps.json ä"; paths(got) != want {
		t.Errorf("paths\n got %s\nwant %s", paths(got), want)
	}
	byPath := map[string]tasks.FileEntry{}
	for _, f := range got.Files {
		byPath[f.Path] = f
	}
	for path, want := range map[string]tasks.FileEntry{
		"app.dll": {
			Path: "app.dll", Type: "file", Size: 7, Origin: "package", OriginName: "Some.Package", OriginVersion: "1.2.3",
			Digest: cas.DigestOf([]byte("app.dll")),
		},
		"app.deps.json": {Path: "app.deps.json", Type: "file", Size: 13, Origin: "app", Digest: cas.DigestOf([]byte("app.deps.json"))},
		"empty/below":   {Path: "empty/below", Type: "directory"},
	} {
		if got := byPath[path]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", path, got, want)
		}
	}
	if f := byPath["a/b.txt"]; f.Origin != "runtime" {
		t.Errorf("a/b.txt: %+v", f)
	}
	want := []tasks.FileDigest{{Path: dir + "/", Digest: tasks.FileListDigest(got.Files)}}
	if !reflect.DeepEqual(got.Inputs, want) {
		t.Errorf("inputs\n got %v\nwant %v", got.Inputs, want)
	}
	again, err := Run(context.Background(), Deps{}, req)
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("second scan: %v, %+v", err, again)
	}
}

func TestLinksInside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "real/f", "12345")
	for link, target := range map[string]string{"file": "real/f", "folder": "real", "absolute": filepath.Join(dir, "real", "f")} {
		must(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	got, err := Run(context.Background(), Deps{}, request(dir))
	must(t, err)
	if want := "absolute file folder folder/f real real/f"; paths(got) != want {
		t.Errorf("paths %s, want %s", paths(got), want)
	}
	for _, f := range got.Files {
		if f.Type == "file" && (f.Size != 5 || f.Digest != got.Files[5].Digest) {
			t.Errorf("%+v is not as what it leads to", f)
		}
	}
}

func TestPublishFolderIsALink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "real/f", "")
	must(t, os.Symlink("f", filepath.Join(dir, "real", "g")))
	must(t, os.Symlink("real", filepath.Join(dir, "link")))
	got, err := Run(context.Background(), Deps{}, request(filepath.Join(dir, "link")))
	if err != nil || paths(got) != "f g" {
		t.Errorf("%v, %v", got, err)
	}
}

// link makes a link in dir.
func link(target, name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
}

func files(names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, n := range names {
			write(t, dir, n, n)
		}
	}
}

func TestBadInput(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		code diag.Code
		says []string
	}{
		{"empty", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "ok"))) }, diag.PublishFolderEmpty, []string{"no files", "publish first"}},
		{"missing", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, diag.PublishFolderMissing, []string{"publish first"}},
		{"a file", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, nil, 0o644))
		}, diag.PublishFolderMissing, []string{"it is a file"}},
		{"link out", link("/etc/passwd", "sub/l"), diag.SymlinkEscapes, []string{`"sub/l"`, "/etc/passwd", "copy"}},
		{"relative link out", link("../..", "l"), diag.SymlinkEscapes, []string{`"l"`}},
		{"link to itself", link("l", "l"), diag.SymlinkLoop, []string{`"l"`, "delete"}},
		{"link to nothing", link("nothing", "sub/l"), diag.SymlinkLoop, []string{`"sub/l"`, "nowhere"}},
		{"link to the folder", link(".", "l"), diag.SymlinkLoop, []string{`"l"`, "folder that it is in"}},
		{"link to a folder around", link("../..", "a/b/l"), diag.SymlinkLoop, []string{`"a/b/l"`}},
		{"links in a circle", func(t *testing.T, dir string) { link("../b", "a/l")(t, dir); link("../a", "b/l")(t, dir) }, diag.SymlinkLoop, []string{`"a/l/l"`, "1 more"}},
		{"case", files("sub/File.txt", "sub/file.txt"), diag.CaseCollision, []string{`"sub/File.txt"`, `"sub/file.txt"`, "rename"}},
		{"case of folders", files("Sub/a", "sub/b"), diag.CaseCollision, []string{`"Sub"`, `"sub"`}},
		{"case, not ASCII", files("STRASSE-Ä", "strasse-ä"), diag.CaseCollision, []string{"-ä"}},
		{"case, long s", files("s", "ſ"), diag.CaseCollision, []string{"ſ"}},
		{"composed and decomposed", files("\u00e9", "e\u0301"), diag.CaseCollision, []string{"accents"}},
		{"not UTF-8", files("a\xffb"), diag.NameNotUTF8, []string{`"a\xffb"`, "rename"}},
		{"socket", func(t *testing.T, dir string) {
			l, err := net.Listen("unix", filepath.Join(dir, "s"))
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, diag.UnsupportedFile, []string{`"s"`, "a socket", "delete"}},
		{"whiteout", files("sub/.wh.x"), diag.WhiteoutName, []string{`"sub/.wh.x"`, "rename"}},
		{"whiteout folder", files(".wh..opq/x"), diag.WhiteoutName, []string{`".wh..opq"`}},
		{"several", files(".wh.a", ".wh.b", "c\xff"), diag.WhiteoutName, []string{`".wh.a"`, "2 more"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "scan") // short: a socket's path has 108 bytes at most
			must(t, err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			write(t, dir, "ok", "")
			tt.make(t, dir)
			_, err = Run(context.Background(), Deps{}, request(dir))
			wantError(t, err, tt.code, tt.says...)
		})
	}
}

func wantError(t testing.TB, err error, code diag.Code, says ...string) {
	t.Helper()
	if err == nil || diag.CodeOf(err) != code {
		t.Fatalf("error %v (%s), want %s", err, diag.CodeOf(err), code)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "f", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Deps{}, request(dir)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	r := &Request{Items: []Item{{Path: "a", Origin: "app"}, {Path: "", Origin: "nuget"}}, Transformed: []string{"**/*.json", "["}, ArchivePath: "x"}
	err := r.Validate()
	wantError(t, err, diag.InvalidValue, "folderPath is missing", "items[1].path is missing", `items[1].origin is "nuget"`, "transformed[1]", "repository is missing")
	if strings.Contains(err.Error(), "items[0]") || strings.Contains(err.Error(), "transformed[0]") {
		t.Errorf("error %q blames what is right", err)
	}
	must(t, request("x").Validate())
}

func TestFoldCase(t *testing.T) {
	same := [][2]string{{"a", "A"}, {"K", "\u212a"}, {"σ", "ς"}, {"Ǆ", "ǅ"}, {"É", "e\u0301"}, {"Å", "\u212b"}}
	for _, p := range same {
		if foldCase(p[0]) != foldCase(p[1]) {
			t.Errorf("%q and %q are not the same", p[0], p[1])
		}
	}
	other := [][2]string{{"a", "b"}, {"a", "ä"}, {"ss", "ß"}, {"fi", "ﬁ"}, {"1", "¹"}}
	for _, p := range other {
		if foldCase(p[0]) == foldCase(p[1]) {
			t.Errorf("%q and %q are the same", p[0], p[1])
		}
	}
}

func TestItem_kind(t *testing.T) {
	for _, tc := range []struct{ origin, name, want string }{
		{"package", "Newtonsoft.Json", "package"},
		{"package", "Microsoft.NETCore.App.Runtime.linux-x64", "runtime"},
		{"package", "microsoft.aspnetcore.app.runtime.linux-musl-arm64", "runtime"},
		{"package", "Microsoft.NETCore.App.RuntimeTools", "package"},
		{"project", "Microsoft.NETCore.App.Runtime.linux-x64", "project"},
		{"runtime", "", "runtime"},
	} {
		if got := (&Item{Origin: tc.origin, OriginName: tc.name}).kind(); got != tc.want {
			t.Errorf("%s %s: got %s, want %s", tc.origin, tc.name, got, tc.want)
		}
	}
}
