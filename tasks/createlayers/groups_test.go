package createlayers

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
	"pgregory.net/rapid"
)

// layersOf returns the layer of each file of a list.
func layersOf(req *Request, files []tasks.FileEntry) map[string]string {
	choose := chooser(req, files)
	got := map[string]string{}
	for _, f := range files {
		got[f.Path] = choose(&f)
	}
	return got
}

func packageFile(path, id string, size int64) tasks.FileEntry {
	return tasks.FileEntry{Path: path, Type: tasks.TypeFile, Size: size, Origin: tasks.OriginPackage, OriginName: id}
}

func TestPackageLayers(t *testing.T) {
	const large = smallPackage
	files := []tasks.FileEntry{
		packageFile("small.dll", "Small", large-1), packageFile("two-1.dll", "Two.Halves", large/2), packageFile("two-2.dll", "two.halves", large/2),
		packageFile("json.dll", "Newtonsoft.Json", large), packageFile("npgsql.dll", "Npgsql", large), packageFile("dapper.dll", "Dapper", large),
		packageFile("polly.dll", "POLLY", large), packageFile("polly2.dll", "polly", 0), packageFile("nobody.dll", "", 10*large),
		packageFile("wwwroot/p.js", "Npgsql", large), packageFile("x.staticwebassets.endpoints.json", "Npgsql", large),
		{Path: "r.dll", Origin: tasks.OriginRuntime, OriginName: "Npgsql", Size: large},
	}
	// The first bytes, by sha256sum: newtonsoft.json 2c, npgsql 28, dapper 88, polly ee, two.halves 59.
	want := map[string]string{
		"small.dll": "packages", "nobody.dll": "packages", "wwwroot/p.js": "app", "x.staticwebassets.endpoints.json": "app", "r.dll": "runtime",
		"two-1.dll": "packages-2", "two-2.dll": "packages-2", "json.dll": "packages-1", "npgsql.dll": "packages-1", "dapper.dll": "packages-1",
		"polly.dll": "packages-3", "polly2.dll": "packages-3",
	}
	if got := layersOf(&Request{}, files); !maps.Equal(got, want) {
		t.Errorf("layers\n got %v\nwant %v", got, want)
	}
	for path, got := range layersOf(&Request{Layers: LayersSingle}, files) {
		if got != "app" {
			t.Errorf("single: %s is in %s", path, got)
		}
	}
}

