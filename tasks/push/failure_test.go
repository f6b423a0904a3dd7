package push_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/push"
)

// TestMissingLayer: a layer that was trimmed from the store is noticed before anything is sent.
func TestMissingLayer(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	layer := p.layers("app")[0]
	if err := os.Remove(p.store.Path(layer.Descriptor.Digest)); err != nil {
		t.Fatal(err)
	}
	before := reg.BlobCount()
	_, err := p.push("push.json", pushRequest(reg.Host(), "app", "1"))
	if diag.CodeOf(err) != diag.BlobMissing || !strings.Contains(err.Error(), "create-layers") {
		t.Errorf("got %v, want %s that names create-layers", err, diag.BlobMissing)
	}
	if reg.BlobCount() != before || len(reg.Tags("app")) != 0 {
		t.Error("something was sent")
	}
}

// TestFailure_leavesTags: when a blob is refused, no manifest is written; the next run succeeds.
func TestFailure_leavesTags(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", "app")
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1")); err != nil {
		t.Fatal(err)
	}
	_, old, _ := reg.Manifest("app", "1")
	p.layers("changed")
	proxy.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") {
			return &testenv.Fault{Status: http.StatusForbidden}
		}
		return nil
	})
	_, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1"))
	if err == nil || diag.CodeOf(err) == diag.Internal {
		t.Errorf("got %v, want a coded error", err)
	}
	if _, now, _ := reg.Manifest("app", "1"); now != old {
		t.Errorf("the tag moved from %s to %s", old, now)
	}
	proxy.Inject(nil)
	resp, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, now, _ := reg.Manifest("app", "1"); now != string(resp.Digest) {
		t.Errorf("the next run left the tag at %s", now)
	}
}

// TestBlobsLost: a registry that believes in blobs that are gone is given them again.
func TestBlobsLost(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", "app")
	proxy.Inject(testenv.Times(1, http.MethodPut, "/manifests/", testenv.Fault{
		Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}},
		Body: `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`,
	}))
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1")); err != nil {
		t.Fatal(err)
	}
	checkImage(t, reg.Reference("app", "1"))
}

func TestCancelled(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := push.Run(ctx, p.pushDeps(), pushRequest(reg.Host(), "app", "1")); err == nil {
		t.Error("a cancelled push succeeds")
	}
	if len(reg.Tags("app")) != 0 {
		t.Error("a tag was written")
	}
}

// TestResolve: a tag is asked for each time, a digest in the store never.
func TestResolve(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Index: true})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	tag := proxy.Host() + "/base:1"
	pinned := proxy.Host() + "/base:ignored@" + base.Digest
	for _, tc := range []struct {
		reference string
		requests  int
	}{{tag, 1}, {tag, 1}, {pinned, 0}} {
		proxy.Reset()
		resp, err := p.resolve(tc.reference)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(proxy.Requests()); got != tc.requests || string(resp.Digest) != base.Digest || resp.MediaType != base.MediaType {
			t.Errorf("%s: %d requests, %+v; want %d and %s", tc.reference, got, resp, tc.requests, base.Digest)
		}
	}
	// a damaged copy is a miss
	path := p.store.Path(cas.Digest(base.Digest))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.resolve(pinned); err != nil {
		t.Error(err)
	}
	if _, err := p.selectBase("linux-x64", ""); err != nil {
		t.Error(err)
	}
	proxy.Reset()
	if _, err := p.selectBase("linux-x64", ""); err != nil || len(proxy.Requests()) != 0 {
		t.Errorf("a second select: %v, %d requests, want none", err, len(proxy.Requests()))
	}
	if _, err := p.selectBase("linux-arm64", ""); diag.CodeOf(err) != diag.NoImageForRID {
		t.Errorf("linux-arm64: got %v, want %s", err, diag.NoImageForRID)
	}
	if _, err := p.resolve(proxy.Host() + "/base:none"); diag.CodeOf(err) != diag.RepositoryNotFound {
		t.Errorf("a missing tag: got %v, want %s", err, diag.RepositoryNotFound)
	}
}

func TestValidate(t *testing.T) {
	req := &push.Request{Registry: "http://x", Repository: "App", Tags: []string{"ok", "-bad"}}
	err := req.Validate()
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	got := map[diag.Code]int{}
	for _, e := range list.Unwrap() {
		got[diag.CodeOf(e)]++
	}
	want := map[diag.Code]int{diag.InvalidValue: 3, diag.InvalidRegistry: 1, diag.InvalidRepository: 1, diag.InvalidTags: 1}
	for c, n := range want {
		if got[c] != n {
			t.Errorf("%s: %d times, want %d (%v)", c, got[c], n, err)
		}
	}
	req.Tags = []string{strings.Repeat("a", 125)}
	req.TagSuffix = "linux-x64"
	if err := req.Validate(); !strings.Contains(err.Error(), "linux-x64") {
		t.Errorf("a tag that is too long with its suffix: %v", err)
	}
}

// TestPullNever: a layer of the base that would have to be read from its registry is named, and not asked for.
func TestPullNever(t *testing.T) {
	src, dst := testenv.StartRegistry(t), testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, src, "base", "1", basemaker.TinyOptions{Layers: 1})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	src.Stop()
	req := pushRequest(dst.Host(), "app", "1")
	req.PullPolicy = "never"
	_, err := p.push("push.json", req)
	if diag.CodeOf(err) != diag.NotInStore || !strings.Contains(err.Error(), base.Images[0].Layers[0].Digest) || len(dst.Tags("app")) != 0 {
		t.Errorf("got %v, want %s that names the layer", err, diag.NotInStore)
	}
	req.PullPolicy = "sometimes"
	if err := req.Validate(); diag.CodeOf(err) != diag.InvalidValue {
		t.Errorf("got %v, want %s", err, diag.InvalidValue)
	}
}
