package push_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// destinations are the registries that every skip is tried against: distribution answers from a cache of descriptors, or from its disk.
var destinations = map[string]func(testing.TB) *testenv.Registry{
	"distribution":               func(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) },
	"distribution without cache": func(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t, testenv.WithoutCache()) },
	"olareg":                     testenv.StartOlareg,
}

// published is a pipeline that has pushed app:1.0 through a proxy that counts.
type published struct {
	*pipeline
	reg   *testenv.Registry
	proxy *testenv.Proxy
	base  string // by tag, through the proxy
	top   string // digest of the base
}

func publishTo(t *testing.T, start func(testing.TB) *testenv.Registry, tags ...string) *published {
	t.Helper()
	reg := start(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 2, Index: true})
	proxy := testenv.StartProxy(t, reg)
	p := &published{newPipeline(t), reg, proxy, strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), base.Digest}
	p.prepare(p.base, "linux-x64", "", "app")
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", tags...)); err != nil {
		t.Fatal(err)
	}
	if !p.did.Pushed {
		t.Errorf("the first push says %+v", p.did)
	}
	p.proxy.Reset()
	return p
}

// publish runs all stages anew, in a process of its own, on the base reference.
func (p *published) publish(base string, tags ...string) {
	p.t.Helper()
	p.prepare(base, "linux-x64", "", "app")
	if _, err := p.push("push.json", pushRequest(p.proxy.Host(), "app", tags...)); err != nil {
		p.t.Fatal(err)
	}
}

// up are the bytes that were sent.
func up(p *testenv.Proxy) (n int64) {
	for _, r := range p.Requests() {
		n += r.Up
	}
	return n
}

// TestNothingChanged is the table of requests that hold for an unchanged image.
func TestNothingChanged(t *testing.T) {
	for name, start := range destinations {
		t.Run(name, func(t *testing.T) {
			p := publishTo(t, start, "1.0")
			blobs := p.reg.BlobCount()
			for _, tc := range []struct {
				name     string
				base     string
				fresh    bool
				requests int
			}{
				{"base by tag", p.base, false, 2},
				{"base by digest", p.base + "@" + p.top, false, 1},
				{"empty store", p.base, true, 4},
			} {
				p.again(tc.fresh)
				p.proxy.Reset()
				p.publish(tc.base, "1.0")
				if got := len(p.proxy.Requests()); got > tc.requests || up(p.proxy) != 0 {
					t.Errorf("%s: %d requests, %d bytes up, at most %d and none are allowed\n%s", tc.name, got, up(p.proxy), tc.requests, p.proxy.Log())
				}
				want := []outcome.Tag{{Tag: "1.0", State: outcome.Current}}
				if d := cmp.Diff(want, p.did.Tags); d != "" || p.did.Pushed || p.did.Reason != "the tag 1.0 names it" {
					t.Errorf("%s: %+v\n%s", tc.name, p.did, d)
				}
			}
			if got := p.reg.BlobCount(); got != blobs {
				t.Errorf("%d blobs before, %d after", blobs, got)
			}
		})
	}
}

// TestTagsMove: an image that is there gets its tags with one PUT each, and nothing else is sent.
func TestTagsMove(t *testing.T) {
	for name, start := range destinations {
		t.Run(name, func(t *testing.T) {
			p := publishTo(t, start, "1.0", "latest")
			digest := string(p.did.Digest)
			size := up(p.proxy)
			p.publish(p.base, "1.0", "1.1")
			if d := cmp.Diff(map[string]int{"HEAD manifest": 3, "PUT manifest": 1}, kinds(p.proxy)); d != "" {
				t.Errorf("one more tag: requests (-want +got):\n%s", d)
			}
			_, _, body := p.reg.Manifest("app", "1.1")
			if got := up(p.proxy) - size; got != int64(len(body)) {
				t.Errorf("%d bytes up, the manifest has %d", got, len(body))
			}
			// another image takes latest, then this one takes it back
			p.layers("other")
			if _, err := p.push("push.json", pushRequest(p.proxy.Host(), "app", "latest")); err != nil {
				t.Fatal(err)
			}
			other := p.did
			if !other.Pushed || other.Tags[0].State != outcome.Moved || string(other.Tags[0].Was) != digest {
				t.Errorf("the other image: %+v", other)
			}
			blobs := p.reg.BlobCount()
			p.proxy.Reset()
			p.publish(p.base, "2.0", "latest")
			if d := cmp.Diff(map[string]int{"HEAD manifest": 4, "PUT manifest": 2}, kinds(p.proxy)); d != "" {
				t.Errorf("tags that differ: requests (-want +got):\n%s", d)
			}
			want := []outcome.Tag{{Tag: "2.0", State: outcome.Written}, {Tag: "latest", State: outcome.Moved, Was: other.Digest}}
			if d := cmp.Diff(want, p.did.Tags); d != "" || p.did.Pushed || p.reg.BlobCount() != blobs {
				t.Errorf("%+v, %d blobs, were %d\n%s", p.did, p.reg.BlobCount(), blobs, d)
			}
			if _, got, _ := p.reg.Manifest("app", "latest"); got != digest {
				t.Errorf("latest names %s, want %s", got, digest)
			}
			if line := p.did.Line(); !strings.HasSuffix(line, "/app' ("+digest+"); tags updated without rebuild: 2.0, latest") {
				t.Error(line)
			}
		})
	}
}