// Whatever package is added, removed or updated, the files of all others stay in their layers.
func TestOnePackageMovesNoOther(t *testing.T) {
	sizes := []int64{0, 1, smallPackage / 2, smallPackage - 1, smallPackage, 8 << 20}
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z]{1,2}\.?[a-z]?`), 1, 12, strings.ToLower).Draw(rt, "ids")
		files := func(ids []string, label string) []tasks.FileEntry {
			var list []tasks.FileEntry
			for _, id := range ids {
				for i := range rapid.IntRange(1, 3).Draw(rt, label) {
					list = append(list, packageFile(fmt.Sprintf("%s/%d", id, i), id, rapid.SampledFrom(sizes).Draw(rt, label)))
				}
			}
			return list
		}
		rest := files(ids[1:], "others")
		before := layersOf(&Request{}, append(files(ids[:1], "one"), rest...))
		after := layersOf(&Request{}, append(rest, files(ids[:1], "another version")...))
		without := layersOf(&Request{}, rest)
		for _, f := range rest {
			if before[f.Path] != without[f.Path] || after[f.Path] != without[f.Path] {
				rt.Fatalf("%s moved: %s, %s, %s", f.Path, before[f.Path], after[f.Path], without[f.Path])
			}
		}
	})
}

// Packages are spread: a change of one sends a part of all.
func TestPackagesAreSpread(t *testing.T) {
	count := map[string]int{}
	for i := range 400 {
		f := packageFile("x.dll", fmt.Sprintf("Company.Library%d", i), smallPackage)
		count[layersOf(&Request{}, []tasks.FileEntry{f})["x.dll"]]++
	}
	for i := range packageLayers {
		if n := count[packageLayerName(i)]; n < 60 || n > 140 {
			t.Errorf("%s has %d of 400 packages", packageLayerName(i), n)
		}
	}
}

func TestOwnLayers(t *testing.T) {
	a := newApp(t)
	a.list(t)
	var logged bytes.Buffer
	deps := Deps{Store: a.store, Log: slog.New(slog.NewTextHandler(&logged, nil))}
	run := func(epoch string) *Response {
		r, err := a.tryDeps(t, deps, func(r *Request) {
			r.SourceDateEpoch = epoch
			r.OwnLayers = []OwnLayer{
				{Name: "models", Files: []string{"data/**", "System.Private.CoreLib.dll"}, Except: []string{"**/b.txt"}},
				{Name: "data", Files: []string{"DATA/**", `data\**`, "*.json"}},
				{Name: "web", Files: []string{"wwwroot/**"}, Except: []string{"wwwroot/_content/**"}},
				{Name: "nothing", Files: []string{"*.onnx"}},
			}
		})
		must(t, err)
		return r
	}
	got := run("")
	want := []struct{ name, entries string }{
		{"packages", "app app/Pkg.dll app/de app/de/Pkg.resources.dll app/runtimes app/runtimes/linux app/runtimes/linux/native app/runtimes/linux/native/x.so"},
		{"projects", "app app/de app/de/lib.resources.dll app/lib.dll"},
		{"models", "app app/System.Private.CoreLib.dll app/data app/data/a.txt"},
		{"data", "app app/app.deps.json app/data app/data/deep app/data/deep/b.txt"},
		{"web", "app app/wwwroot app/wwwroot/site.css app/wwwroot/site.css.gz"},
		{"app", "app app/app.dll app/empty app/empty/below app/web.staticwebassets.endpoints.json app/wwwroot app/wwwroot/_content " +
			"app/wwwroot/_content/Pkg app/wwwroot/_content/Pkg/p.js app/wwwroot/none"},
	}
	var gotEntries []struct{ name, entries string }
	all := map[string]entry{}
	for _, l := range got.Layers {
		entries := a.read(t, l)
		gotEntries = append(gotEntries, struct{ name, entries string }{l.Name, names(entries)})
		maps.Copy(all, entries)
	}
	if !reflect.DeepEqual(gotEntries, want) {
		t.Errorf("layers\n got %v\nwant %v", gotEntries, want)
	}
	if says := "no layer nothing: none of its globs matches"; !strings.Contains(logged.String(), says) {
		t.Errorf("log does not say %q:\n%s", says, logged.String())
	}
	// The endpoint list is in another layer than the files, and has their times.
	for _, name := range []string{"site.css", "site.css.gz", "_content/Pkg/p.js"} {
		date := all["app/wwwroot/"+name].ModTime.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		_, after, _ := strings.Cut(all["app/web.staticwebassets.endpoints.json"].content, `"AssetFile":"`+name+`"`)
		if line, _, _ := strings.Cut(after, "\n"); !strings.Contains(line, date) {
			t.Errorf("%s: endpoint %s has not %s", name, line, date)
		}
	}
	// An epoch changes the layers with times of it, and the own ones without static files are none.
	for i, l := range run("1700000000").Layers {
		if changed := l.Key != got.Layers[i].Key; changed != (l.Name == "app" || l.Name == "web") {
			t.Errorf("%s: changed by the epoch: %t", l.Name, changed)
		}
	}
}

func TestOwnLayersWithSingle(t *testing.T) {
	a := newApp(t)
	a.list(t)
	got := a.run(t, func(r *Request) {
		r.Layers, r.OwnLayers = LayersSingle, []OwnLayer{{Name: "pkg", Files: []string{"**/*Pkg*.dll"}}}
	})
	var list []string
	for _, l := range got.Layers {
		list = append(list, fmt.Sprint(l.Name, l.Files))
	}
	if want := "pkg2 app12"; strings.Join(list, " ") != want {
		t.Errorf("layers %v, want %s", list, want)
	}
}

func TestOwnLayerErrors(t *testing.T) {
	ok := []string{"**"}
	tests := []struct {
		name   string
		layers []OwnLayer
		says   []string
	}{
		{"no name", []OwnLayer{{Files: ok}}, []string{"ownLayers[0] has no name"}},
		{"reserved", []OwnLayer{{Name: "a", Files: ok}, {Name: "packages-2", Files: ok}}, []string{"ownLayers[1]", `"packages-2"`, "Gantry's"}},
		{"twice", []OwnLayer{{Name: "a", Files: ok}, {Name: "a", Files: ok}}, []string{"ownLayers[1]", `"a"`, "already"}},
		{"control character", []OwnLayer{{Name: "a\nb", Files: ok}}, []string{`"a\nb"`}},
		{"long name", []OwnLayer{{Name: strings.Repeat("x", 101), Files: ok}}, []string{"100 bytes"}},
		{"no files", []OwnLayer{{Name: "a"}}, []string{`layer "a" names no files`}},
		{"bad glob", []OwnLayer{{Name: "a", Files: []string{"**", "a[b"}}}, []string{`"a[b"`, "well formed"}},
		{"bad except", []OwnLayer{{Name: "a", Files: ok, Except: []string{"{x"}}}, []string{`"{x"`, "well formed"}},
		{"empty glob", []OwnLayer{{Name: "a", Files: []string{""}}}, []string{"is empty"}},
		{"absolute", []OwnLayer{{Name: "a", Files: []string{"/app/**"}}}, []string{`"/app/**"`, "can match no path"}},
		{"dot", []OwnLayer{{Name: "a", Files: []string{`.\models\**`}}}, []string{`".\\models\\**"`, "can match no path"}},
		{"up", []OwnLayer{{Name: "a", Files: []string{"../**"}}}, []string{"can match no path"}},
	}
	for _, tt := range tests {
		r := &Request{SelectBasePath: "a", FileListPath: "b", WorkingDirectory: "/app", OwnLayers: tt.layers}
		t.Run(tt.name, func(t *testing.T) { wantError(t, r.Validate(), diag.InvalidLayer, tt.says...) })
	}
	r := &Request{SelectBasePath: "a", FileListPath: "b", WorkingDirectory: "/app", OwnLayers: []OwnLayer{
		{Name: "Modèles d'été", Files: []string{"models/**/*.{onnx,bin}", "[a-c]/?", "*"}, Except: []string{"**/x"}}, {Name: "modèles d'été", Files: ok},
	}}
	must(t, r.Validate())
}

// Each compression gives the same tars, with media types of its own.
func TestCompressions(t *testing.T) {
	a := newApp(t)
	a.list(t)
	tests := []struct{ format, compression, mediaType string }{
		{tasks.FormatDocker, "", image.DockerLayerGzip},
		{tasks.FormatDocker, "none", image.DockerLayerTar},
		{tasks.FormatOCI, "gzip", image.OCILayerGzip},
		{tasks.FormatOCI, "zstd", image.OCILayerZstd},
		{tasks.FormatOCI, "none", image.OCILayerTar},
	}
	diffIDs := map[string]bool{}
	for _, tt := range tests {
		a.base.Format = tt.format
		for _, l := range a.run(t, func(r *Request) { r.Compression = tt.compression }).Layers {
			if l.Descriptor.MediaType != tt.mediaType || (l.Descriptor.Digest == l.DiffID) != (tt.compression == layer.None) {
				t.Errorf("%s %s: layer %+v, want media type %s", tt.format, tt.compression, l, tt.mediaType)
			}
			diffIDs[string(l.DiffID)] = true
		}
	}
	if len(diffIDs) != 4 {
		t.Errorf("%d tars, want those of 4 layers", len(diffIDs))
	}
	a.base.Format = tasks.FormatDocker
	_, err := a.tryRun(t, func(r *Request) { r.Compression = "zstd" })
	wantError(t, err, diag.ZstdImage, "ContainerImageFormat")
}

// A list whose files have no digests gives the same layers.
func TestListWithoutDigests(t *testing.T) {
	a := newApp(t)
	a.list(t)
	want := a.run(t, nil).Layers
	a.list(t, func(files []tasks.FileEntry) []tasks.FileEntry {
		for i := range files {
			files[i].Digest = ""
		}
		return files
	})
	if got := a.run(t, nil).Layers; !reflect.DeepEqual(got, want) {
		t.Errorf("layers %+v, want %+v", got, want)
	}
}
