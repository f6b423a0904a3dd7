package push_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/pushindex"
)

// platforms is a build for two platforms, each with files of its own.
type platforms struct {
	*pipeline
	reg   *testenv.Registry
	proxy *testenv.Proxy
	base  string
	app   map[string]string // the app's layer of a runtime identifier
}

func twoPlatforms(t *testing.T, start func(testing.TB) *testenv.Registry) *platforms {
	t.Helper()
	reg := start(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{
		Platforms: []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
	})
	proxy := testenv.StartProxy(t, reg)
	return &platforms{
		newPipeline(t), reg, proxy, strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1),
		map[string]string{"linux-x64": "x64", "linux-arm64": "arm64"},
	}
}

// publish runs all stages; with tags of their own the images are pushed, else left to the index.
func (p *platforms) publish(platformTags bool, change func(*pushindex.Request)) (*pushindex.Response, error) {
	p.t.Helper()
	if _, err := p.resolve(p.base); err != nil {
		p.t.Fatal(err)
	}
	index := &pushindex.Request{Registry: p.proxy.Host(), Repository: "app", Tags: []string{"1.0"}}
	for _, rid := range []string{"linux-x64", "linux-arm64"} {
		if _, err := p.selectBase(rid, ""); err != nil {
			p.t.Fatal(err)
		}
		p.config(config())
		p.layers(p.app[rid])
		req := pushRequest(p.proxy.Host(), "app")
		for _, f := range []*string{&req.SelectBasePath, &req.ComputeConfigPath, &req.CreateLayersPath} {
			name := rid + "." + *f
			if err := os.Rename(*f, name); err != nil {
				p.t.Fatal(err)
			}
			*f = filepath.Join(p.dir, name)
		}
		if req.Defer = !platformTags; platformTags {
			req.Tags, req.TagSuffix = []string{"1.0"}, rid
		}
		if err := os.WriteFile(rid+".request.json", encode(p.t, req), 0o600); err != nil {
			p.t.Fatal(err)
		}
		if _, err := p.push(rid+".json", req); err != nil {
			p.t.Fatal(err)
		}
		index.PushPaths = append(index.PushPaths, rid+".json")
		index.PushRequestPaths = append(index.PushRequestPaths, filepath.Join(p.dir, rid+".request.json"))
	}
	if change != nil {
		change(index)
	}
	return p.pushIndex(index)
}

