package createlayers

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/layertoc"
	"github.com/gantry-build/gantry/tasks"
)

// filesItem is a layer of files of dir, named and below target as they are.
func filesItem(t testing.TB, name, target, dir string, files ...string) tasks.ExtraLayer {
	t.Helper()
	f := &tasks.ExtraFiles{TargetDirectory: target}
	for _, file := range files {
		path := filepath.Join(dir, file)
		fi, err := os.Stat(path)
		must(t, err)
		f.Files = append(f.Files, tasks.ExtraFile{Path: file, SourcePath: path, Size: fi.Size(), Digest: fileDigest(t, path)})
	}
	return tasks.ExtraLayer{Name: name, Order: tasks.OrderBeforeApp, Files: f}
}

// blobItem is a layer of a repository.
func blobItem(name, content string) tasks.ExtraLayer {
	d := cas.DigestOf([]byte(content))
	return tasks.ExtraLayer{Name: name, Order: tasks.OrderBeforeApp, Blob: &tasks.ExtraBlob{
		Descriptor: tasks.Descriptor{MediaType: image.DockerLayerGzip, Digest: d, Size: int64(len(content))},
		DiffID:     cas.DigestOf([]byte("tar of " + content)), Key: tasks.BlobKey(d),
		Source: &tasks.LayerSource{Registry: "mcr.example", Repository: "dotnet/agent"},
	}}
}

// tarball writes a layer of the given files, "path=content", as a .tar.gz.
func tarball(t testing.TB, file string, files ...string) tasks.ExtraLayer {
	t.Helper()
	var b, z bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		must(t, err)
	}
	must(t, w.Close())
	g := gzip.NewWriter(&z)
	_, err := g.Write(b.Bytes())
	must(t, err)
	must(t, g.Close())
	must(t, os.WriteFile(file, z.Bytes(), 0o644))
	l := blobItem(file, z.String())
	l.Blob.DiffID, l.Blob.Source, l.Blob.BlobPath = cas.DigestOf(b.Bytes()), nil, file
	return l
}

// with sets the layers of items.
func (a *app) with(t testing.TB, layers ...tasks.ExtraLayer) func(*Request) {
	t.Helper()
	file := filepath.Join(a.docs, "resolve-layers.json")
	document(t, file, &tasks.ExtraLayers{ResponseHeader: header("resolve-layers"), Layers: layers})
	return func(r *Request) { r.ExtraLayersPath = file }
}

// items are one layer of each kind, with the two folders that they come from.
func items(t testing.TB) []tasks.ExtraLayer {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "m.onnx", "model")
	write(t, dir, "deep/n.onnx", "another")
	models := filesItem(t, "models", "/models", dir, "m.onnx", "deep/n.onnx")
	models.Files.UID, models.Files.GID, models.Files.Mode, models.Description = 1654, 1655, "0640", "the models, v1"
	agent := tarball(t, filepath.Join(dir, "agent.tar.gz"), "opt/agent/agent.so=agent")
	agent.Order = tasks.OrderAfterApp
	return []tasks.ExtraLayer{agent, models, blobItem("sha256:profiler", "profiler")}
}

func layerNames(r *Response) string {
	var list []string
	for _, l := range r.Layers {
		list = append(list, filepath.Base(l.Name))
	}
	return strings.Join(list, " ")
}

