package push_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/pushindex"
)

// pushed is a pipeline that has pushed app:1.0 with a runtime, a packages and an app layer on a base of five.
func pushed(t *testing.T, o basemaker.TinyOptions, options ...testenv.RegistryOption) *published {
	t.Helper()
	reg := testenv.StartRegistry(t, options...)
	o.Layers = 5
	base := testenv.PushTinyBase(t, reg, "base", "1", o)
	proxy := testenv.StartProxy(t, reg)
	p := &published{newPipeline(t), reg, proxy, strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), base.Digest}
	p.prepare(p.base, "linux-x64", "", "runtime", "packages", "app")
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1.0")); err != nil {
		t.Fatal(err)
	}
	return p
}

// change runs all stages anew with another app layer.
func (p *published) change(app string, set func(*push.Request)) error {
	p.t.Helper()
	p.again(false)
	p.proxy.Reset()
	p.prepare(p.base, "linux-x64", "", "runtime", "packages", app)
	req := pushRequest(p.proxy.Host(), "app", "1.0")
	if set != nil {
		set(req)
	}
	_, err := p.push("push.json", req)
	return err
}

// TestOneChange_requests is the number to hold: one line changed takes 8 requests, whatever the number of layers, and sends the app's
// layer and the documents alone.
func TestOneChange_requests(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{Index: true})
	if err := p.change("changed", nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"HEAD manifest": 3, "POST upload": 2, "PUT upload": 2, "PUT manifest": 1}
	if d := cmp.Diff(want, kinds(p.proxy)); d != "" || len(p.proxy.Requests()) != 8 {
		t.Errorf("%d requests (-want +got):\n%s", len(p.proxy.Requests()), d)
	}
	if got := p.did.Blobs; got.Uploaded.Count != 2 || got.Existing.Count != 7 || got.Mounted.Count != 0 {
		t.Errorf("%+v", got)
	}
	checkImage(t, p.reg.Reference("app", "1.0"))
	// to another tag of the same repository too: what it names is known by digest
	if err := p.change("changed again", func(r *push.Request) { r.Tags = []string{"2.0", "1.0"} }); err != nil {
		t.Fatal(err)
	}
	want["HEAD manifest"], want["PUT manifest"] = 4, 2
	if d := cmp.Diff(want, kinds(p.proxy)); d != "" {
		t.Errorf("two tags (-want +got):\n%s", d)
	}
	checkImage(t, p.reg.Reference("app", "2.0"))
	// a new tag alone says nothing of what is there
	if err := p.change("third", func(r *push.Request) { r.Tags = []string{"3.0"} }); err != nil {
		t.Fatal(err)
	}
	if got := kinds(p.proxy)["mount"]; got != 7 {
		t.Errorf("%d mounts, want one for each layer that is there\n%s", got, p.proxy.Log())
	}
}

// TestKnown_otherRepository: what a manifest names is in the repository that has it, and in no other, whatever the content store has.
func TestKnown_otherRepository(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{})
	p.proxy.Reset()
	if _, err := p.push("push.json", pushRequest(p.proxy.Host(), "other", "1.0")); err != nil {
		t.Fatal(err)
	}
	if got := kinds(p.proxy); got["mount"] != 8 || got["PUT upload"] != 1 { // base and app layers; a configuration is no layer
		t.Errorf("%v\n%s", got, p.proxy.Log())
	}
	checkImage(t, p.reg.Reference("other", "1.0"))
}