// TestByDigest: without tags the digest is asked for, and nothing is written.
func TestByDigest(t *testing.T) {
	p := publishTo(t, destinations["olareg"])
	p.publish(p.base)
	if d := cmp.Diff(map[string]int{"HEAD manifest": 2}, kinds(p.proxy)); d != "" || p.did.Pushed {
		t.Errorf("%+v, requests (-want +got):\n%s", p.did, d)
	}
}

// TestForcePush: everything is sent again, and nothing is asked.
func TestForcePush(t *testing.T) {
	for name, start := range destinations {
		t.Run(name, func(t *testing.T) {
			p := publishTo(t, start, "1.0")
			req := pushRequest(p.proxy.Host(), "app", "1.0")
			req.ForcePush = true
			if _, err := p.push("push.json", req); err != nil {
				t.Fatal(err)
			}
			if p.did.Blobs.Uploaded.Count != 4 || !p.did.Pushed || kinds(p.proxy)["PUT upload"] != 4 || kinds(p.proxy)["HEAD manifest"] != 0 {
				t.Errorf("%+v\n%s", p.did, p.proxy.Log())
			}
		})
	}
}

// TestBaseMoved: the image on the new base is another one, and is pushed.
func TestBaseMoved(t *testing.T) {
	p := publishTo(t, destinations["distribution"], "1.0")
	old := p.did.Digest
	testenv.PushTinyBase(t, p.reg, "base", "1", basemaker.TinyOptions{Layers: 3, Index: true})
	p.publish(p.base, "1.0")
	if !p.did.Pushed || p.did.Digest == old || p.did.Tags[0].Was != old {
		t.Errorf("%+v", p.did)
	}
	if n := kinds(p.proxy)["GET manifest"]; n != 2 { // the index and its child, after HEAD said that the tag moved
		t.Errorf("%d manifests were read, want 2", n)
	}
	// what is remembered now is the new one
	p.again(false)
	p.proxy.Reset()
	p.publish(p.base, "1.0")
	if got := len(p.proxy.Requests()); got != 2 || p.did.Pushed {
		t.Errorf("%d requests, %+v", got, p.did)
	}
}

// TestImmutableTag: a tag that names the image is left alone; one that names another and may not move is an error with both digests.
func TestImmutableTag(t *testing.T) {
	p := publishTo(t, destinations["distribution"], "1.0")
	first := p.did.Digest
	p.proxy.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1.0") {
			return &testenv.Fault{Status: http.StatusBadRequest, Body: `{"errors":[{"code":"TAG_INVALID","message":"cannot be overwritten"}]}`}
		}
		return nil
	})
	p.publish(p.base, "1.0", "1.1")
	if p.did.Tags[0].State != outcome.Current || p.did.Tags[1].State != outcome.Written {
		t.Errorf("%+v", p.did.Tags)
	}
	p.layers("other")
	_, err := p.push("push.json", pushRequest(p.proxy.Host(), "app", "1.0"))
	if diag.CodeOf(err) != diag.TagRefused || !strings.Contains(err.Error(), string(first)) || strings.Count(err.Error(), "sha256:") < 2 {
		t.Errorf("got %v, want %s with both digests", err, diag.TagRefused)
	}
}

