package check_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks/check"
)

// TestMiss_single: a key's tag that names something else than the build would make, by mistake or by intent.
func TestMiss_single(t *testing.T) {
	for name, start := range server {
		for _, docker := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " docker"}[docker], func(t *testing.T) {
				w := newWorld(t, start(t), docker, amd64, arm64)
				good := w.image("app", "app", amd64)
				w.put("app", "1.0", good)
				w.miss(w.request("linux-x64"), keyTag+" is not there")

				w.put("app", keyTag, w.image("app", "app", arm64))
				w.miss(w.request("linux-x64"), keyTag+" names an image for linux/arm64, and linux-x64 is asked for")
				w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { clear(r) }))
				w.miss(w.request("linux-x64"), "does not record its base")
				w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { r[baseDigest] = w.baseOf(arm64) }))
				w.miss(w.request("linux-x64"), "the base moved")
				w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { r[baseDigest] = w.base.Digest }))
				w.miss(w.request("linux-x64"), "the base moved") // the index's digest is not the image's
				w.put("app", keyTag, w.index("app", good))
				w.miss(w.request("linux-x64"), "names an index of several images")

				w.put("app", keyTag, good)
				other := w.request("linux-x64")
				other.ImageFormat = map[bool]string{true: "OCI", false: "Docker"}[docker]
				w.miss(other, "has the format")
				other = w.request("linux-x64")
				other.CacheKey += "x"
				w.miss(other, keyTag+"x is not there")
				w.hit(w.request("linux-x64"), good, 4)

				w.pushBase("moved", amd64, arm64)
				resp := w.miss(w.request("linux-x64"), "the base moved: the image "+string(good.desc.Digest)+" records ")
				if resp.Tag != keyTag {
					t.Errorf("got the tag %q, want %q also after a miss", resp.Tag, keyTag)
				}
				no := false
				req := w.request("linux-x64")
				req.KeyIncludesBase = &no
				w.hit(req, good, 3)
				w.names("app", "1.0", good)
			})
		}
	}
}

func TestMiss_index(t *testing.T) {
	for _, docker := range []bool{false, true} {
		w := newWorld(t, server["distribution"](t), docker, amd64, arm64)
		x64, arm := w.image("app", "app", amd64), w.image("app", "app", arm64)
		w.put("app", keyTag, w.index("app", x64, arm))
		w.miss(w.request("linux-x64", "linux-arm"), "names an index of linux/amd64, linux/arm64, and linux-arm is asked for")
		w.miss(w.request("linux-x64", "linux-musl-x64"), "one image would serve linux-musl-x64 and another")
		w.miss(w.request("linux-x64", "linux-arm64", "linux-musl-arm64"), "names an index of linux/amd64, linux/arm64, and asked for is")
		w.put("app", keyTag, x64)
		w.miss(w.request("linux-x64", "linux-arm64"), "names a single image, and an index is asked for")
		moved := w.image("app", "app", arm64, func(r map[string]string) { r[baseDigest] = w.baseOf(amd64) })
		w.put("app", keyTag, w.index("app", x64, moved))
		w.miss(w.request("linux-x64", "linux-arm64"), "the base moved: the image "+string(moved.desc.Digest))

		more := w.image("app", "more", amd64)
		more.desc.Platform = &image.Platform{OS: "unknown", Architecture: "unknown"}
		w.put("app", keyTag, w.index("app", x64, arm, more))
		w.miss(w.request("linux-x64", "linux-arm64"), "names an index of linux/amd64, linux/arm64, unknown/unknown, and asked for is linux-x64, linux-arm64 alone")
		none := w.request()
		w.miss(none, "an entry for no .NET platform")

		// the index says arm64 of an image that is for amd64
		lie := w.image("app", "lie", amd64)
		lie.desc.Platform = arm.desc.Platform
		w.put("app", keyTag, w.index("app", x64, lie))
		w.miss(w.request("linux-x64", "linux-arm64"), map[bool]string{true: "and it is for linux/amd64", false: "the base moved"}[docker])

		w.put("app", keyTag, w.index("app", x64, arm))
		w.proxy.Inject(testenv.Times(-1, "GET", "/manifests/"+string(arm.desc.Digest), testenv.Fault{Status: 404}))
		w.miss(w.request("linux-arm64", "linux-x64"), "the image for linux-arm64, "+string(arm.desc.Digest)+", which the index of "+keyTag+" names, is not there")
		w.proxy.Inject(testenv.Times(-1, "GET", "/manifests/"+string(arm.desc.Digest), testenv.Fault{Status: 403}))
		w.miss(w.request("linux-arm64", "linux-x64"), "may not be seen: the registry answers 403")
		w.proxy.Inject(testenv.Times(-1, "GET", "/manifests/"+string(x64.desc.Digest), testenv.Fault{Corrupt: true}))
		w.miss(w.request("linux-arm64", "linux-x64"), "cannot be used")
	}
}

