package save_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// told notes what is reported.
func (b *build) told() *outcome.Saved {
	out := &outcome.Saved{}
	b.env.Saved = func(did outcome.Saved) error {
		*out = did
		return nil
	}
	return out
}

// TestAlso: an image that is saved gets into registries too, the layers of its base mounted where they are; when all is there one question
// each is asked, and nothing is fetched.
func TestAlso(t *testing.T) {
	for name, rids := range map[string][]string{"image": {"linux-x64"}, "index": {"linux-x64", "linux-arm64"}} {
		t.Run(name, func(t *testing.T) {
			b := newBuild(t, basemaker.TinyOptions{Layers: 2, Platforms: []basemaker.Platform{
				{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"},
			}})
			other := testenv.StartProxy(t, testenv.StartOlareg(t))
			req := b.saveRequest(rids...)
			req["destination"], req["archivePath"] = "archive", "a.tar"
			req["alsoPushTo"] = []string{other.Host() + "/copy", b.proxy.Host() + "/shop", other.Host() + "/copy"}
			did := b.told()
			resp := b.run("save", "", req)
			if !did.Written || len(did.AlsoPushed) != 2 || !did.AlsoPushed[0].Pushed || did.AlsoPushed[1].Blobs.Mounted.Count != 2*len(rids) {
				t.Errorf("%+v", did)
			}
			for repository, reg := range map[string]*testenv.Registry{"copy": other.Registry(), "shop": b.proxy.Registry()} {
				for _, tag := range []string{"1.0", "latest"} {
					if _, digest, _ := reg.Manifest(repository, tag); digest != resp["digest"] {
						t.Errorf("%s:%s is %s, want %s", repository, tag, digest, resp["digest"])
					}
				}
			}
			b.again("empty")
			did = b.told()
			req = b.saveRequest(rids...)
			req["destination"], req["archivePath"] = "archive", "a.tar"
			req["alsoPushTo"] = []string{other.Host() + "/copy", b.proxy.Host() + "/shop"}
			b.proxy.Reset()
			other.Reset()
			b.run("save", "", req)
			want := 2 // a tag each, and the images of an index
			if len(rids) > 1 {
				want += len(rids)
			}
			if n := len(other.Requests()); n != want || len(b.proxy.Requests()) != want || did.Written || did.AlsoPushed[0].Pushed || did.AlsoPushed[1].Pushed {
				t.Errorf("again: %d requests, %+v\n%s", n, did, b.proxy.Log())
			}
		})
	}
}

// saveRequest prepares the platforms and returns the request that saves their image.
func (b *build) saveRequest(rids ...string) object {
	b.t.Helper()
	if len(rids) == 1 {
		b.prepare(rids[0])
		return parts(rids[0], object{})
	}
	var paths []string
	for _, rid := range rids {
		b.prepare(rid)
		b.run("save", rid, parts(rid, object{"defer": true, "tags": []string{}}))
		paths = append(paths, "save"+rid+".request.json")
	}
	return object{"platformRequestPaths": paths, "repository": "team/shop", "tags": []string{"1.0", "latest"}}
}

// TestAlso_fails: a registry that refuses keeps no archive from being written, and an archive that cannot be written no registry from
// getting the image; both are told.
func TestAlso_fails(t *testing.T) {
	b := newBuild(t, basemaker.TinyOptions{Layers: 1})
	other := testenv.StartProxy(t, testenv.StartOlareg(t))
	b.write("file", "no folder")
	refuse := func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodHead {
			return nil
		}
		return &testenv.Fault{Status: http.StatusForbidden}
	}
	for _, tc := range []struct {
		archive  string
		refuses  bool
		code     diag.Code
		says     string
		has, got bool
	}{
		{"a.tar", true, diag.AlsoPushFailed, "/copy (CONTAINER", true, false},
		{"file/b.tar", true, diag.AlsoPushFailed, "the image was not saved (GANTRY", false, false},
		{"file/b.tar", false, diag.ArchiveUnwritable, "cannot be written", false, true},
	} {
		other.Inject(nil)
		if tc.refuses {
			other.Inject(refuse)
		}
		did := b.told()
		req := b.saveRequest("linux-x64")
		req["destination"], req["archivePath"], req["alsoPushTo"] = "archive", tc.archive, []string{other.Host() + "/copy"}
		_, err := b.try("save", "", req)
		if diag.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v; want %s with %q", tc.archive, err, tc.code, tc.says)
		}
		if _, err := os.Stat(tc.archive); (err == nil) != tc.has || (did.Error == nil) != tc.has {
			t.Errorf("%s: %v, %+v", tc.archive, err, did)
		}
		if tags := other.Registry().Tags("copy"); (len(tags) == 2) != tc.got || (did.AlsoPushed[0].Error == nil) != tc.got {
			t.Errorf("%s: tags %v, %+v", tc.archive, tags, did.AlsoPushed)
		}
	}
	_, err := b.try("save", "", parts("linux-x64", object{"destination": "archive", "archivePath": "c.tar", "alsoPushTo": []string{"team/shop"}}))
	if diag.CodeOf(err) != diag.InvalidValue || !strings.Contains(err.Error(), "names no registry") {
		t.Errorf("%v", err)
	}
}
