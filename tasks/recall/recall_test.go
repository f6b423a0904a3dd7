package recall

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

func debian(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) }

func olareg(t testing.TB) *testenv.Registry { return testenv.StartOlareg(t) }

// TestRun: the whole answer, for both formats, single images and an index of two platforms, with two registries.
func TestRun(t *testing.T) {
	two := []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	for _, tc := range []struct {
		name     string
		registry func(testing.TB) *testenv.Registry
		base     basemaker.TinyOptions
		rid      string
		at       int // which of the images is wanted
		requests int
	}{
		{"oci", debian, basemaker.TinyOptions{}, "linux-x64", 0, 2},
		{"docker", debian, basemaker.TinyOptions{Docker: true}, "linux-x64", 0, 2},
		{"oci in olareg", olareg, basemaker.TinyOptions{}, "linux-x64", 0, 2},
		{"index", debian, basemaker.TinyOptions{Platforms: two}, "linux-arm64", 1, 3},
		{"index of docker in olareg", olareg, basemaker.TinyOptions{Platforms: two, Docker: true}, "linux-x64", 0, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.registry)
			var all []*made
			var images []*basemaker.Image
			for _, b := range tiny(t, tc.base).Images {
				m := makeImage(t, b, b.Platform.Architecture, nil)
				all, images = append(all, m), append(images, m.Image)
			}
			want, top := all[tc.at], images[0].Manifest
			w.put("demo/shop", "1.0", images[0])
			if len(images) > 1 {
				index, err := basemaker.NewIndex(map[bool]string{true: basemaker.DockerList, false: basemaker.OCIIndex}[tc.base.Docker], images)
				if err != nil {
					t.Fatal(err)
				}
				top = index
				if err := w.reg.Target().PushIndex(t.Context(), "demo/shop", "1.0", index, images); err != nil {
					t.Fatal(err)
				}
			}
			w.fresh()
			req := w.request("2.0", "1.0", "3.0")
			req.RuntimeIdentifier = tc.rid
			got := w.recall(req, tc.requests+1) // one for 2.0
			m, err := image.ParseManifest(want.Manifest.Data, want.Manifest.MediaType)
			if err != nil {
				t.Fatal(err)
			}
			base := &tasks.RecalledBase{
				Manifest: want.record.Base.Manifest, Config: want.record.Base.Config, Layers: m.Layers[:len(m.Layers)-2],
				Platform: want.record.Base.Platform, Created: want.record.Base.Created, Format: image.FormatOf(m.MediaType),
			}
			wanted := &tasks.Recalled{
				Build: "b1", Destination: w.proxy.Host() + "/demo/shop",
				Tags:      []tasks.TagAnswer{{Tag: "2.0"}, {Tag: "1.0", Digest: cas.Digest(top.Digest), MediaType: top.MediaType}},
				Reference: w.proxy.Reference("demo/shop", "1.0"), Registry: w.proxy.Host(), Repository: "demo/shop",
				Manifest: &tasks.Descriptor{MediaType: m.MediaType, Digest: cas.Digest(want.Manifest.Digest), Size: want.Manifest.Size},
				Base:     base, ConfigInput: want.record.Config, Config: want.config, Annotations: m.Annotations, Created: "2020-01-01T00:00:00Z",
				Layers: want.own,
			}
			wanted.Outputs = []tasks.Output{
				{Digest: cas.Digest(want.Manifest.Digest), Size: want.Manifest.Size}, {Digest: cas.Digest(want.Config.Digest), Size: want.Config.Size},
			}
			if d := cmp.Diff(wanted, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			var read tasks.Recalled // as the next process does
			if data, err := json.Marshal(got); err != nil || json.Unmarshal(data, &read) != nil || !cmp.Equal(got, &read) {
				t.Errorf("%v; read back (-want +got):\n%s", err, cmp.Diff(got, &read))
			}
			for _, d := range []string{want.Manifest.Digest, want.Config.Digest, top.Digest} {
				if _, err := w.store.ReadAll(cas.Digest(d)); err != nil {
					t.Errorf("%s is not in the store: %v", d, err)
				}
			}
			for _, l := range want.own {
				if h := records.Of(w.store).Holders(w.proxy.Host(), l.Descriptor.Digest); len(h) != 1 || h[0] != "demo/shop" {
					t.Errorf("holders of %s: %v", l.Name, h)
				}
			}
			w.said("!" + string(diag.NoImageToRecall))
		})
	}
}

