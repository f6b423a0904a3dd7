package push_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/pushindex"
	"github.com/gantry-build/gantry/tasks/runner"
)

// exec runs a stage on files in the working directory, as the command line does.
func (p *pipeline) exec(name, as string, request any) {
	p.t.Helper()
	if err := os.WriteFile(as+".request.json", encode(p.t, request), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := p.tryExec(name, as); err != nil {
		p.t.Fatalf("%s: %v", as, err)
	}
}

// tryExec runs a stage on a request file that is there.
func (p *pipeline) tryExec(name, as string) error {
	p.t.Helper()
	stage, err := runner.Find(runner.Stages(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	env := &runner.Env{
		Dir: p.dir, Stdin: strings.NewReader(""), Stdout: io.Discard, Store: p.store, Registry: p.client, Log: p.log,
		Progress: progress.Discard{}, Warn: func(diag.Code, string) {}, Outcome: p.note,
	}
	return stage.Exec(p.t.Context(), env, runner.Files{Request: as + ".request.json", Response: as + ".json"})
}

// TestRunner_deferred: push-index runs the deferred push by its request: by digest, without its files and key, and writes its tags when
// the images are there. Running it again, with the image there, sends nothing.
func TestRunner_deferred(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", "app")
	req := pushRequest(proxy.Host(), "app", "1.0-x64")
	req.Defer, req.ManifestPath, req.CacheKeyTag = true, "manifest.json", "content-not-written"
	proxy.Reset()
	p.exec("push", "push", req)
	if n := len(proxy.Requests()); n != 0 || !p.did.Deferred {
		t.Errorf("%d requests, %+v", n, p.did)
	}
	before, err := os.Stat("manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	index := &pushindex.Request{
		RequestHeader: header("push-index"), PushPaths: []string{"push.json"}, PushRequestPaths: []string{"push.request.json"},
		Registry: proxy.Host(), Repository: "app", Tags: []string{"1.0"},
	}
	index.CacheKeyTag = "content-index"
	p.exec("push-index", "index", index)
	if !p.did.Pushed || p.did.Stage != "push-index" || len(p.did.Platforms) != 1 || !p.did.Platforms[0].Pushed {
		t.Errorf("%+v", p.did)
	}
	if d := cmp.Diff([]string{"1.0", "1.0-x64", "content-index"}, reg.Tags("app")); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}
	if after, err := os.Stat("manifest.json"); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("the manifest's file was touched: %v", err)
	}
	first, err := os.ReadFile("index.json")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Reset()
	p.exec("push-index", "index", index)
	second, err := os.ReadFile("index.json")
	if err != nil || string(first) != string(second) || kinds(proxy)["HEAD manifest"] != 2 || len(proxy.Requests()) != 3 || p.did.Pushed { // and the key
		t.Errorf("%v: again: %+v, %d requests, responses equal %v", err, p.did, len(proxy.Requests()), string(first) == string(second))
	}
}

// TestRunner_downloadWhenNeeded: the base's layers are fetched from another registry only when the destination does not have the image.
func TestRunner_downloadWhenNeeded(t *testing.T) {
	src, dst := testenv.StartRegistry(t), testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, src, "base", "1", basemaker.TinyOptions{Layers: 3})
	from, to := testenv.StartProxy(t, src), testenv.StartProxy(t, dst)
	p := newPipeline(t)
	reference := strings.Replace(base.Reference, src.Host(), from.Host(), 1)
	for _, tc := range []struct {
		fresh  bool
		layers int // that were read from the base's registry
		asked  int // requests to the destination, at most
		state  outcome.State
	}{{true, 3, 30, outcome.Written}, {false, 0, 1, outcome.Current}, {true, 0, 1, outcome.Current}} {
		p.again(tc.fresh)
		p.prepare(reference, "linux-x64", "", "app")
		from.Reset()
		to.Reset()
		if err := os.WriteFile("download-layers.request.json", encode(t, &downloadlayers.Request{
			RequestHeader: header("download-layers"), SelectBasePath: "select-base.json", Registry: to.Host(), Repository: "app",
		}), 0o600); err != nil {
			t.Fatal(err)
		}
		req := pushRequest(to.Host(), "app", "1")
		req.DownloadLayersRequestPath = "download-layers.request.json"
		p.exec("push", "push", req)
		if got := kinds(from)["GET blob"]; got != tc.layers || len(to.Requests()) > tc.asked || p.did.Tags[0].State != tc.state {
			t.Errorf("%+v: %d layers, %+v\n%s", tc, got, p.did, to.Log())
		}
	}
}

// TestRunner_oneFails: an image that cannot be pushed leaves the tags of the others, and of the index, as they were.
func TestRunner_oneFails(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	good := pushRequest(reg.Host(), "app", "1.0-x64")
	good.Defer = true
	p.exec("push", "good", good)
	index := &pushindex.Request{
		RequestHeader: header("push-index"), Registry: reg.Host(), Repository: "app", Tags: []string{"1.0"},
		PushPaths: []string{"good.json"}, PushRequestPaths: []string{"gone.request.json"},
	}
	if err := os.WriteFile("index.request.json", encode(t, index), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.tryExec("push-index", "index"); diag.CodeOf(err) != diag.RequestUnreadable {
		t.Errorf("got %v", err)
	}
	if tags := reg.Tags("app"); len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
}