// A child that the registry has lost, and content that it misses when the tag is to be written.
func TestMiss_lost(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithoutCache())
	w := newWorld(t, reg, false, amd64, arm64)
	x64, arm := w.image("app", "x64", amd64), w.image("app", "arm64", arm64)
	w.put("app", keyTag, w.index("app", x64, arm))
	w.remove(string(arm.desc.Digest))
	w.miss(w.request("linux-x64", "linux-arm64"), "is not there")

	single := w.image("app", "single", amd64)
	w.put("app", keyTag, single)
	m, err := image.ParseManifest(single.body, single.mediaType)
	if err != nil {
		t.Fatal(err)
	}
	w.remove(string(m.Layers[0].Digest))
	w.miss(w.request("linux-x64"), "misses content that it names")
	w.remove(string(m.Config.Digest))
	w.miss(w.request("linux-x64"), "the configuration of the image "+string(single.desc.Digest)+" is not there")
}

func TestMiss_keyRepository(t *testing.T) {
	for name, start := range server {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, start(t), false, amd64)
			good, evil := w.image("app", "app", amd64), w.image("app", "evil", amd64)
			w.image("ci/keys", "app", amd64) // the same bytes
			w.put("ci/keys", keyTag, good)
			w.put("app", keyTag, evil) // where anyone may push
			w.put("app", "1.0", good)
			req := w.request("linux-x64")
			req.KeyRepository = "ci/keys"
			w.hit(req, good, 5) // one more: is it in the destination?
			req.KeyRepository = w.proxy.Host() + "/ci/keys"
			w.hit(req, good, 5)
			w.put("ci/keys", keyTag, w.image("ci/keys", "of another project", amd64))
			w.miss(req, "which the key's tag in "+w.proxy.Host()+"/ci/keys names, is not there")
			req.KeyRepository = "ci/none"
			if name == "distribution" { // olareg cannot shut down after questions about a repository that is not there
				w.miss(req, "/ci/none:"+keyTag+" is not there")
			}
		})
	}
}

func TestSecret(t *testing.T) {
	for name, start := range server {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, start(t), false, amd64)
			client := registry.New(registry.Options{})
			write := func(secret string, d doc) {
				t.Helper()
				at := registry.Name{Registry: w.proxy.Host(), Repository: "app"}
				open := func(n registry.Name) cachekey.Repository { return client.Repository(n, registry.ModePush) }
				if err := cachekey.New(open, at, at, secret).Write(t.Context(), keyTag, d.mediaType, d.body); err != nil {
					t.Fatal(err)
				}
			}
			good, evil := w.image("app", "app", amd64), w.image("app", "evil", amd64)
			w.put("app", "1.0", evil)
			req := w.request("linux-x64")
			w.put("app", keyTag, good)
			w.secret = "the secret"
			resp := w.miss(req, "GANTRY_KEY_SECRET is set, and ")
			if resp.Code != string(diag.KeyUnproved) || !strings.Contains(w.log.String(), "GANTRY5006") || strings.Contains(w.log.String(), w.secret) {
				t.Errorf("got %+v and %s", resp, &w.log)
			}
			write("another secret", good)
			w.miss(req, "has no record that proves "+keyTag+" with that secret")
			write("the secret", good)
			records := map[string]int{"distribution": 2, "olareg": 1}[name] // the list of referrers, else its tag as well
			w.hit(req, good, 4+records+1)
			w.hit(req, good, 4+records)
			w.put("app", keyTag, evil) // by somebody without the secret
			w.miss(req, "has no record")
			w.secret = ""
			w.hit(req, evil, 5)
		})
	}
}