// TestVerifyBlobs: a registry that believes in a blob that is gone is given it again, and nothing is sent when all are there.
func TestVerifyBlobs(t *testing.T) {
	for _, name := range []string{"distribution", "distribution without cache"} {
		t.Run(name, func(t *testing.T) {
			p := publishTo(t, destinations[name], "1.0")
			req := pushRequest(p.proxy.Host(), "app", "1.0")
			req.Verify = "blobs"
			if _, err := p.push("push.json", req); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(map[string]int{"HEAD manifest": 1, "GET blob": 4}, kinds(p.proxy)); d != "" || p.did.Pushed || p.proxy.Counts().Down != 4 {
				t.Errorf("all there: %+v, %+v (-want +got):\n%s", p.did, p.proxy.Counts(), d)
			}
			gone := p.layers("app")[0].Descriptor.Digest
			if err := os.Remove(p.reg.BlobFile(string(gone))); err != nil {
				t.Fatal(err)
			}
			if _, err := p.push("push.json", pushRequest(p.proxy.Host(), "app", "1.0")); err != nil || p.did.Pushed {
				t.Errorf("without looking: %v, %+v", err, p.did)
			}
			p.proxy.Reset()
			if _, err := p.push("push.json", req); err != nil {
				t.Fatal(err)
			}
			if got := p.did.Blobs; !p.did.Pushed || got.Uploaded.Count != 1 || got.Mounted.Count+got.Existing.Count != 0 {
				t.Errorf("repair: %+v", p.did)
			}
			checkImage(t, p.reg.Reference("app", "1.0"))
		})
	}
}

// TestLostBlobs: an image that is there by its digest, and whose blobs are gone, is pushed in full when a new tag is refused.
func TestLostBlobs(t *testing.T) {
	p := publishTo(t, destinations["distribution without cache"], "1.0")
	gone := p.layers("app")[0].Descriptor.Digest
	if err := os.Remove(p.reg.BlobFile(string(gone))); err != nil {
		t.Fatal(err)
	}
	p.publish(p.base, "2.0")
	if !p.did.Pushed || p.did.Blobs.Uploaded.Count != 4 {
		t.Errorf("%+v", p.did)
	}
	checkImage(t, p.reg.Reference("app", "2.0"))
}

// TestVerifyTags: a tag that is answered with the old image for a moment is asked again.
func TestVerifyTags(t *testing.T) {
	p := publishTo(t, destinations["distribution"], "1.0")
	old := string(p.did.Digest)
	p.layers("other")
	written := false
	stale := 1
	p.proxy.Inject(func(r *http.Request) *testenv.Fault {
		if !strings.HasSuffix(r.URL.Path, "/manifests/1.0") {
			return nil
		}
		if written = written || r.Method == http.MethodPut; !written || r.Method != http.MethodHead || stale == 0 {
			return nil
		}
		stale--
		return &testenv.Fault{Status: http.StatusOK, Header: http.Header{
			"Content-Type": {p.did.MediaType}, "Docker-Content-Digest": {old}, "Content-Length": {"500"},
		}}
	})
	req := pushRequest(p.proxy.Host(), "app", "1.0")
	req.Verify = "blobs,tags"
	if _, err := p.push("push.json", req); err != nil {
		t.Fatal(err)
	}
	if stale != 0 || strings.Contains(p.said.String(), string(diag.TagStale)) {
		t.Errorf("%d stale answers left\n%s", stale, p.said)
	}
}

// TestDeferred: nothing is asked and nothing sent; documents and response are as of a push.
func TestDeferred(t *testing.T) {
	p := publishTo(t, destinations["olareg"])
	want := p.did.Digest
	req := pushRequest(p.proxy.Host(), "app")
	req.Defer, req.ManifestPath, req.ConfigPath = true, "manifest.json", "config.json"
	resp, err := p.push("push.json", req)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.proxy.Requests()) != 0 || resp.Digest != want || !p.did.Deferred || p.did.Line() != "" {
		t.Errorf("%+v, %+v\n%s", resp, p.did, p.proxy.Log())
	}
	for _, file := range []string{resp.ManifestPath, resp.ConfigPath, p.store.Path(resp.Digest), p.store.Path(resp.ConfigDigest)} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}
