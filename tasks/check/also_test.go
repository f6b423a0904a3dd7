package check_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks/check"
)

// TestAlso: a hit leaves no destination without the image: one that lacks it gets it from the first, and its tags. When all have it, each
// costs one request for each tag.
func TestAlso(t *testing.T) {
	for name, build := range map[string]func(w *world) (doc, []string){
		"image": func(w *world) (doc, []string) { return w.image("app", "amd64", amd64), []string{"linux-x64"} },
		"index": func(w *world) (doc, []string) {
			return w.index("app", w.image("app", "amd64", amd64), w.image("app", "arm64", arm64)), []string{"linux-x64", "linux-arm64"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testenv.StartRegistry(t), false, amd64, arm64)
			other := testenv.StartProxy(t, testenv.StartOlareg(t))
			app, rids := build(w)
			w.put("app", keyTag, app)
			req := w.request(rids...)
			req.PlatformTags = len(rids) > 1
			req.AlsoPushTo = []string{w.proxy.Host() + "/mirror", other.Host() + "/copy", other.Host() + "/third", w.proxy.Host() + "/app"}
			resp, err := w.run(req)
			if err != nil || !resp.Hit {
				t.Fatalf("%+v, %v", resp, err)
			}
			tags := 1
			if req.PlatformTags {
				tags = 3
			}
			for repository, reg := range map[string]*testenv.Registry{"mirror": w.reg, "copy": other.Registry(), "third": other.Registry()} {
				if _, digest, _ := reg.Manifest(repository, "1.0"); digest != string(app.desc.Digest) || len(reg.Tags(repository)) != tags {
					t.Errorf("%s has %s and the tags %v", repository, digest, reg.Tags(repository))
				}
			}
			var pushed []string
			for _, r := range w.told[0].Each() {
				if r.Pushed {
					pushed = append(pushed, r.Repository+": "+strings.ReplaceAll(r.Blobs.String(), "2 blobs", "N blobs"))
				}
			}
			mounted, uploaded := "no blob uploaded, 2 mounted", "N blobs uploaded"
			if len(rids) > 1 {
				mounted, uploaded = "no blob uploaded, 4 mounted", "4 blobs uploaded"
			}
			if len(pushed) != 3 || !strings.HasPrefix(pushed[0], "mirror: "+mounted) || !strings.HasPrefix(pushed[1], "copy: "+uploaded) ||
				!strings.HasPrefix(pushed[2], "third: "+mounted) {
				t.Errorf("taken over: %q", pushed)
			}

			other.Reset()
			if resp, err = w.run(req); err != nil || !resp.Hit {
				t.Fatalf("%+v, %v", resp, err)
			}
			for _, r := range w.told[0].Each() {
				if r.Pushed {
					t.Errorf("again: %+v", r)
				}
			}
			for _, r := range append(other.Requests(), w.proxy.Requests()...) {
				if r.Method != http.MethodHead && r.Method != http.MethodGet {
					t.Errorf("again: %s", r)
				}
			}
			if n := len(other.Requests()); n != 2*tags {
				t.Errorf("again: %d requests for two destinations of %d tags", n, tags)
			}
		})
	}
}

// TestAlso_leavesTags: without tags to move the image is there by its digest.
func TestAlso_leavesTags(t *testing.T) {
	w := newWorld(t, testenv.StartRegistry(t), false)
	app := w.image("app", "amd64", amd64)
	w.put("app", keyTag, app)
	req := w.request()
	req.TagsOnHit, req.AlsoPushTo = check.TagsNone, []string{w.proxy.Host() + "/mirror"}
	if resp, err := w.run(req); err != nil || !resp.Hit {
		t.Fatalf("%+v, %v", resp, err)
	}
	w.reg.Manifest("mirror", string(app.desc.Digest)) // fails when it is not there
	if tags := w.reg.Tags("mirror"); len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
}

// TestAlso_fails: a destination that cannot get the image is an error and no hit that leaves it behind; the others have it. What the first
// turns out to lack is a miss: the build pushes to all.
func TestAlso_fails(t *testing.T) {
	w := newWorld(t, testenv.StartRegistry(t, testenv.WithoutCache()), false)
	other := testenv.StartProxy(t, testenv.StartOlareg(t))
	app := w.image("app", "amd64", amd64)
	w.put("app", keyTag, app)
	req := w.request()
	req.AlsoPushTo = []string{other.Host() + "/copy", w.proxy.Host() + "/mirror"}
	other.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodHead {
			return nil
		}
		return &testenv.Fault{Status: http.StatusForbidden}
	})
	_, err := w.run(req)
	if diag.CodeOf(err) != diag.AlsoPushFailed || !strings.Contains(err.Error(), "one of 3 destinations did not get the image: "+other.Host()+"/copy (") {
		t.Errorf("%v", err)
	}
	w.names("app", "1.0", app)
	w.names("mirror", "1.0", app)
	if told := w.told[0].Each(); told[0].Error != nil || told[1].Error == nil || told[2].Error != nil {
		t.Errorf("%+v", told)
	}
	if w.file("check.json") != nil {
		t.Error("an answer was written")
	}

	other.Inject(nil)
	w.remove(string(must(image.ParseManifest(app.body, app.mediaType)).Layers[0].Digest))
	resp, err := w.run(req)
	if err != nil || resp.Hit || !strings.Contains(resp.Reason, "cannot be taken over for another destination") {
		t.Errorf("%+v, %v", resp, err)
	}
	if tags := other.Registry().Tags("copy"); len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
}

// TestAlso_invalid: a name that cannot be meant is told before anything is asked.
func TestAlso_invalid(t *testing.T) {
	req := &check.Request{Registry: "r.example", Repository: "app", CacheKey: key, AlsoPushTo: []string{"team/shop", "r.example/Shop"}}
	err := req.Validate()
	if err == nil || !strings.Contains(err.Error(), "names no registry") || !strings.Contains(err.Error(), "Shop") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(diag.InvalidValue, diag.CodeOf(err)); diff != "" {
		t.Error(diff)
	}
}
