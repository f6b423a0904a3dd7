package push_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
)

// remake is create-layers for the runtime and app layers; made counts.
func (p *pipeline) remake(made *int) func(context.Context, string) error {
	return func(context.Context, string) error {
		*made++
		p.layers(runtimeLayer, "app")
		return nil
	}
}

// recall writes a response of recall about an image that was pushed to host/repository, by the build "this build".
func (p *pipeline) recall(host, repository, destination string, tags ...tasks.TagAnswer) {
	p.t.Helper()
	doc := &tasks.Recalled{
		Build: "this build", Destination: destination, Tags: tags, Reference: host + "/" + repository + ":1", Registry: host, Repository: repository,
		Manifest: &tasks.Descriptor{MediaType: p.did.MediaType, Digest: p.did.Digest}, Layers: p.layers(runtimeLayer, "app"),
	}
	p.save("recall", "recall.json", doc)
}

// drop takes the layers out of the content store.
func (p *pipeline) drop() {
	p.t.Helper()
	for _, l := range p.layers(runtimeLayer, "app") {
		if err := os.Remove(p.store.Path(l.Descriptor.Digest)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// TestRecalled_tags: what recall asked in this build is not asked again; in another build, of another repository, and when everything is
// to be sent it counts for nothing.
func TestRecalled_tags(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1")); err != nil {
		t.Fatal(err)
	}
	image := p.did
	dst := proxy.Host() + "/app"
	answer := tasks.TagAnswer{Tag: "1", Digest: image.Digest, MediaType: image.MediaType}
	for name, tc := range map[string]struct {
		build, destination string
		answer             tasks.TagAnswer
		force              bool
		heads              int
	}{
		"same build":         {"this build", dst, answer, false, 0},
		"other build":        {"other", dst, answer, false, 1},
		"no build":           {"", dst, answer, false, 1},
		"other repository":   {"this build", proxy.Host() + "/other", answer, false, 1},
		"not said":           {"this build", "", answer, false, 1},
		"other tag":          {"this build", dst, tasks.TagAnswer{Tag: "2", Digest: image.Digest, MediaType: image.MediaType}, false, 1},
		"other media type":   {"this build", dst, tasks.TagAnswer{Tag: "1", Digest: image.Digest, MediaType: "application/x"}, false, 1},
		"everything is sent": {"this build", dst, answer, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p.recall(proxy.Host(), "app", tc.destination, tc.answer)
			testenv.Edit(t, "recall.json", `"build": "this build"`, `"build": "`+tc.build+`"`)
			req := pushRequest(proxy.Host(), "app", "1")
			req.RecallPath, req.ForcePush = "recall.json", tc.force
			proxy.Reset()
			n := 0
			did, err := p.pushLost(req, &n)
			if err != nil {
				t.Fatal(err)
			}
			got := kinds(proxy)
			if got["HEAD manifest"] != tc.heads || did.Pushed != tc.force || !tc.force && name != "other media type" && len(got) > 1 {
				t.Errorf("%v, %+v", got, did)
			}
			delete(got, "HEAD manifest")
		})
	}
	if err := os.Remove("recall.json"); err != nil {
		t.Fatal(err)
	}
	req := pushRequest(proxy.Host(), "app", "1")
	req.RecallPath = "recall.json" // nothing was asked yet
	if _, err := p.push("push.json", req); err != nil || p.did.Pushed {
		t.Errorf("%v, %+v", err, p.did)
	}
	if err := os.WriteFile("recall.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.push("push.json", req); err != nil || p.did.Pushed {
		t.Errorf("%v, %+v", err, p.did)
	}
}

// TestRecalled_layers: layers that only a registry has come to the destination without a copy in the store: by what the old image says,
// by a mount, or as a stream; only when none of these does are they made again. Tags stay where they are when nothing does.
func TestRecalled_layers(t *testing.T) {
	type state struct {
		uploaded, mounted, existing, made int
	}
	for name, tc := range map[string]struct {
		from string // repository of the recalled image; "other" is one of another registry
		to   string
		tag  string
		harm func(p *pipeline, from *testenv.Proxy)
		want state
	}{
		// base 3 layers, runtime, app, configuration
		"old image":             {"app", "app", "1", nil, state{1, 0, 5, 0}},
		"same repository":       {"app", "app", "2", nil, state{1, 0, 5, 0}},
		"sibling":               {"first", "app", "1", nil, state{1, 5, 0, 0}},
		"sibling without mount": {"first", "app", "1", noMounts, state{6, 0, 0, 0}},
		"sibling gone":          {"first", "app", "1", noMountsNoBlobs, state{6, 0, 0, 1}},
		"other registry":        {"other", "app", "1", nil, state{3, 3, 0, 0}},
		"other registry breaks": {"other", "app", "1", cutBlobs, state{3, 3, 0, 1}},
		"other registry lies":   {"other", "app", "1", otherBlobs, state{3, 3, 0, 1}},
		"other registry gone":   {"other", "app", "1", func(_ *pipeline, from *testenv.Proxy) { from.Registry().Stop() }, state{3, 3, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p, proxy := solution(t, testenv.StartRegistry(t))
			from, repository := proxy, tc.from
			if tc.from == "other" {
				from = testenv.StartProxy(t, testenv.StartRegistry(t))
			}
			if _, err := p.push("push.json", pushRequest(from.Host(), repository, "1")); err != nil {
				t.Fatal(err)
			}
			p.again(true) // a fresh machine: it has nothing but what recall reads
			if _, err := p.resolve(proxy.Host() + "/base:1"); err != nil {
				t.Fatal(err)
			}
			if _, err := p.selectBase("linux-x64", ""); err != nil {
				t.Fatal(err)
			}
			c := config()
			c.UserLabels = []tasks.NameValue{{Name: "changed", Value: "yes"}}
			p.config(c)
			_, _, body := from.Registry().Manifest(repository, "1")
			if _, err := p.store.PutBytes(body); err != nil {
				t.Fatal(err)
			}
			p.recall(from.Host(), repository, proxy.Host()+"/app")
			p.drop()
			if tc.harm != nil {
				tc.harm(p, from)
			}
			req := pushRequest(proxy.Host(), tc.to, tc.tag)
			req.RecallPath = "recall.json"
			made := 0
			did, err := p.pushLost(req, &made)
			if err != nil {
				t.Fatal(err)
			}
			b := did.Blobs
			if made > 0 { // the first attempt may have sent some
				b.Uploaded.Count, b.Existing.Count = b.Uploaded.Count+b.Existing.Count, 0
			}
			if d := cmp.Diff(tc.want, state{b.Uploaded.Count, b.Mounted.Count, b.Existing.Count, min(made, 1)}, cmp.AllowUnexported(state{})); d != "" {
				t.Errorf("%s\n%s", d, p.said)
			}
			checkImage(t, proxy.Registry().Reference(tc.to, tc.tag))
			if tc.want.made == 0 {
				for _, l := range []string{runtimeLayer, "app"} {
					_, gz := tarGzip(t, strings.Split(l, ":")[0], map[bool]int{true: 2000000}[l == runtimeLayer])
					if _, err := p.store.Size(cas.DigestOf(gz)); err == nil {
						t.Errorf("the store has the layer %s", l)
					}
				}
			}
		})
	}
}

func noMounts(_ *pipeline, from *testenv.Proxy) {
	from.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodPost && r.URL.Query().Has("mount") {
			return &testenv.Fault{Status: http.StatusForbidden}
		}
		return nil
	})
}