// TestKnown_notTrusted: who wants everything sent, or blobs looked at, gets it.
func TestKnown_notTrusted(t *testing.T) {
	no := false
	for name, tc := range map[string]struct {
		set  func(*push.Request)
		want map[string]int
	}{
		"forcePush":         {func(r *push.Request) { r.ForcePush = true }, map[string]int{"HEAD manifest": 1, "GET blob": 5, "POST upload": 9, "PUT upload": 9, "PUT manifest": 1}},
		"skipPushIfPresent": {func(r *push.Request) { r.SkipPushIfPresent = &no }, map[string]int{"HEAD manifest": 1, "mount": 7, "POST upload": 2, "PUT upload": 2, "PUT manifest": 1}},
		"verify":            {func(r *push.Request) { r.Verify = "blobs" }, map[string]int{"HEAD manifest": 3, "mount": 7, "POST upload": 2, "PUT upload": 2, "PUT manifest": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := pushed(t, basemaker.TinyOptions{})
			if err := p.change("changed", tc.set); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, kinds(p.proxy)); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

// TestKnown_lost: a registry that lost a blob of the old image refuses the new one, and is sent everything. zot says so with a 400 about
// the manifest.
func TestKnown_lost(t *testing.T) {
	for _, body := range []string{"", `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`} {
		p := pushed(t, basemaker.TinyOptions{}, testenv.WithoutCache())
		gone := p.layers("runtime")[0].Descriptor.Digest
		if err := os.Remove(p.reg.BlobFile(string(gone))); err != nil {
			t.Fatal(err)
		}
		if body != "" {
			p.proxy.Inject(testenv.Times(1, http.MethodPut, "/manifests/", testenv.Fault{Status: http.StatusBadRequest, Body: body}))
		}
		if err := p.change("changed", nil); err != nil {
			t.Fatal(err)
		}
		if got := p.did.Blobs.Uploaded.Count; got != 9 || !strings.Contains(p.did.Reason, "misses") {
			t.Errorf("%+v", p.did)
		}
		checkImage(t, p.reg.Reference("app", "1.0"))
	}
}

// TestKnown_foreign: a layer that the registry need not have says nothing about one that it must have.
func TestKnown_foreign(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{Foreign: true})
	if err := p.change("changed", nil); err != nil {
		t.Fatal(err)
	}
	if got := p.did.Blobs; got.Uploaded.Count != 2 || got.Existing.Count != 7 {
		t.Errorf("%+v", got)
	}
}

// TestKnown_noDocuments: without the old image's manifest in the store every blob is asked for.
func TestKnown_noDocuments(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{})
	if err := os.Remove(p.store.Path(p.did.Digest)); err != nil {
		t.Fatal(err)
	}
	if err := p.change("changed", nil); err != nil {
		t.Fatal(err)
	}
	if got := kinds(p.proxy); got["mount"] != 7 || got["PUT upload"] != 2 {
		t.Errorf("%v", got)
	}
}

// TestKnown_index: the old index says what the repository has of each platform. One platform changed takes 11 requests: base, tag and
// digest of the index, each image by its digest, 2 for each of layer and configuration, the image, the index.
func TestKnown_index(t *testing.T) {
	p := twoPlatforms(t, destinations["distribution"])
	if _, err := p.publish(false, nil); err != nil {
		t.Fatal(err)
	}
	p.app["linux-arm64"] = "changed"
	p.again(false)
	p.proxy.Reset()
	resp, err := p.publish(false, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"HEAD manifest": 5, "POST upload": 2, "PUT upload": 2, "PUT manifest": 2}
	if d := cmp.Diff(want, kinds(p.proxy)); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	for _, m := range resp.Manifests {
		checkImage(t, p.reg.Reference("app", string(m.Digest)))
	}
}

// TestCacheTag: it is written after the tags and before the key, moved when it names something else, asked like a tag, and nobody's tag.
func TestCacheTag(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{})
	set := func(r *push.Request) { r.CacheTag, r.CacheKeyTag, r.Tags = "cache", "content-1", []string{"1.0", "1"} }
	if err := p.change("app", set); err != nil { // the image is there: the names alone are written
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1", "cache", "content-1"}, written(p.proxy)); d != "" || p.did.Pushed {
		t.Errorf("written (-want +got):\n%s", d)
	}
	if got := p.did.CacheTag; got == nil || got.State != outcome.Written || len(p.did.Tags) != 2 {
		t.Errorf("%+v", p.did)
	}
	if strings.Contains(p.did.Line(), "cache,") || strings.Contains(p.did.Line(), "cache'") {
		t.Error(p.did.Line())
	}
	if err := p.change("app", func(r *push.Request) { set(r); r.CacheKeyTag = "" }); err != nil {
		t.Fatal(err)
	}
	if got := kinds(p.proxy); got["HEAD manifest"] != 4 || len(got) != 1 || p.did.CacheTag.State != outcome.Current {
		t.Errorf("unchanged: %v, %+v", got, p.did.CacheTag)
	}
	// all other tags are new, as of a build for each commit: the cache tag says what is there
	if err := p.change("changed", func(r *push.Request) { r.Tags, r.CacheTag = []string{"commit-2"}, "cache" }); err != nil {
		t.Fatal(err)
	}
	if got := p.did.Blobs; got.Uploaded.Count != 2 || got.Existing.Count != 7 || p.did.CacheTag.State != outcome.Moved {
		t.Errorf("%+v", p.did)
	}
	if d := cmp.Diff([]string{"commit-2", "cache"}, written(p.proxy)); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
	// one of the tags is written once
	if err := p.change("third", func(r *push.Request) { r.Tags, r.CacheTag = []string{"cache"}, "cache" }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"cache"}, written(p.proxy)); d != "" || p.did.CacheTag != nil {
		t.Errorf("written (-want +got):\n%s", d)
	}
	p.proxy.Inject(testenv.Times(1, http.MethodPut, "/manifests/cache", testenv.Fault{Status: http.StatusForbidden}))
	err := p.change("fourth", set)
	if err == nil || !strings.Contains(err.Error(), "the cache tag cache") {
		t.Errorf("got %v", err)
	}
	if _, digest, _ := p.reg.Manifest("app", "1.0"); digest != string(cachedDigest(t, p)) {
		t.Error("the tags were to be written before")
	}
}