// TestOutage: what may pass is neither a hit nor a miss.
func TestOutage(t *testing.T) {
	w := newWorld(t, server["distribution"](t), false, amd64)
	app := w.image("app", "app", amd64)
	w.put("app", keyTag, app)
	w.put("app", "1.0", w.image("app", "old", amd64))
	w.secret = "the secret"
	later := http.Header{"Retry-After": {"86400"}}
	for _, place := range []string{"/app/manifests/" + keyTag, "/dotnet/base/manifests/1", "/app/blobs/", "/app/referrers/", "/app/manifests/sha256-"} {
		for _, fault := range []testenv.Fault{{Status: 503, Header: later}, {Status: 500, Header: later}, {Status: 429, Header: later}} {
			w.proxy.Inject(testenv.Times(-1, "", place, fault))
			resp, err := w.run(w.request("linux-x64"))
			if err == nil || resp != nil || diag.ExitCode(err) != diag.ExitRetryable {
				t.Errorf("%s %d: got %+v, %v, want an error worth a retry", place, fault.Status, resp, err)
			}
		}
	}
	w.secret = ""
	w.proxy.Inject(testenv.Times(-1, "HEAD", "/app/manifests/1.0", testenv.Fault{Status: 503, Header: later}))
	if resp, err := w.run(w.request("linux-x64")); diag.ExitCode(err) != diag.ExitRetryable {
		t.Errorf("got %+v, %v, want an error worth a retry", resp, err)
	}
	// a request that breaks once is sent again
	w.proxy.Inject(testenv.Times(1, "GET", "/app/manifests/"+keyTag, testenv.Fault{Drop: true}))
	w.hit(w.request("linux-x64"), app, 4+1+1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := check.Run(ctx, w.deps(), w.request("linux-x64"))
	if diag.CodeOf(err) != diag.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %s", err, diag.Interrupted)
	}
}

// A tag that may not be seen is written, and the registry's answer counts; one that refuses to move is an error.
func TestTags_refused(t *testing.T) {
	w := newWorld(t, server["distribution"](t), false, amd64)
	app, old := w.image("app", "app", amd64), w.image("app", "old", amd64)
	w.put("app", keyTag, app)
	w.put("app", "1.0", old)
	w.proxy.Inject(testenv.Times(-1, "HEAD", "/manifests/1.0", testenv.Fault{Status: 403}))
	w.hit(w.request("linux-x64"), app, 5)
	if !strings.Contains(w.log.String(), "GANTRY5005: the tag 1.0 may not be seen") {
		t.Errorf("got %s", &w.log)
	}
	w.put("app", "1.0", old)
	w.proxy.Inject(testenv.Times(-1, "PUT", "/manifests/1.0", testenv.Fault{Status: 409}))
	_, err := w.run(w.request("linux-x64"))
	if diag.CodeOf(err) != diag.TagRefused || !strings.Contains(err.Error(), string(app.desc.Digest)) || !strings.Contains(err.Error(), string(old.desc.Digest)) {
		t.Errorf("got %v, want %s with both digests", err, diag.TagRefused)
	}
	w.proxy.Inject(testenv.Times(-1, "PUT", "/manifests/1.0", testenv.Fault{Status: 403}))
	if _, err = w.run(w.request("linux-x64")); diag.CodeOf(err) != diag.RepositoryForbidden {
		t.Errorf("got %v, want %s", err, diag.RepositoryForbidden)
	}
}

// The base has no variant for what is built: as the build would say.
func TestBase_withoutVariant(t *testing.T) {
	w := newWorld(t, server["distribution"](t), false, amd64)
	w.put("app", keyTag, w.image("app", "app", amd64))
	w.pushBase("", arm64)
	_, err := w.run(w.request("linux-x64"))
	if diag.CodeOf(err) != diag.NoImageForRID {
		t.Errorf("got %v, want %s", err, diag.NoImageForRID)
	}
}

func TestValidate(t *testing.T) {
	good := func() *check.Request {
		return &check.Request{Registry: "r.example", Repository: "app", CacheKey: "k", Reference: "base", Tags: []string{"1"}, RuntimeIdentifiers: []string{"linux-x64"}}
	}
	if err := good().Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[diag.Code]func(*check.Request){
		diag.InvalidRegistry:      func(r *check.Request) { r.Registry = "http://x" },
		diag.InvalidRepository:    func(r *check.Request) { r.Repository = "App" },
		diag.InvalidCacheKey:      func(r *check.Request) { r.CacheKey = "a b" },
		diag.InvalidBaseReference: func(r *check.Request) { r.Reference = "a b" },
		diag.InvalidTag:           func(r *check.Request) { r.Tags = []string{".x"} },
		diag.InvalidTags:          func(r *check.Request) { r.Tags, r.PlatformTags = []string{"1", strings.Repeat("x", 120)}, true },
		diag.InvalidImageFormat:   func(r *check.Request) { r.ImageFormat = "tar" },
		diag.InvalidValue:         func(r *check.Request) { r.TagsOnHit = "some" },
	} {
		r := good()
		change(r)
		if err := r.Validate(); diag.CodeOf(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, change := range []func(*check.Request){
		func(r *check.Request) { r.KeyRepository = "Keys" },
		func(r *check.Request) { r.Verify = "all" },
		func(r *check.Request) { r.ResolveBasePath = "x.json" },
		func(r *check.Request) { r.CacheKey = "" },
	} {
		r := good()
		change(r)
		if r.Validate() == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}
