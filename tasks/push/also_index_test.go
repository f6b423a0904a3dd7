package push_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks/pushindex"
)

// alsoIndex is a build for two platforms whose index goes to three repositories of two registries. Deferred requests have tags.
func alsoIndex(t *testing.T, deferred bool) (*platforms, *testenv.Proxy, *pushindex.Request) {
	t.Helper()
	p := twoPlatforms(t, destinations["distribution"])
	second := testenv.StartProxy(t, testenv.StartOlareg(t))
	var req *pushindex.Request
	if _, err := p.publish(!deferred, func(index *pushindex.Request) { req = index }); err != nil {
		t.Fatal(err)
	}
	if deferred { // with the tags that a publish gives them
		for i, path := range req.PushRequestPaths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rid := []string{"linux-x64", "linux-arm64"}[i]
			changed := strings.Replace(string(text), `"tags": null`, `"tags": ["1.0-`+rid+`"]`, 1)
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil || changed == string(text) {
				t.Fatalf("%v: %s", err, text)
			}
		}
	} else {
		req.PushRequestPaths = nil
	}
	req.RequestHeader = header("push-index")
	req.AlsoPushTo = []string{second.Host() + "/copy", p.proxy.Host() + "/mirror"}
	return p, second, req
}

// TestIndex_also: the index and its images get everywhere, by their requests or, without those, from the first destination; when all is
// there each destination costs one request for each tag.
func TestIndex_also(t *testing.T) {
	for name, deferred := range map[string]bool{"by requests": true, "taken over": false} {
		t.Run(name, func(t *testing.T) {
			p, second, req := alsoIndex(t, deferred)
			p.exec("push-index", "index", req)
			_, want, _ := p.reg.Manifest("app", "1.0")
			tags := []string{"1.0"}
			if deferred {
				tags = []string{"1.0", "1.0-linux-arm64", "1.0-linux-x64"}
			}
			for repository, reg := range map[string]*testenv.Registry{"copy": second.Registry(), "mirror": p.reg} {
				if _, digest, _ := reg.Manifest(repository, "1.0"); digest != want {
					t.Errorf("%s has %s, want %s", repository, digest, want)
				}
				if diff := cmp.Diff(tags, reg.Tags(repository)); diff != "" {
					t.Errorf("tags of %s (-want +got):\n%s", repository, diff)
				}
				for _, platform := range p.did.AlsoPushed[0].Platforms {
					checkImage(t, reg.Reference(repository, string(platform.Digest)))
				}
			}
			if b := p.did.AlsoPushed[1].Blobs; b.Uploaded.Count != 0 || b.Mounted.Count == 0 || len(p.did.AlsoPushed[0].Platforms) != 2 {
				t.Errorf("%+v\n%s", p.did.AlsoPushed[1], p.proxy.Log())
			}
			p.again(false)
			p.proxy.Reset()
			second.Reset()
			p.exec("push-index", "index", req)
			got := []map[string]int{kinds(p.proxy), kinds(second)}
			if diff := cmp.Diff([]map[string]int{{"HEAD manifest": 2 * len(tags)}, {"HEAD manifest": len(tags)}}, got); diff != "" {
				t.Errorf("requests when all is there (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIndex_alsoFails: the index gets where it can; a destination that fails has no tag, and is named.
func TestIndex_alsoFails(t *testing.T) {
	p, second, req := alsoIndex(t, true)
	p.client = registry.New(registry.Options{Limits: registry.Limits{Attempts: 1}})
	second.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") {
			return &testenv.Fault{Status: http.StatusForbidden}
		}
		return nil
	})
	if err := os.WriteFile("index.request.json", encode(t, req), 0o600); err != nil {
		t.Fatal(err)
	}
	err := p.tryExec("push-index", "index")
	if diag.CodeOf(err) != diag.AlsoPushFailed || !strings.Contains(err.Error(), "one of 3 destinations did not get the image: "+second.Host()+"/copy (") {
		t.Errorf("%v", err)
	}
	if tags := second.Registry().Tags("copy"); len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
	if len(p.reg.Tags("mirror")) != 3 || p.did.AlsoPushed[0].Error == nil || p.did.AlsoPushed[1].Error != nil {
		t.Errorf("%v, %+v", p.reg.Tags("mirror"), p.did)
	}
	if _, err := os.Stat("index.json"); err == nil {
		t.Error("a response was written")
	}
}
