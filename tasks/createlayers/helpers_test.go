package createlayers

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
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

// app is a publish folder with files of all origins.
type app struct {
	dir   string // the publish folder
	docs  string // where the documents lie
	store *cas.Store
	base  tasks.Base
}

// appFiles are the app's files and their origins; a name with a slash at the end is an empty folder.
var appFiles = map[string]string{
	"app.dll": "app", "app.deps.json": "", "data/a.txt": "app", "data/deep/b.txt": "app", "lib.dll": "project", "de/lib.resources.dll": "project",
	"Pkg.dll": "package", "de/Pkg.resources.dll": "package", "runtimes/linux/native/x.so": "package", "System.Private.CoreLib.dll": "runtime",
	"wwwroot/site.css": "app", "wwwroot/site.css.gz": "app", "wwwroot/_content/Pkg/p.js": "package", "empty/below/": "", "wwwroot/none/": "",
	"web.staticwebassets.endpoints.json": "app",
}

const endpoints = `{"Version":1,"Endpoints":[
{"Route":"site.css","AssetFile":"site.css.gz","ResponseHeaders":[{"Name":"Last-Modified","Value":"DATE"}]},
{"Route":"site.css","AssetFile":"site.css","ResponseHeaders":[{"Name":"ETag","Value":"\"x\""},{"Name":"Last-Modified","Value":"DATE"}]},
{"Route":"p.js","AssetFile":"_content/Pkg/p.js","ResponseHeaders":[{"Name":"Last-Modified","Value":"DATE"}]},
{"Route":"gone","AssetFile":"gone","ResponseHeaders":[{"Name":"Last-Modified","Value":"DATE"}]}]}`

func newApp(t testing.TB) *app {
	t.Helper()
	a := &app{dir: filepath.Join(t.TempDir(), "publish"), docs: t.TempDir(), store: cas.Open(t.TempDir())}
	d := cas.DigestOf(nil)
	a.base = tasks.Base{Digest: d, Manifest: tasks.Descriptor{Digest: d}, Config: tasks.Descriptor{Digest: d}, Format: tasks.FormatDocker, Created: "2025-03-04T05:06:07.5Z", Platform: tasks.Platform{Architecture: "amd64", OS: "linux"}}
	fill(t, a.dir, "Sat, 21 Nov 2026 08:40:32 GMT")
	return a
}

func fill(t testing.TB, dir, date string) {
	t.Helper()
	for name := range appFiles {
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		case strings.HasSuffix(name, "endpoints.json"):
			write(t, dir, name, strings.ReplaceAll(endpoints, "DATE", date))
		default:
			write(t, dir, name, "content of "+name)
		}
	}
}

// list writes the file list of the folder as it is now.
func (a *app) list(t testing.TB, edit ...func([]tasks.FileEntry) []tasks.FileEntry) {
	t.Helper()
	files := []tasks.FileEntry{}
	must(t, filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == a.dir {
			return err
		}
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(a.dir, path)
		e := tasks.FileEntry{Path: filepath.ToSlash(rel), Type: tasks.TypeDirectory}
		if !fi.IsDir() {
			e = tasks.FileEntry{Path: e.Path, Type: tasks.TypeFile, Size: fi.Size(), Origin: appFiles[e.Path], Digest: fileDigest(t, path)}
		}
		files = append(files, e)
		return nil
	}))
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	for _, f := range edit {
		files = f(files)
	}
	document(t, filepath.Join(a.docs, "scan.json"), &fileList{header("scan"), a.dir, files})
}

func fileDigest(t testing.TB, path string) cas.Digest {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func header(stage string) tasks.ResponseHeader {
	return tasks.ResponseHeader{SchemaVersion: 1, Stage: stage, Inputs: []tasks.FileDigest{}, Outputs: []tasks.Output{}}
}

func document(t testing.TB, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	must(t, os.WriteFile(path, data, 0o644))
}

func (a *app) request() *Request {
	return &Request{
		RequestHeader:  tasks.RequestHeader{SchemaVersion: 1, Stage: Stage},
		SelectBasePath: filepath.Join(a.docs, "base.json"), FileListPath: filepath.Join(a.docs, "scan.json"),
		WorkingDirectory: "/app/", Layers: LayersAuto,
	}
}

// document writes the response of select-base.
func (a *app) document(t testing.TB) {
	t.Helper()
	document(t, filepath.Join(a.docs, "base.json"), &struct {
		tasks.ResponseHeader
		Base tasks.Base `json:"base"`
	}{header("select-base"), a.base})
}

func (a *app) tryRun(t testing.TB, edit func(*Request)) (*Response, error) {
	t.Helper()
	return a.tryDeps(t, Deps{Store: a.store}, edit)
}

// tryDeps runs the stage with other dependencies.
func (a *app) tryDeps(t testing.TB, d Deps, edit func(*Request)) (*Response, error) {
	t.Helper()
	a.document(t)
	req := a.request()
	if edit != nil {
		edit(req)
	}
	return Run(context.Background(), d, req)
}

func (a *app) run(t testing.TB, edit func(*Request)) *Response {
	t.Helper()
	r, err := a.tryRun(t, edit)
	must(t, err)
	return r
}

type entry struct {
	*tar.Header
	content string
}

// read returns the entries of a layer and proves its digests.
func (a *app) read(t testing.TB, l tasks.Layer) map[string]entry {
	t.Helper()
	blob, err := a.store.Open(l.Descriptor.Digest) // proves the digest at its end
	must(t, err)
	defer blob.Close()
	z, err := gzip.NewReader(blob)
	must(t, err)
	data, err := io.ReadAll(z)
	must(t, err)
	if got := cas.DigestOf(data); got != l.DiffID {
		t.Errorf("%s: diff ID %s, want %s", l.Name, l.DiffID, got)
	}
	entries := map[string]entry{}
	for r := tar.NewReader(strings.NewReader(string(data))); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		entries[h.Name] = entry{h, string(content)}
	}
}

func names(entries map[string]entry) string {
	var list []string
	for name := range entries {
		list = append(list, name)
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

func digests(r *Response) string {
	var list []string
	for _, l := range r.Layers {
		list = append(list, l.Name+"="+l.Descriptor.Digest.Hex()[:12])
	}
	return strings.Join(list, " ")
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