// Layers of items lie below and above the app's, which stay what they are. A layer of a repository is left there; the others are in the
// store.
func TestExtraLayers(t *testing.T) {
	b := newBench(t)
	without, _ := b.run(t, nil, nil)
	list := items(t)
	edit := b.with(t, list...)
	got, made := b.run(t, func(d *Deps) { d.Made = nil }, edit)
	if made != 2 || layerNames(got) != "models sha256:profiler runtime packages projects app agent.tar.gz" {
		t.Fatalf("%d layers made: %s", made, layerNames(got))
	}
	if !reflect.DeepEqual(got.Layers[2:6], without.Layers) {
		t.Errorf("the app's layers differ:\n%+v\n%+v", got.Layers[2:6], without.Layers)
	}
	models, profiler, agent := got.Layers[0], got.Layers[1], got.Layers[6]
	entries := b.read(t, models)
	if names(entries) != "models models/deep models/deep/n.onnx models/m.onnx" {
		t.Errorf("entries %s", names(entries))
	}
	for name, mode := range map[string]int64{"models": 0o755, "models/m.onnx": 0o640} {
		if e := entries[name]; e.Mode != mode || e.Uid != 1654 || e.Gid != 1655 || e.ModTime.Unix() != layer.DefaultTime {
			t.Errorf("%s: mode %o, owner %d:%d, %v", name, e.Mode, e.Uid, e.Gid, e.ModTime)
		}
	}
	if models.Files != 2 || models.CreatedBy != "the models, v1" || models.Source != nil {
		t.Errorf("models: %+v", models)
	}
	item := list[2].Blob
	want := tasks.Layer{
		Name: "sha256:profiler", Descriptor: tasks.Descriptor{MediaType: image.DockerLayerGzip, Digest: item.Descriptor.Digest, Size: 8},
		DiffID: item.DiffID, Key: item.Key, Source: item.Source, CreatedBy: "gantry resolve-layers: sha256:profiler",
	}
	if !reflect.DeepEqual(profiler, want) {
		t.Errorf("a repository's layer is\n%+v, want\n%+v", profiler, want)
	}
	if _, err := b.store.Size(item.Descriptor.Digest); err == nil {
		t.Error("the content store has a layer that its repository has")
	}
	if agent.CreatedBy != "gantry resolve-layers: agent.tar.gz" || agent.Key != tasks.BlobKey(agent.Descriptor.Digest) || agent.Source != nil {
		t.Errorf("tarball: %+v", agent)
	}
	if e := b.read(t, agent); names(e) != "opt/agent/agent.so" {
		t.Errorf("tarball: %s", names(e))
	}
	if len(got.Outputs) != 6 || slices.ContainsFunc(got.Outputs, func(o tasks.Output) bool { return o.Digest == item.Descriptor.Digest }) {
		t.Errorf("outputs %+v", got.Outputs)
	}
	if !slices.ContainsFunc(got.Inputs, func(f tasks.FileDigest) bool { return strings.HasSuffix(f.Path, "/resolve-layers.json") }) {
		t.Errorf("inputs %+v", got.Inputs)
	}
}