// TestRun_order: the tags, cacheFrom, latest, the cache tag; each is asked only when none before it has an image of Gantry's.
func TestRun_order(t *testing.T) {
	w := newWorld(t, debian)
	far := newWorld(t, olareg)
	req := w.request("1", "2")
	req.CacheFrom = []string{w.proxy.Reference("demo/other", "main"), far.proxy.Reference("x/y", "main"), w.proxy.Reference("demo/shop", "2")}
	req.CacheTag = "cache"
	if got := w.recall(req, 5); got.Reference != "" || got.Manifest != nil || len(got.Layers) != 0 {
		t.Errorf("got %+v", got)
	}
	if n := far.proxy.Counts().Requests; n != 1 {
		t.Errorf("the other registry was asked %d times", n)
	}
	w.said("GANTRY5008: "+w.proxy.Host()+"/demo/shop has no image", "the tag cache for the next", "!GantryCacheFrom")

	// From the last to the first: each time the one that was put last is found, with one request fewer.
	for i, at := range []struct {
		w               *world
		repository, tag string
	}{{w, "demo/shop", "cache"}, {w, "demo/shop", "latest"}, {far, "x/y", "main"}, {w, "demo/other", "main"}, {w, "demo/shop", "2"}, {w, "demo/shop", "1"}} {
		want := at.w.push(at.repository, at.tag, at.tag+at.repository)
		w.fresh()
		far.fresh()
		got := w.recall(req, -1)
		if got.Reference != at.w.proxy.Reference(at.repository, at.tag) || got.Manifest.Digest != cas.Digest(want.Manifest.Digest) {
			t.Errorf("got %s, want %s/%s", got.Reference, at.repository, at.tag)
		}
		n := w.proxy.Counts().Requests + far.proxy.Counts().Requests
		if n != 7-i {
			t.Errorf("%s: %d requests, want %d:\n%s", got.Reference, n, 7-i, w.proxy.Log())
		}
	}
	var digest string
	far.fresh()
	w.fresh()
	_, digest, _ = far.reg.Manifest("x/y", "main")
	req = w.request()
	req.CacheFrom = []string{far.proxy.Reference("x/y", digest)}
	if got := w.recall(req, 0); got.Repository != "x/y" || len(got.Tags) != 0 {
		t.Errorf("by digest: %+v", got)
	}
}

// TestRun_nothing: what to set is said when nothing is set.
func TestRun_nothing(t *testing.T) {
	w := newWorld(t, debian)
	w.push("demo/poisoned", "1", "x") // a repository that nobody named
	w.fresh()
	w.recall(w.request("1", "latest"), 2)
	w.said("GANTRY5008", "set GantryCacheTag", "GantryCacheFrom")
	if strings.Contains(w.proxy.Log(), "poisoned") {
		t.Errorf("another repository was read:\n%s", w.proxy.Log())
	}
}