// TestIndex_nothingChanged: 2 requests without tags of the platforms, 4 with them, and no byte.
func TestIndex_nothingChanged(t *testing.T) {
	for name, start := range destinations {
		for platformTags, limit := range map[bool]int{true: 4, false: 2} {
			t.Run(name, func(t *testing.T) {
				p := twoPlatforms(t, start)
				first, err := p.publish(platformTags, nil)
				if err != nil {
					t.Fatal(err)
				}
				checkImage(t, p.reg.Reference("app", string(first.Manifests[1].Digest)))
				if !p.did.Pushed || len(p.did.Platforms) != 2 || p.did.Blobs.Uploaded.Count == 0 == !platformTags {
					t.Errorf("tags %v: the first says %+v", platformTags, p.did)
				}
				blobs := p.reg.BlobCount()
				p.again(false)
				p.proxy.Reset()
				second, err := p.publish(platformTags, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := len(p.proxy.Requests()); got != limit || up(p.proxy) != 0 {
					t.Errorf("%d requests, %d bytes up; want %d and none\n%s", got, up(p.proxy), limit, p.proxy.Log())
				}
				if d := cmp.Diff(first, second); d != "" || p.did.Pushed || p.did.Tags[0].State != outcome.Current || p.reg.BlobCount() != blobs {
					t.Errorf("%+v\n%s", p.did, d)
				}
			})
		}
	}
}

// TestIndex_onePlatformChanged: the other sends nothing.
func TestIndex_onePlatformChanged(t *testing.T) {
	p := twoPlatforms(t, destinations["distribution"])
	if _, err := p.publish(false, nil); err != nil {
		t.Fatal(err)
	}
	p.app["linux-arm64"] = "changed"
	p.proxy.Reset()
	if _, err := p.publish(false, nil); err != nil {
		t.Fatal(err)
	}
	var pushed []bool
	for _, i := range p.did.Platforms {
		pushed = append(pushed, i.Pushed)
	}
	if d := cmp.Diff([]bool{false, true}, pushed); d != "" || p.did.Blobs.Uploaded.Count != 2 || p.did.Tags[0].State != outcome.Moved {
		t.Errorf("%+v\n%s", p.did, d)
	}
	if n := kinds(p.proxy)["PUT manifest"]; n != 2 { // the image and the index
		t.Errorf("%d manifests were written, want 2\n%s", n, p.proxy.Log())
	}
	// one more tag: the index alone is written
	p.proxy.Reset()
	_, err := p.publish(false, func(r *pushindex.Request) { r.Tags = []string{"1.0", "2.0"} })
	if d := cmp.Diff(map[string]int{"HEAD manifest": 3, "PUT manifest": 1}, kinds(p.proxy)); err != nil || d != "" {
		t.Errorf("%v, requests (-want +got):\n%s", err, d)
	}
}

// TestIndex_verifyBlobs: a layer of a platform that is gone behind its index is sent again.
func TestIndex_verifyBlobs(t *testing.T) {
	p := twoPlatforms(t, destinations["distribution without cache"])
	first, err := p.publish(false, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := p.layers(p.app["linux-arm64"])[0].Descriptor.Digest
	if err := os.Remove(p.reg.BlobFile(string(gone))); err != nil {
		t.Fatal(err)
	}
	for _, rid := range []string{"linux-x64", "linux-arm64"} { // the requests name what is to be looked at
		file := rid + ".request.json"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(data), `"defer": true`, `"defer": true, "verify": "blobs"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	req := &pushindex.Request{
		PushPaths: []string{"linux-x64.json", "linux-arm64.json"}, PushRequestPaths: []string{"linux-x64.request.json", "linux-arm64.request.json"},
		Registry: p.proxy.Host(), Repository: "app", Tags: []string{"1.0"},
	}
	req.Verify = "blobs"
	if _, err := p.pushIndex(req); err != nil {
		t.Fatal(err)
	}
	if !p.did.Pushed || p.did.Blobs.Uploaded.Count != 1 {
		t.Errorf("%+v", p.did)
	}
	checkImage(t, p.reg.Reference("app", string(first.Manifests[1].Digest)))
}

// TestIndex_otherImage: a platform that is not what its response says is refused.
func TestIndex_otherImage(t *testing.T) {
	p := twoPlatforms(t, destinations["olareg"])
	_, err := p.publish(false, func(*pushindex.Request) {
		p.layers("stale")
		if err := os.Rename("create-layers.json", "linux-x64.create-layers.json"); err != nil {
			t.Fatal(err)
		}
	})
	if diag.CodeOf(err) != diag.IndexMismatch || len(p.reg.Tags("app")) != 0 {
		t.Errorf("got %v and tags %v, want %s and none", err, p.reg.Tags("app"), diag.IndexMismatch)
	}
}

// TestKeys: the key's tag is written after all else, on the same image, in the repository that keys have; a second key sends nothing.
func TestKeys(t *testing.T) {
	for name, start := range destinations {
		t.Run(name, func(t *testing.T) {
			p := publishTo(t, start, "1.0")
			digest := string(p.did.Digest)
			req := pushRequest(p.proxy.Host(), "app", "1.0")
			req.CacheKeyTag = "content-one"
			if _, err := p.push("push.json", req); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(map[string]int{"HEAD manifest": 1, "PUT manifest": 1}, kinds(p.proxy)); d != "" {
				t.Errorf("a second key: requests (-want +got):\n%s", d)
			}
			req.CacheKeyTag, req.KeyRepository = "content-two", "keys/app"
			if _, err := p.push("push.json", req); err != nil {
				t.Fatal(err)
			}
			checkImage(t, p.reg.Reference("keys/app", "content-two"))
			for repository, tag := range map[string]string{"app": "content-one", "keys/app": "content-two"} {
				if _, got, _ := p.reg.Manifest(repository, tag); got != digest {
					t.Errorf("%s:%s names %s, want %s", repository, tag, got, digest)
				}
			}
			if p.did.Key == nil || p.did.Key.State != outcome.Written || p.did.Pushed {
				t.Errorf("%+v", p.did)
			}
			req.CacheKeyTag, req.KeyRepository, req.NoKeyReason = "content-three", "", "the tags changed"
			if _, err := p.push("push.json", req); err != nil || p.did.Key.State != outcome.NotWritten {
				t.Errorf("%v, %+v", err, p.did.Key)
			}
			if d := cmp.Diff([]string{"1.0", "content-one"}, p.reg.Tags("app")); d != "" {
				t.Errorf("tags (-want +got):\n%s", d)
			}
		})
	}
}

// TestKeys_index: an index is brought to the keys' repository with its images, also to one of another registry.
func TestKeys_index(t *testing.T) {
	other := testenv.StartRegistry(t)
	for _, repository := range []string{"keys", other.Host() + "/keys"} {
		p := twoPlatforms(t, destinations["distribution"])
		resp, err := p.publish(false, func(r *pushindex.Request) { r.CacheKeyTag, r.KeyRepository = "content-one", repository })
		if err != nil {
			t.Fatal(err)
		}
		at, where := p.reg, registry.NewName(p.reg.Host(), "keys")
		if repository != "keys" {
			at, where = other, registry.NewName(other.Host(), "keys")
		}
		if _, got, _ := at.Manifest("keys", "content-one"); got != string(resp.Digest) {
			t.Errorf("%s: the key names %s, want %s", where, got, resp.Digest)
		}
		for _, m := range resp.Manifests {
			checkImage(t, at.Reference("keys", string(m.Digest)))
		}
	}
}