// A layer of an item is made once, and not at all where an earlier image has it; a lost tarball or file of an item is an error.
func TestExtraLayersThatAreKnown(t *testing.T) {
	b := newBench(t)
	list := items(t)
	edit := b.with(t, list...)
	var told []string
	var mu sync.Mutex
	telling := Deps{Made: func(l tasks.Layer) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, l.Name)
	}}
	quiet := func(d *Deps) { d.Made = nil }
	telling.Store = cas.Open(t.TempDir())
	_, err := b.tryDeps(t, telling, edit)
	must(t, err)
	if len(told) != 6 || slices.Contains(told, list[2].Name) {
		t.Errorf("Made was told of %v: of all but the repository's is wanted", told)
	}
	want, _ := b.run(t, quiet, edit)
	if got, made := b.run(t, quiet, edit); made != 0 || b.asked != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("again: %d made, asked %d times", made, b.asked)
	}
	b.lose(t, want.Layers[6])
	if got, made := b.run(t, quiet, edit); made != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("the tarball's blob was lost: %d made", made)
	}
	b.says(t, "took layer "+list[0].Name+" from its file")

	b.recalled = recalledOf(want.Layers)
	b.store = cas.Open(t.TempDir())
	got, made := b.run(t, quiet, edit)
	if made != 0 || b.asked != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("fresh: %d made, asked %d times\n%s", made, b.asked, b.log.String())
	}
	b.recalled.Layers[6].DiffID = cas.DigestOf(nil)
	if got, made := b.run(t, quiet, edit); made != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("another diff ID: %d made", made)
	}

	// a remake has the files' layers again, and leaves a repository's where it is
	b.store = cas.Open(t.TempDir())
	if got, _ := b.run(t, func(d *Deps) { quiet(d); d.BlobsNeeded = true }, edit); !reflect.DeepEqual(got, want) {
		t.Error("remade layers differ")
	}
	for _, l := range want.Layers {
		if _, err := b.store.Size(l.Descriptor.Digest); (err == nil) != (l.Source == nil) {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
	for name, change := range map[string]func(string) error{
		"other content": func(p string) error {
			return os.WriteFile(p, bytes.Repeat([]byte("x"), int(list[0].Blob.Descriptor.Size)), 0o644)
		},
		"gone": os.Remove,
	} {
		b.store, told = cas.Open(t.TempDir()), nil
		must(t, change(list[0].Blob.BlobPath))
		telling.Store, telling.BlobsNeeded = b.store, true
		_, err := b.tryDeps(t, telling, edit)
		wantError(t, err, diag.FileChanged, filepath.Base(list[0].Name), "it was listed")
		if slices.Contains(told, list[0].Name) {
			t.Errorf("%s: the layer was handed on", name)
		}
	}
}

// A layer takes the media type of the image's format, or says why it cannot be in it.
func TestExtraLayersInEachFormat(t *testing.T) {
	for _, tt := range []struct {
		format, mediaType, want string
		code                    diag.Code
	}{
		{tasks.FormatDocker, image.OCILayerGzip, image.DockerLayerGzip, ""},
		{tasks.FormatOCI, image.DockerLayerGzip, image.OCILayerGzip, ""},
		{tasks.FormatOCI, image.OCILayerTar, image.OCILayerTar, ""},
		{tasks.FormatOCI, image.OCILayerZstd, image.OCILayerZstd, ""},
		{tasks.FormatDocker, image.OCILayerZstd, "", diag.ZstdImage},
		{tasks.FormatOCI, image.OCIForeignGzip, "", diag.ForeignLayer},
		{tasks.FormatDocker, image.DockerForeignGzip, "", diag.ForeignLayer},
		{tasks.FormatOCI, image.OCIConfig, "", diag.NotALayer},
	} {
		a := newApp(t)
		a.list(t)
		a.base.Format = tt.format
		l := blobItem("the layer", "x")
		l.Blob.Descriptor.MediaType = tt.mediaType
		l.Blob.Descriptor.Annotations = map[string]string{"found": "here"} // how it was found is no content
		resp, err := a.tryRun(t, a.with(t, l))
		if tt.code != "" {
			wantError(t, err, tt.code, "the layer")
			continue
		}
		must(t, err)
		if d := resp.Layers[0].Descriptor; d.MediaType != tt.want || d.Annotations != nil {
			t.Errorf("%s in %s: %+v", tt.mediaType, tt.format, d)
		}
	}
}

// The layers of an image for Windows have their folders, and no owner and mode; what is not for Windows is refused where that shows.
func TestExtraLayersForWindows(t *testing.T) {
	a := newApp(t)
	a.list(t)
	a.base.Platform = tasks.Platform{OS: "windows", Architecture: "amd64"}
	models := items(t)[1]
	models.Files.TargetDirectory = `C:\models`
	entries := a.read(t, a.run(t, a.with(t, models)).Layers[0])
	if names(entries) != "Files Files/models Files/models/deep Files/models/deep/n.onnx Files/models/m.onnx Hives" {
		t.Errorf("entries %s", names(entries))
	}
	if e := entries["Files/models/m.onnx"]; e.Mode != 0o755 || e.Uid != 0 || e.Gid != 0 || e.PAXRecords["MSWINDOWS.rawsd"] == "" {
		t.Errorf("mode %o, owner %d:%d, %v", e.Mode, e.Uid, e.Gid, e.PAXRecords)
	}
	for path, good := range map[string]bool{"Files/x": true, "Hives/x": true, "etc/x": false} {
		_, err := a.tryRun(t, a.with(t, a.known(t, blobItem("layer", "x"), layertoc.Entry{Path: path, Kind: layertoc.Special})))
		if good {
			must(t, err)
		} else {
			wantError(t, err, diag.NotALayer, `"layer"`, path)
		}
	}
}

// known gives a layer's paths to the store.
func (a *app) known(t testing.TB, l tasks.ExtraLayer, entries ...layertoc.Entry) tasks.ExtraLayer {
	t.Helper()
	slices.SortFunc(entries, func(a, b layertoc.Entry) int { return cmp.Compare(a.Path, b.Path) })
	d, err := a.store.PutBytes((&layertoc.Contents{Entries: entries}).Encode())
	must(t, err)
	l.Blob.Contents = d
	return l
}

// Files that the app serves have the times that their content gives them, whoever brings them.
func TestExtraStaticFiles(t *testing.T) {
	a := newApp(t)
	a.list(t)
	dir := t.TempDir()
	write(t, dir, "wwwroot/x.js", "1")
	write(t, dir, "x.js", "1")
	at := func(target string, files ...string) map[string]entry {
		return a.read(t, a.run(t, a.with(t, filesItem(t, "web", target, dir, files...))).Layers[0])
	}
	want := layer.StaticTime(layer.StaticBase(nil, a.base.Created), cas.DigestOf([]byte("1")))
	for _, e := range []entry{at("/app/", "wwwroot/x.js")["app/wwwroot/x.js"], at("/app/wwwroot", "x.js")["app/wwwroot/x.js"]} {
		if e.ModTime.Unix() != want {
			t.Errorf("%s: %v", e.Name, e.ModTime)
		}
	}
	if e := at("/data/wwwroot", "x.js")["data/wwwroot/x.js"]; e.ModTime.Unix() != layer.DefaultTime {
		t.Errorf("elsewhere: %v", e.ModTime)
	}
}

// The same items give the same layers and the same history on another machine: in other folders, at other times, with other rights.
func TestExtraLayersAreTheSameEverywhere(t *testing.T) {
	var want []tasks.Layer
	for i, mode := range []os.FileMode{0o600, 0o777} {
		a := newApp(t)
		a.list(t)
		list := items(t)
		for _, f := range list[1].Files.Files {
			must(t, os.Chmod(f.SourcePath, mode))
			must(t, os.Chtimes(f.SourcePath, time.Time{}, time.Unix(int64(i)*1e6, 0)))
		}
		slices.Reverse(list[1].Files.Files)
		got := a.run(t, a.with(t, list...)).Layers
		for i := range got {
			got[i].Name = "" // an Include, for the log
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("layers\n%+v\n%+v", got, want)
		}
	}
	for name, say := range map[string]string{"models": "models", "/home/me/models": "models", `C:\Users\me\models`: "models", "../models": "../models"} {
		if got := historyName(&tasks.ExtraLayer{Name: name, Files: &tasks.ExtraFiles{}}); got != say {
			t.Errorf("%q is called %q", name, got)
		}
	}
}

func TestExtraLayersThatAreNone(t *testing.T) {
	a := newApp(t)
	a.list(t)
	for says, change := range map[string]func(*tasks.ExtraLayer){
		"no name":             func(l *tasks.ExtraLayer) { l.Name = "" },
		"the order":           func(l *tasks.ExtraLayer) { l.Order = "" },
		"either a blob":       func(l *tasks.ExtraLayer) { l.Blob = blobItem("x", "x").Blob },
		"relative and clean":  func(l *tasks.ExtraLayer) { l.Files.Files[0].Path = "../x" },
		"two files":           func(l *tasks.ExtraLayer) { l.Files.Files = append(l.Files.Files, l.Files.Files[0]) },
		"without a source":    func(l *tasks.ExtraLayer) { l.Files.Files[0].Digest = "" },
		"no files":            func(l *tasks.ExtraLayer) { l.Files.Files = nil },
		`the mode "0888"`:     func(l *tasks.ExtraLayer) { l.Files.Mode = "0888" },
		`the mode "0"`:        func(l *tasks.ExtraLayer) { l.Files.Mode = "0" },
		"the owner -1:1655":   func(l *tasks.ExtraLayer) { l.Files.UID = -1 },
		`the folder ""`:       func(l *tasks.ExtraLayer) { l.Files.TargetDirectory = "" },
		"no digest":           func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.Descriptor.Size = 0 },
		"no diff ID":          func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.DiffID = "" },
		"a key":               func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.Key = l.Blob.DiffID },
		"either in a repo":    func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.BlobPath = "/x" },
		"without a registry":  func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.Source = &tasks.LayerSource{} },
		"either in a reposit": func(l *tasks.ExtraLayer) { *l = blobItem("x", "x"); l.Blob.Source = nil },
	} {
		l := items(t)[1]
		change(&l)
		if why := extraProblem(&l); !strings.Contains(why, says) {
			t.Errorf("%q, want %q", why, says)
		}
	}
	_, err := a.tryRun(t, a.with(t, blobItem("good", "good"), tasks.ExtraLayer{Name: "bad", Order: tasks.OrderAfterApp}))
	wantError(t, err, diag.InvalidValue, "layers[1] is not either a blob or files")
	// what resolve-layers writes relative to its response is found there
	l := tarball(t, filepath.Join(a.docs, "t.tar.gz"), "x=1")
	l.Blob.BlobPath = "t.tar.gz"
	if got := a.run(t, a.with(t, l)); fmt.Sprint(names(a.read(t, got.Layers[0]))) != "x" {
		t.Errorf("%+v", got.Layers[0])
	}
}