// TestRun_passedOver: an image that is not as Gantry made it is passed over, and the next reference is asked. It is an answer about the
// tag all the same.
func TestRun_passedOver(t *testing.T) {
	platforms := []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	onTop := func(t *testing.T, base *basemaker.Image) *basemaker.Image {
		t.Helper()
		c, err := image.AddLayers(base.Config.Data, []image.NewLayer{{DiffID: cas.DigestOf(nil), CreatedBy: "COPY . ."}})
		if err != nil {
			t.Fatal(err)
		}
		top, err := basemaker.NewImage(base.Manifest.MediaType, basemaker.NewBlob(base.Config.MediaType, c),
			append(base.Layers, basemaker.NewBlob(basemaker.OCILayer, []byte("more"))), base.Platform)
		if err != nil {
			t.Fatal(err)
		}
		return top
	}
	for _, tc := range []struct {
		name string
		put  func(*testing.T, *world)
		why  string
	}{
		{"another tool's image", func(t *testing.T, w *world) { w.put("demo/shop", "1", tiny(t, basemaker.TinyOptions{}).Images[0]) }, "without a record"},
		{"built on top of ours", func(t *testing.T, w *world) { w.put("demo/shop", "1", onTop(t, w.push("demo/shop", "0", "x").Image)) }, "without a record"},
		{"the record claims too much", func(t *testing.T, w *world) {
			w.put("demo/shop", "1", makeImage(t, tiny(t, basemaker.TinyOptions{}).Images[0], "x", func(r *image.ImageRecord) { r.Layers = 6 }).Image)
		}, "claims 6"},
		{"without annotations", func(t *testing.T, w *world) { // as tools do that write the manifest anew
			m := w.push("demo/shop", "0", "x")
			top, err := basemaker.NewImage(m.Manifest.MediaType, m.Config, m.Layers, m.Platform)
			if err != nil {
				t.Fatal(err)
			}
			w.put("demo/shop", "1", top)
		}, "another tool has changed it"},
		{"an index without the platform", func(t *testing.T, w *world) {
			testenv.PushTinyBase(t, w.reg, "demo/shop", "1", basemaker.TinyOptions{Platforms: platforms[1:], Index: true})
		}, "linux-arm64"},
		{"the configuration is gone", func(t *testing.T, w *world) {
			config := w.push("demo/shop", "1", "x").Config.Digest
			w.proxy.Inject(func(r *http.Request) *testenv.Fault {
				if strings.HasSuffix(r.URL.Path, config) {
					return &testenv.Fault{Status: http.StatusNotFound}
				}
				return nil
			})
		}, "404"},
		{"the configuration is damaged", func(t *testing.T, w *world) {
			config := w.push("demo/shop", "1", "x").Config.Digest
			w.proxy.Inject(func(r *http.Request) *testenv.Fault {
				if strings.HasSuffix(r.URL.Path, config) {
					return &testenv.Fault{Corrupt: true}
				}
				return nil
			})
		}, "passed over"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, debian)
			tc.put(t, w)
			last := w.push("demo/shop", "latest", "last")
			w.fresh()
			got := w.recall(w.request("1"), -1)
			if got.Reference != w.proxy.Reference("demo/shop", "latest") || got.Manifest.Digest != cas.Digest(last.Manifest.Digest) {
				t.Errorf("got %q", got.Reference)
			}
			if _, digest, _ := w.reg.Manifest("demo/shop", "1"); len(got.Tags) != 1 || got.Tags[0].Digest != cas.Digest(digest) {
				t.Errorf("tags: %+v", got.Tags)
			}
			w.said("passed over", tc.why)
		})
	}
	t.Run("nothing else is there", func(t *testing.T) {
		w := newWorld(t, debian)
		w.put("demo/shop", "1", tiny(t, basemaker.TinyOptions{}).Images[0])
		w.fresh()
		w.recall(w.request("1"), 3)
		w.said("GANTRY5008: no image was found that this version of Gantry made")
	})
}

