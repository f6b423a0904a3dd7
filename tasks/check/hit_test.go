package check_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/check"
)

func TestHit_single(t *testing.T) {
	for name, start := range server {
		for _, docker := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " docker"}[docker], func(t *testing.T) {
				w := newWorld(t, start(t), docker, amd64, arm64)
				app := w.image("app", "app", arm64)
				old := w.image("app", "old", arm64)
				w.put("app", keyTag, app)
				w.put("app", "1.0", app)
				w.put("app", "latest", old)

				// base, key, configuration, and one question for the tag
				resp := w.hit(w.request("linux-arm64"), app, 4)
				if d := cmp.Diff([]outcome.Tag{{Tag: "1.0", State: outcome.Current}}, w.told[0].Tags); d != "" || w.told[0].Pushed {
					t.Errorf("%+v", w.told)
				}
				want := []check.Image{{
					RuntimeIdentifier: "linux-arm64", Platform: tasks.Platform{OS: "linux", Architecture: "arm64"}, Digest: app.desc.Digest,
					MediaType: app.mediaType, Size: app.desc.Size, BaseDigest: w.baseOf(arm64), ConfigDigest: resp.Platforms[0].ConfigDigest,
				}}
				if d := cmp.Diff(want, resp.Platforms); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}

				req := w.request("linux-arm64")
				req.Tags, req.ManifestPath, req.ConfigPath, req.IndexPath = []string{"latest", "1.0", "new", "latest"}, "m.json", "c.json", "i.json"
				req.TagsOnHit = check.TagsNone
				w.hit(req, app, 3)
				w.names("app", "latest", old)
				req.TagsOnHit = check.TagsMove
				resp = w.hit(req, app, 3+3+2)
				w.names("app", "latest", app)
				w.names("app", "new", app)
				if d := cmp.Diff([]outcome.Tag{
					{Tag: "latest", State: outcome.Moved, Was: old.desc.Digest}, {Tag: "1.0", State: outcome.Current}, {Tag: "new", State: outcome.Written},
				}, w.told[0].Tags); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				if !bytes.Equal(w.file("m.json"), app.body) || w.file("i.json") != nil {
					t.Error("m.json is not the manifest, or there is an index")
				}
				if c, err := image.ParseConfig(w.file("c.json")); err != nil || c.Platform.Architecture != "arm64" {
					t.Errorf("c.json: %v, %v", c, err)
				}
				if len(resp.Outputs) != 2 || len(resp.Tags) != 3 {
					t.Errorf("got %+v", resp)
				}
			})
		}
	}
}

func TestHit_index(t *testing.T) {
	for name, start := range server {
		for _, docker := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " docker"}[docker], func(t *testing.T) {
				w := newWorld(t, start(t), docker, amd64, arm64)
				x64, arm := w.image("app", "app", amd64), w.image("app", "app", arm64)
				index := w.index("app", x64, arm)
				w.put("app", keyTag, index)
				w.put("app", "1.0", index)
				// base, key, two images, the tag; Docker's format records the base in the configurations
				requests := 5
				if docker {
					requests = 7
				}
				w.hit(w.request("linux-arm64", "linux-x64"), index, requests)

				req := w.request("linux-x64", "linux-arm64")
				req.PlatformTags, req.IndexPath, req.ManifestPath, req.ConfigPath = true, "index.json", "manifest.json", "config.json"
				resp := w.hit(req, index, requests+2+2)
				w.names("app", "1.0-linux-x64", x64)
				w.names("app", "1.0-linux-arm64", arm)
				if !bytes.Equal(w.file("index.json"), index.body) || !bytes.Equal(w.file("manifest.linux-x64.json"), x64.body) ||
					!bytes.Equal(w.file("manifest.linux-arm64.json"), arm.body) || w.file("config.json") != nil || resp.ManifestPath != "" {
					t.Errorf("files are not those of the index: %+v", resp)
				}
				// an image with a tag of its own is read by it, so that its tag is no further question
				w.hit(req, index, requests)
				req.TagsOnHit = check.TagsNone
				w.hit(req, index, requests-1)
			})
		}
	}
}

// An index of one image is what a build for a list of one runtime identifier makes.
func TestHit_indexOfOne(t *testing.T) {
	w := newWorld(t, server["olareg"](t), false, amd64)
	app := w.image("app", "app", amd64)
	index := w.index("app", app)
	w.put("app", keyTag, index)
	req := w.request("linux-x64")
	w.miss(req, "names an index of several images, and a single image is asked for")
	yes, no := true, false
	req.Index = &yes
	w.hit(req, index, 4+1) // the tag is new
	w.put("app", keyTag, app)
	w.miss(req, "names a single image, and an index is asked for")
	req.Index = &no
	w.hit(req, app, 4+1)
}

// Without a base and runtime identifiers, what the image says of itself is held against the base as it is now.
func TestHit_nothingAsked(t *testing.T) {
	for _, docker := range []bool{false, true} {
		w := newWorld(t, server["distribution"](t), docker, amd64, arm64)
		index := w.index("app", w.image("app", "app", amd64), w.image("app", "app", arm64))
		req := w.request()
		req.Reference, req.Tags = "", nil
		single := w.image("app", "app", arm64)
		w.put("app", keyTag, single)
		w.hit(req, single, 3)
		w.put("app", keyTag, index)
		w.hit(req, index, map[bool]int{false: 4, true: 6}[docker])
		w.pushBase("moved", amd64, arm64)
		w.miss(req, "the base moved")
		w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { delete(r, baseName) }))
		w.miss(req, "does not name its base, and no base is given")
		w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { r[baseName] = w.proxy.Host() + "/gone:1" }))
		w.miss(req, "/gone:1, which the image names, is not there")
		w.put("app", keyTag, w.image("app", "app", amd64, func(r map[string]string) { r[baseName] = "http://x" }))
		w.miss(req, "names a base that cannot be asked for")
	}
}

// The base's own answers: a single image, one that is pinned, a response of resolve-base, none at all.
func TestHit_bases(t *testing.T) {
	w := newWorld(t, server["distribution"](t), false)
	app := w.image("app", "app", amd64)
	w.put("app", keyTag, app)
	w.put("app", "1.0", app)
	w.hit(w.request("linux-x64"), app, 4)
	req := w.request("linux-x64")
	req.Reference = w.proxy.Host() + "/dotnet/base@" + w.base.Digest
	w.hit(req, app, 4)
	req.Reference, req.ResolveBasePath = "", w.resolved(w.base.Digest, w.base.MediaType)
	w.hit(req, app, 3) // a single image's digest is all that is needed
	req.ResolveBasePath = w.resolved("sha256:"+key+key, w.base.MediaType)
	w.miss(req, "the base moved: ")
	no := false
	req.KeyIncludesBase = &no
	w.hit(req, app, 3)
}

func TestVerify(t *testing.T) {
	reg := server["distribution"](t)
	w := newWorld(t, reg, false, amd64)
	app := w.image("app", "the app's layer", amd64)
	w.put("app", keyTag, app)
	req := w.request("linux-x64")
	req.Verify = "blobs,tags"
	w.hit(req, app, 4+2+2) // a byte of each blob; the tag is written and read back
	m, err := image.ParseManifest(app.body, app.mediaType)
	if err != nil {
		t.Fatal(err)
	}
	w.remove(string(m.Layers[0].Digest))
	w.miss(req, "misses the content of one of its blobs")
	req.Verify = ""
	w.hit(req, app, 4)
}
