package save_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/runner"
)

// build is a folder with the documents of a build, and what its stages said.
type build struct {
	t     *testing.T
	proxy *testenv.Proxy
	base  testenv.Base
	env   *runner.Env
	said  bytes.Buffer
}

type object = map[string]any

func newBuild(t *testing.T, o basemaker.TinyOptions) *build {
	t.Helper()
	t.Chdir(t.TempDir())
	reg := testenv.StartRegistry(t)
	b := &build{t: t, proxy: testenv.StartProxy(t, reg), base: testenv.PushTinyBase(t, reg, "base", "1", o)}
	if err := os.MkdirAll("app", 0o755); err != nil {
		t.Fatal(err)
	}
	b.write("app/shop.dll", "the app")
	b.again("store")
	return b
}

// again begins a new process, with the store in a folder.
func (b *build) again(store string) {
	b.t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		b.t.Fatal(err)
	}
	b.said.Reset()
	b.proxy.Reset()
	b.env = &runner.Env{
		Dir: dir, Store: cas.Open(filepath.Join(dir, store)), Registry: registry.New(registry.Options{}),
		Log: slog.New(slog.NewTextHandler(&b.said, nil)), Progress: progress.Discard{}, Warn: func(diag.Code, string) {},
	}
	b.env.Saved = func(did outcome.Saved) error {
		b.env.Log.Info(did.Line())
		return nil
	}
}

func (b *build) write(file, text string) {
	b.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// try runs a stage; suffix tells the documents of one platform from those of another.
func (b *build) try(stage, suffix string, fields object) (object, error) {
	b.t.Helper()
	req := object{"schemaVersion": 1, "stage": stage}
	maps.Copy(req, fields)
	body, err := json.Marshal(req)
	if err != nil {
		b.t.Fatal(err)
	}
	name := stage + suffix
	b.write(name+".request.json", string(body))
	s, err := runner.Find(runner.Stages(), stage)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := s.Exec(b.t.Context(), b.env, runner.Files{Request: name + ".request.json", Response: name + ".json"}); err != nil {
		return nil, err
	}
	var resp object
	body, err = os.ReadFile(name + ".json")
	if err == nil {
		err = json.Unmarshal(body, &resp)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, nil
}

func (b *build) run(stage, suffix string, fields object) object {
	b.t.Helper()
	resp, err := b.try(stage, suffix, fields)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", stage, err, b.said.String())
	}
	return resp
}

// prepare runs all stages before save for one platform.
func (b *build) prepare(rid string) {
	b.t.Helper()
	b.run("resolve-base", "", object{"reference": strings.Replace(b.base.Reference, b.proxy.Registry().Host(), b.proxy.Host(), 1)})
	b.run("select-base", rid, object{"resolveBasePath": "resolve-base.json", "runtimeIdentifier": rid})
	b.run("scan", "", object{"folderPath": "app"})
	b.run("create-layers", rid, object{"selectBasePath": "select-base" + rid + ".json", "fileListPath": "scan.json", "workingDirectory": "/app/"})
	b.run("compute-config", rid, object{
		"selectBasePath": "select-base" + rid + ".json", "workingDirectory": "/app/", "appCommand": []string{"/app/shop"},
	})
}

func parts(rid string, more object) object {
	out := object{
		"selectBasePath": "select-base" + rid + ".json", "computeConfigPath": "compute-config" + rid + ".json",
		"createLayersPath": "create-layers" + rid + ".json", "createLayersRequestPath": "create-layers" + rid + ".request.json",
		"repository": "team/shop", "tags": []string{"1.0", "latest"},
	}
	maps.Copy(out, more)
	return out
}

func (b *build) blobs() (n int) {
	for _, r := range b.proxy.Requests() {
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/blobs/") {
			n++
		}
	}
	return n
}

