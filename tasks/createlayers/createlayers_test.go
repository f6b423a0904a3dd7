package createlayers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

func TestGroups(t *testing.T) {
	a := newApp(t)
	a.list(t)
	got := a.run(t, nil)
	want := []struct{ name, entries string }{
		{"runtime", "app app/System.Private.CoreLib.dll"},
		{"packages", "app app/Pkg.dll app/de app/de/Pkg.resources.dll app/runtimes app/runtimes/linux app/runtimes/linux/native app/runtimes/linux/native/x.so"},
		{"projects", "app app/de app/de/lib.resources.dll app/lib.dll"},
		{"app", "app app/app.deps.json app/app.dll app/data app/data/a.txt app/data/deep app/data/deep/b.txt app/empty app/empty/below " +
			"app/web.staticwebassets.endpoints.json app/wwwroot app/wwwroot/_content app/wwwroot/_content/Pkg app/wwwroot/_content/Pkg/p.js " +
			"app/wwwroot/none app/wwwroot/site.css app/wwwroot/site.css.gz"},
	}
	if len(got.Layers) != len(want) {
		t.Fatalf("%d layers, want %d", len(got.Layers), len(want))
	}
	files := 0
	for i, l := range got.Layers {
		entries := a.read(t, l)
		if l.Name != want[i].name || names(entries) != want[i].entries {
			t.Errorf("layer %d is %s\n got %s\nwant %s", i, l.Name, names(entries), want[i].entries)
		}
		if l.CreatedBy != "gantry create-layers: "+l.Name || l.Comment != "" {
			t.Errorf("%s: created by %q, comment %q", l.Name, l.CreatedBy, l.Comment)
		}
		if want := "application/vnd.docker.image.rootfs.diff.tar.gzip"; l.Descriptor.MediaType != want {
			t.Errorf("%s: media type %s, want %s", l.Name, l.Descriptor.MediaType, want)
		}
		if want := (tasks.Output{Digest: l.Descriptor.Digest, Size: l.Descriptor.Size}); got.Outputs[i] != want {
			t.Errorf("output %v, want %v", got.Outputs[i], want)
		}
		files += l.Files
	}
	if files != 14 {
		t.Errorf("%d files in all layers, want each of 14 once", files)
	}
	var read []string
	for _, in := range got.Inputs {
		read = append(read, in.Path)
	}
	if want := []string{a.dir + "/", filepath.Join(a.docs, "base.json"), filepath.Join(a.docs, "scan.json")}; !slices.IsSorted(read) || !sameSet(read, want) {
		t.Errorf("inputs %v, want %v in order", read, want)
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func TestSingle(t *testing.T) {
	a := newApp(t)
	a.base.Format = tasks.FormatOCI
	a.list(t)
	got := a.run(t, func(r *Request) { r.Layers, r.SourceDateEpoch = LayersSingle, "1700000000" })
	if len(got.Layers) != 1 || got.Layers[0].Files != 14 || got.Layers[0].Descriptor.MediaType != "application/vnd.oci.image.layer.v1.tar+gzip" {
		t.Fatalf("layers %+v", got.Layers)
	}
	for name, e := range a.read(t, got.Layers[0]) {
		static := layer.IsStatic(strings.TrimPrefix(name, "app/")) && e.FileInfo().Mode().IsRegular()
		if at := e.ModTime.Unix(); !static && at != 1700000000 || static && (at >= 1700000000 || at < 1700000000-layer.StaticWindow) {
			t.Errorf("%s: time %d", name, at)
		}
	}
}

func TestGroupsWithoutFiles(t *testing.T) {
	a := newApp(t)
	a.list(t, func(files []tasks.FileEntry) []tasks.FileEntry {
		return slices.DeleteFunc(files, func(f tasks.FileEntry) bool { return f.Origin != tasks.OriginPackage })
	})
	if got := a.run(t, nil); !strings.HasPrefix(digests(got), "packages=") || len(got.Layers) != 2 || got.Layers[1].Name != "app" {
		t.Errorf("layers %s, want packages and app", digests(got))
	}
}

func TestWindows(t *testing.T) {
	a := newApp(t)
	a.base.Platform.OS = "windows"
	a.list(t)
	got := a.run(t, func(r *Request) { r.WorkingDirectory, r.User = `C:\app\`, "1654" })
	for _, l := range got.Layers {
		entries := a.read(t, l)
		for _, name := range []string{"Files", "Files/app", "Hives"} {
			if _, ok := entries[name]; !ok {
				t.Errorf("%s has no %s: %s", l.Name, name, names(entries))
			}
		}
		for name, e := range entries {
			if e.PAXRecords["MSWINDOWS.rawsd"] != layer.SecurityDescriptor || e.Uid != 0 {
				t.Errorf("%s: records %v, owner %d", name, e.PAXRecords, e.Uid)
			}
		}
	}
}

// The values are those that the SDK 10.0.401 gave to the entries of its layer.
func TestOwner(t *testing.T) {
	for user, want := range map[string]int64{
		"": 0, "0": 0, "1654": 1654, "0017": 17, "+5": 5, " 7 ": 7, "-1": 0, "app": 0, "1654:1000": 0, "2000000000": 2000000000, "4000000000": 0,
	} {
		if got := owner(user); got != want {
			t.Errorf("owner(%q) = %d, want %d", user, got, want)
		}
	}
	a := newApp(t)
	a.list(t)
	for _, l := range a.run(t, func(r *Request) { r.User = "1654" }).Layers {
		for name, e := range a.read(t, l) {
			if e.Uid != 1654 || e.Gid != 0 || e.Mode != 0o755 {
				t.Errorf("%s: owner %d, group %d, mode %o", name, e.Uid, e.Gid, e.Mode)
			}
		}
	}
}

func TestEpochChangesTheAppLayerOnly(t *testing.T) {
	a := newApp(t)
	a.list(t)
	without := a.run(t, nil)
	with := a.run(t, func(r *Request) { r.SourceDateEpoch = "1700000000" })
	a.base.Created = "2026-01-01T00:00:00Z"
	newBase := a.run(t, nil)
	for i, l := range without.Layers {
		if reflect.DeepEqual(with.Layers[i], l) == (l.Name == "app") {
			t.Errorf("%s: the epoch changed it, or did not", l.Name)
		}
		if reflect.DeepEqual(newBase.Layers[i], l) == (l.Name == "app") {
			t.Errorf("%s: a newer base changed it, or did not", l.Name)
		}
	}
	if got := a.read(t, with.Layers[3])["app/app.dll"].ModTime.Unix(); got != 1700000000 {
		t.Errorf("app.dll has time %d", got)
	}
	if got := a.read(t, without.Layers[3])["app/app.dll"].ModTime.Unix(); got != layer.DefaultTime {
		t.Errorf("app.dll has time %d without an epoch", got)
	}
}

func TestStaticFiles(t *testing.T) {
	a := newApp(t)
	a.list(t)
	entries := a.read(t, a.run(t, nil).Layers[3])
	t0 := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC).Unix()
	list := entries["app/web.staticwebassets.endpoints.json"].content
	if strings.Contains(list, "2026") || len(list) != len(strings.ReplaceAll(endpoints, "DATE", "Sat, 21 Nov 2026 08:40:32 GMT")) {
		t.Errorf("endpoints %s", list)
	}
	for _, name := range []string{"site.css", "site.css.gz", "_content/Pkg/p.js"} {
		e := entries["app/wwwroot/"+name]
		if want := layer.StaticTime(t0, cas.DigestOf([]byte(e.content))); e.ModTime.Unix() != want {
			t.Errorf("%s: time %d, want %d", name, e.ModTime.Unix(), want)
		}
		date := e.ModTime.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		_, after, _ := strings.Cut(list, `"AssetFile":"`+name+`"`)
		if line, _, _ := strings.Cut(after, "\n"); !strings.Contains(line, date) {
			t.Errorf("%s: endpoint %s has not %s", name, line, date)
		}
	}
	if e := entries["app/wwwroot"]; e.ModTime.Unix() != layer.DefaultTime {
		t.Errorf("the folder has time %s", e.ModTime)
	}

	// A file that changes at the same length gets another time, and no other file does.
	write(t, a.dir, "wwwroot/site.css", "Content of wwwroot/site.css")
	a.list(t)
	for name, e := range a.read(t, a.run(t, nil).Layers[3]) {
		if changed := !e.ModTime.Equal(entries[name].ModTime); changed != (name == "app/wwwroot/site.css") {
			t.Errorf("%s: time %s, was %s", name, e.ModTime, entries[name].ModTime)
		}
	}
}

func TestForeignEndpointListStaysAsItIs(t *testing.T) {
	a := newApp(t)
	write(t, a.dir, "web.staticwebassets.endpoints.json", "not JSON")
	a.list(t)
	if got := a.read(t, a.run(t, nil).Layers[3])["app/web.staticwebassets.endpoints.json"].content; got != "not JSON" {
		t.Errorf("content %q", got)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, a *app)
		edit func(*Request)
		code diag.Code
		says []string
	}{
		{"file changed", func(t *testing.T, a *app) { write(t, a.dir, "lib.dll", "another") }, nil, diag.FileChanged, []string{`"lib.dll"`}},
		{"static file gone", func(t *testing.T, a *app) { must(t, os.Remove(filepath.Join(a.dir, "wwwroot/site.css"))) }, nil, diag.FileChanged, []string{"site.css", "gone"}},
		{"folder gone", func(t *testing.T, a *app) { must(t, os.RemoveAll(a.dir)) }, nil, diag.PublishFolderMissing, nil},
		{"link out", func(t *testing.T, a *app) {
			must(t, os.Remove(filepath.Join(a.dir, "lib.dll")))
			must(t, os.Symlink("/etc/passwd", filepath.Join(a.dir, "lib.dll")))
		}, nil, diag.SymlinkEscapes, []string{`"lib.dll"`}},
		{"store", func(t *testing.T, a *app) { a.store = cas.Open(filepath.Join(a.dir, "lib.dll")) }, nil, diag.StoreUnwritable, []string{"GANTRY_CACHE_DIR"}},
		{"no list", func(t *testing.T, a *app) { must(t, os.Remove(filepath.Join(a.docs, "scan.json"))) }, nil, diag.RequestUnreadable, []string{"scan"}},
		{"base for list", func(*testing.T, *app) {}, func(r *Request) { r.FileListPath = r.SelectBasePath }, diag.UnsupportedSchema, []string{"select-base"}},
		{"path out", listOf(tasks.FileEntry{Path: "../x", Type: "file"}), nil, diag.InvalidValue, []string{"files[0]", "../x"}},
		{"absolute path", listOf(tasks.FileEntry{Path: "/x", Type: "file"}), nil, diag.InvalidValue, []string{"files[0]"}},
		{"twice", listOf(tasks.FileEntry{Path: "x", Type: "file"}, tasks.FileEntry{Path: "x", Type: "directory"}), nil, diag.InvalidValue, []string{"files[1]", "again"}},
		{"type", listOf(tasks.FileEntry{Path: "x", Type: "link"}), nil, diag.InvalidValue, []string{`"link"`}},
		{"origin", listOf(tasks.FileEntry{Path: "x", Type: "file", Origin: "nuget"}), nil, diag.InvalidValue, []string{`"nuget"`}},
		{"size", listOf(tasks.FileEntry{Path: "x", Type: "file", Size: -1}), nil, diag.InvalidValue, []string{"negative"}},
		{"late epoch", func(*testing.T, *app) {}, func(r *Request) { r.SourceDateEpoch = "8589934592" }, diag.InvalidEpoch, []string{"2242"}},
		{"epoch", func(*testing.T, *app) {}, func(r *Request) { r.SourceDateEpoch = "now" }, diag.InvalidEpoch, []string{`"now"`, "digits"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			a.list(t)
			tt.make(t, a)
			_, err := a.tryRun(t, tt.edit)
			wantError(t, err, tt.code, tt.says...)
			if left, _ := filepath.Glob(filepath.Join(a.store.Dir(), "ingest", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func listOf(files ...tasks.FileEntry) func(*testing.T, *app) {
	return func(t *testing.T, a *app) {
		a.list(t, func([]tasks.FileEntry) []tasks.FileEntry { return files })
	}
}

func TestCancelled(t *testing.T) {
	a := newApp(t)
	a.list(t)
	a.run(t, nil) // writes the base
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Deps{Store: a.store}, a.request()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	level := 10
	r := &Request{Layers: "many", CompressionLevel: &level, SourceDateEpoch: "1.5", OwnLayers: []OwnLayer{{}}}
	wantError(t, r.Validate(), diag.InvalidValue, "selectBasePath is missing", "fileListPath is missing", "workingDirectory is missing", `layers is "many"`,
		"compressionLevel is 10", "SOURCE_DATE_EPOCH", "ownLayers[0] has no name")
	r = &Request{SelectBasePath: "a", FileListPath: "b", WorkingDirectory: "/a\nb"}
	wantError(t, r.Validate(), diag.ControlCharacter, `workingDirectory "/a\nb"`)
	r.WorkingDirectory = "/app"
	must(t, r.Validate())
	for _, tt := range []struct {
		compression string
		level       int
		says        string
	}{
		{"xz", 1, `compression is "xz"`},
		{"gzip", 0, "use 1 (fast) to 9"},
		{"zstd", 23, "use 1 (fast) to 22"},
		{"none", 1, "compression is none"},
		{"", 9, ""},
		{"zstd", 22, ""},
	} {
		r.Compression, r.CompressionLevel = tt.compression, &tt.level
		if err := r.Validate(); tt.says == "" {
			must(t, err)
		} else {
			wantError(t, err, diag.InvalidValue, tt.says)
		}
	}
}