// TestRun_trouble: what a registry refuses is passed over with a message, an outage ends the search; neither is an error, and nothing is
// claimed of a tag that was not answered.
func TestRun_trouble(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  testenv.Fault
		at     string
		found  string // repository
		tags   int
		said   []string
		wanted int // requests; -1 for any
	}{
		{"forbidden", testenv.Fault{Status: 403}, "demo/shop/", "demo/other", 0, []string{"is not looked at", "403", "!GANTRY5008"}, 3},
		{"unauthorized", testenv.Fault{Status: 401}, "demo/shop/", "demo/other", 0, []string{"is not looked at", "!GANTRY5008"}, -1},
		{"one reference refused", testenv.Fault{Status: 400}, "manifests/1", "demo/shop", 1, []string{"is not looked at"}, -1},
		{"not implemented", testenv.Fault{Status: 501}, "demo/shop/", "", 0, []string{"no earlier image is looked for any further", "!GANTRY5008"}, -1},
		{"server error", testenv.Fault{Status: 500}, "demo/shop/", "", 0, []string{"no earlier image is looked for any further", "500", "!GANTRY5008"}, -1},
		{"connection cut", testenv.Fault{Drop: true}, "demo/shop/", "", 0, []string{"no earlier image is looked for any further", "!GANTRY5008"}, -1},
		{"configuration cannot be read now", testenv.Fault{Status: 503}, "/blobs/", "", 1, []string{"no earlier image is looked for any further"}, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, debian)
			w.push("demo/shop", "1", "a")
			w.push("demo/shop", "2", "b")
			w.push("demo/other", "main", "c")
			w.fresh()
			w.proxy.Inject(func(r *http.Request) *testenv.Fault {
				if strings.Contains(r.URL.Path, tc.at) {
					f := tc.fault
					return &f
				}
				return nil
			})
			req := w.request("1", "2")
			req.CacheFrom = []string{w.proxy.Reference("demo/other", "main")}
			got := w.recall(req, tc.wanted)
			if got.Repository != tc.found || len(got.Tags) != tc.tags || tc.found == "" && (got.Manifest != nil || len(got.Layers) > 0) {
				t.Errorf("got %+v", got)
			}
			w.said(tc.said...)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		w := newWorld(t, debian)
		req := w.request("1", "2")
		req.Registry = w.reg.Host()
		w.reg.Stop()
		if got := w.recall(req, 0); got.Reference != "" || len(got.Tags) != 0 {
			t.Errorf("got %+v", got)
		}
		w.said("no earlier image is looked for any further")
	})
	t.Run("the user stops", func(t *testing.T) {
		w := newWorld(t, debian)
		var stop context.CancelFunc
		w.ctx, stop = context.WithCancel(t.Context())
		w.proxy.Inject(func(*http.Request) *testenv.Fault {
			stop()
			return &testenv.Fault{Status: 503}
		})
		if _, err := w.run(w.request("1")); !errors.Is(err, context.Canceled) && diag.CodeOf(err) != diag.Interrupted {
			t.Errorf("got %v", err)
		}
	})
}

// TestRun_otherFormat: in an image of another format than its base the layers of the base may have other types than in the base's own
// manifest, so that only Gantry's layers and the configuration count.
func TestRun_otherFormat(t *testing.T) {
	w := newWorld(t, debian)
	m := makeImage(t, tiny(t, basemaker.TinyOptions{}).Images[0], "x", func(r *image.ImageRecord) { r.Base.Manifest.MediaType = image.DockerManifest })
	w.put("demo/shop", "1", m.Image)
	w.fresh()
	got := w.recall(w.request("1"), 2)
	if got.Base != nil || len(got.Layers) != 2 || got.ConfigInput != m.record.Config {
		t.Errorf("got %+v", got)
	}
}

func TestRequest_Validate(t *testing.T) {
	good := func() Request {
		return Request{Registry: "r.example", Repository: "a", Tags: []string{"1"}, RuntimeIdentifier: "linux-x64", CacheFrom: []string{"localhost/a:b", "docker.io/x/y"}}
	}
	for _, tc := range []struct {
		name   string
		change func(*Request)
		code   diag.Code
	}{
		{"good", func(*Request) {}, ""},
		{"registry", func(r *Request) { r.Registry = "https://x" }, diag.InvalidRegistry},
		{"repository", func(r *Request) { r.Repository = "A" }, diag.InvalidRepository},
		{"tag", func(r *Request) { r.Tags = []string{"-"} }, diag.InvalidTag},
		{"cache tag", func(r *Request) { r.CacheTag = "a b" }, diag.InvalidTag},
		{"runtime identifier", func(r *Request) { r.RuntimeIdentifier = "" }, diag.InvalidValue},
		{"cacheFrom without a registry", func(r *Request) { r.CacheFrom = []string{"team/shop:main"} }, diag.InvalidBaseReference},
		{"cacheFrom", func(r *Request) { r.CacheFrom = []string{"r.example/A:1"} }, diag.InvalidBaseReference},
	} {
		r := good()
		tc.change(&r)
		if err := r.Validate(); (err != nil) != (tc.code != "") || err != nil && diag.CodeOf(err) != tc.code {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.code)
		}
	}
}

// TestRun_graph: a graph that cannot be read is an error, as in select-base.
func TestRun_graph(t *testing.T) {
	w := newWorld(t, debian)
	req := w.request("1")
	req.RidGraphPath = "missing.json"
	if _, err := w.run(req); diag.CodeOf(err) != diag.InvalidValue {
		t.Errorf("got %v", err)
	}
}