func noMountsNoBlobs(_ *pipeline, from *testenv.Proxy) {
	from.Inject(func(r *http.Request) *testenv.Fault {
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("mount"):
			return &testenv.Fault{Status: http.StatusForbidden}
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v2/first/blobs/"):
			return &testenv.Fault{Status: http.StatusNotFound}
		}
		return nil
	})
}

// cutBlobs breaks every download off, until nobody tries again.
func cutBlobs(_ *pipeline, from *testenv.Proxy) {
	from.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			if r.Header.Get("Range") != "" {
				return &testenv.Fault{Status: http.StatusNotFound}
			}
			return &testenv.Fault{CutDownload: 100}
		}
		return nil
	})
}

func otherBlobs(_ *pipeline, from *testenv.Proxy) {
	from.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			return &testenv.Fault{Corrupt: true}
		}
		return nil
	})
}

// TestRecalled_nowhere: a layer that nobody has any more is an error, and the tag stays as it was.
func TestRecalled_nowhere(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1")); err != nil {
		t.Fatal(err)
	}
	_, old, _ := proxy.Registry().Manifest("app", "1")
	p.recall(proxy.Host(), "nowhere", proxy.Host()+"/app")
	p.layers(runtimeLayer, "app", "new")
	for _, l := range p.layers(runtimeLayer, "app", "new") {
		if err := os.Remove(p.store.Path(l.Descriptor.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	req := pushRequest(proxy.Host(), "app", "1")
	req.RecallPath = "recall.json"
	_, err := p.push("push.json", req)
	if diag.CodeOf(err) != diag.BlobMissing {
		t.Errorf("got %v, want %s", err, diag.BlobMissing)
	}
	if _, now, _ := proxy.Registry().Manifest("app", "1"); now != old {
		t.Errorf("the tag names %s, was %s", now, old)
	}
}