// cachedDigest is that of the image as the stage made it last.
func cachedDigest(t *testing.T, p *published) string {
	t.Helper()
	req := pushRequest(p.proxy.Host(), "app", "1.0")
	req.Defer = true
	resp, err := p.push("deferred.json", req)
	if err != nil {
		t.Fatal(err)
	}
	return string(resp.Digest)
}

// written are the names of manifests in the order in which they were written; the images of an index count as digests.
func written(p *testenv.Proxy) (out []string) {
	for _, r := range p.Requests() {
		if _, name, found := strings.Cut(r.Path, "/manifests/"); found && r.Method == http.MethodPut {
			if strings.HasPrefix(name, "sha256:") {
				name = "digest"
			}
			out = append(out, name)
		}
	}
	return out
}

// TestCacheTag_index: the index has one too.
func TestCacheTag_index(t *testing.T) {
	p := twoPlatforms(t, destinations["distribution"])
	set := func(r *pushindex.Request) { r.CacheTag, r.CacheKeyTag = "cache", "content-1" }
	resp, err := p.publish(false, set)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"digest", "digest", "1.0", "cache", "content-1"}, written(p.proxy)); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
	if _, got, _ := p.reg.Manifest("app", "cache"); got != string(resp.Digest) || len(resp.Tags) != 1 {
		t.Errorf("cache names %s, want %s", got, resp.Digest)
	}
}

// TestChanged_sideBySide: when the tag is remembered to name another image, tag and digest are asked for at once.
func TestChanged_sideBySide(t *testing.T) {
	p := pushed(t, basemaker.TinyOptions{})
	both := make(chan struct{})
	heads := 0
	p.proxy.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method != http.MethodHead || !strings.Contains(r.URL.Path, "/app/manifests/") {
			return nil
		}
		if heads++; heads == 2 {
			close(both)
		}
		return &testenv.Fault{Wait: both} // neither is answered before both are asked
	})
	if err := p.change("changed", nil); err != nil {
		t.Fatal(err)
	}
	if heads != 2 {
		t.Errorf("%d questions, want 2", heads)
	}
}