// TestSave: every destination gets the image that push would push; a second run writes nothing and fetches nothing, even where the content
// store is empty again.
func TestSave(t *testing.T) {
	for name, o := range map[string]basemaker.TinyOptions{"oci": {Layers: 2}, "docker": {Layers: 2, Docker: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBuild(t, o)
			b.prepare("linux-x64")
			push := parts("linux-x64", object{"registry": b.proxy.Host()})
			pushed := b.run("push", "", push)
			for _, dst := range []object{
				{"destination": "archive", "archivePath": "out/a.tar"},
				{"destination": "archive", "archivePath": "out", "archiveFormat": "docker"},
				{"destination": "archive", "archivePath": "out/oci.tar", "archiveFormat": "oci"},
				{"destination": "layout", "layoutPath": "layout"},
			} {
				b.again("store-" + name)
				b.prepare("linux-x64")
				resp := b.run("save", "", parts("linux-x64", dst))
				if resp["digest"] != pushed["digest"] || !strings.Contains(b.said.String(), "Pushed image 'team/shop:1.0, latest' to ") {
					t.Errorf("%v: %v, pushed was %v\n%s", dst, resp, pushed["digest"], b.said.String())
				}
				before := tree(t, "out", "layout")
				b.again("empty")
				b.prepare("linux-x64")
				b.proxy.Reset()
				b.run("save", "", parts("linux-x64", dst))
				if !strings.Contains(b.said.String(), "Image already present in ") || b.blobs() != 0 {
					t.Errorf("%v, again: %d blobs\n%s", dst, b.blobs(), b.said.String())
				}
				if after := tree(t, "out", "layout"); !maps.Equal(before, after) {
					t.Errorf("%v: files changed: %v, %v", dst, before, after)
				}
				if err := os.RemoveAll("empty"); err != nil {
					t.Fatal(err)
				}
			}
			img, err := tarball.ImageFromPath("out/team/shop.tar.gz", nil)
			if err == nil {
				err = validate.Image(img)
			}
			if err != nil {
				t.Error(err)
			}
			if path, err := gcrlayout.FromPath("layout"); err != nil {
				t.Error(err)
			} else if x, err := path.ImageIndex(); err != nil || validate.Index(x) != nil {
				t.Errorf("%v, %v", err, validate.Index(x))
			}
		})
	}
}

// tree is the size and time of each file below folders.
func tree(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		_ = filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
			if err == nil && fi.Mode().IsRegular() {
				out[path] = fi.ModTime().String()
			}
			return nil
		})
	}
	return out
}

// TestSave_changed: a changed app replaces the archive; a damaged archive is written anew; a lost layer is made again.
func TestSave_changed(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1})
	b.prepare("linux-x64")
	dst := parts("linux-x64", object{"destination": "archive", "archivePath": "a.tar"})
	first := b.run("save", "", dst)
	whole, err := os.ReadFile("a.tar")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 700, len(whole) / 2, len(whole) - 1} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		b.write("a.tar", string(damaged))
		if err := os.RemoveAll(filepath.Join("store", "blobs")); err != nil { // the documents too
			t.Fatal(err)
		}
		b.run("save", "", dst)
		if got, err := os.ReadFile("a.tar"); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("byte %d: the archive is not whole again: %v", at, err)
		}
	}
	b.write("app/shop.dll", "another app")
	b.prepare("linux-x64")
	if second := b.run("save", "", dst); second["digest"] == first["digest"] {
		t.Error("the digest is as before")
	}
	delete(dst, "createLayersRequestPath")
	if err := os.RemoveAll("store"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("a.tar"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.try("save", "", dst); diag.CodeOf(err) != diag.BlobMissing {
		t.Errorf("%v", err)
	}
	if entries, _ := filepath.Glob(".a.tar*"); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

// TestSave_platforms: several platforms become an index, in an OCI archive and in a layout.
func TestSave_platforms(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1, Platforms: []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}})
	var requests []string
	for _, rid := range []string{"linux-x64", "linux-arm64"} {
		b.prepare(rid)
		resp := b.run("save", rid, parts(rid, object{"defer": true, "manifestPath": rid + ".manifest.json", "configPath": rid + ".config.json"}))
		if resp["runtimeIdentifier"] != rid || resp["manifestPath"] != rid+".manifest.json" {
			t.Errorf("%v", resp)
		}
		requests = append(requests, "save"+rid+".request.json")
	}
	for _, dst := range []object{{"destination": "archive", "archivePath": "out/index.tar"}, {"destination": "layout", "layoutPath": "layout"}} {
		maps.Copy(dst, object{"platformRequestPaths": requests, "repository": "team/shop", "tags": []string{"1.0"}, "manifestPath": "index.json"})
		resp := b.run("save", "", dst)
		if len(resp["manifests"].([]any)) != 2 {
			t.Errorf("%v", resp)
		}
	}
	path, err := gcrlayout.FromPath("layout")
	if err != nil {
		t.Fatal(err)
	}
	if x, err := path.ImageIndex(); err != nil || validate.Index(x) != nil {
		t.Errorf("%v, %v", err, validate.Index(x))
	}
	_, err = b.try("save", "", object{
		"platformRequestPaths": requests, "repository": "team/shop", "tags": []string{}, "destination": "archive", "archivePath": "x.tar", "archiveFormat": "docker",
	})
	if diag.CodeOf(err) != diag.FormatCannotHold {
		t.Errorf("%v", err)
	}
}

// TestSave_podman: the image is loaded once, and runs; so do archives, with several tags.
func TestSave_podman(t *testing.T) {
	p := testenv.NewPodman(t)
	cmd := p.Command()
	dir := t.TempDir()
	script := "#!/bin/sh\nexec " + cmd.Path + " " + strings.Join(cmd.Args[1:], " ") + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	program := testenv.BuildGantry(t)
	b := newBuild(t, basemaker.TinyOptions{Layers: 2})
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	b.write("app/shop", string(data))
	b.prepare("linux-x64")
	runs := func(name string) {
		t.Helper()
		out, err := p.Command("run", "--rm", "--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", name, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "gantry version") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	dst := parts("linux-x64", object{"destination": "daemon", "daemon": "Podman"})
	resp := b.run("save", "", dst)
	if resp["daemon"] != "podman" || !strings.Contains(b.said.String(), "to local registry via 'podman'") {
		t.Errorf("%v\n%s", resp, b.said.String())
	}
	runs("localhost/team/shop:latest")
	b.said.Reset()
	b.run("save", "", dst)
	if !strings.Contains(b.said.String(), "Image already present in local registry via 'podman'") {
		t.Error(b.said.String())
	}
	b.write("app/shop.dll", "another app")
	b.prepare("linux-x64")
	b.said.Reset()
	b.run("save", "", dst)
	if !strings.Contains(b.said.String(), "2 found there") {
		t.Error(b.said.String())
	}
	for i, format := range []string{"oci", "docker"} {
		b.run("save", "", parts("linux-x64", object{"destination": "archive", "archivePath": format + ".tar", "archiveFormat": format, "repository": format}))
		if out, err := p.Command("load", "-i", format+".tar").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		runs("localhost/" + []string{"oci", "docker"}[i] + ":latest")
	}
}

// TestSave_otherBuild: documents of another build, which came meanwhile, go nowhere.
func TestSave_otherBuild(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1})
	b.prepare("linux-x64")
	dst := parts("linux-x64", object{"destination": "archive", "archivePath": "a.tar"})
	b.write("build", "another")
	b.env.BuildID = "this"
	if _, err := b.try("save", "", dst); diag.CodeOf(err) != diag.FolderTaken {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("a.tar"); err == nil {
		t.Error("it was written")
	}
	b.write("build", "this")
	b.run("save", "", dst)
}

func TestValidate(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1})
	for name, tc := range map[string]struct {
		fields object
		want   string
	}{
		"nothing":           {object{"destination": "archive"}, "selectBasePath is missing"},
		"destination":       {parts("", object{"destination": "moon"}), `destination "moon" is not known`},
		"archive":           {parts("", object{"destination": "archive"}), "archivePath is missing"},
		"format":            {parts("", object{"destination": "archive", "archivePath": "x", "archiveFormat": "zip"}), `archiveFormat "zip"`},
		"layout":            {parts("", object{"destination": "layout"}), "layoutPath is missing"},
		"daemon":            {parts("", object{"destination": "daemon", "daemon": "lxc"}), `local registry "lxc"`},
		"daemon, no tag":    {parts("", object{"destination": "daemon", "tags": []string{}}), "tags is empty"},
		"platforms and one": {parts("", object{"destination": "layout", "layoutPath": "x", "platformRequestPaths": []string{"y"}}), "exclude each other"},
		"tag":               {parts("", object{"destination": "layout", "layoutPath": "x", "tags": []string{"-"}}), `tag "-"`},
		"repository":        {parts("", object{"destination": "layout", "layoutPath": "x", "repository": "A"}), `repository "A"`},
	} {
		if _, err := b.try("save", "", tc.fields); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
