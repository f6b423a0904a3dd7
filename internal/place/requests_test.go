package place

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestCopy_requests: an index that is there costs one question about it at the source and at the destination, and there one about each of
// its images; a tag that moves costs one more and its write, and no image is read for it.
func TestCopy_requests(t *testing.T) {
	from, to := testenv.StartOlareg(t), testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, from, "shop", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms})
	src, dst := testenv.StartProxy(t, from), testenv.StartProxy(t, to)
	c := newCopier(t)
	place := src.Host() + "/shop:1"
	first := c.copy(place, dst.Host()+"/shop:1", Options{})
	if first.Pushed.Blobs.Uploaded.Count != 6 || string(first.Digest) != base.Digest {
		t.Errorf("first: %s", line(first))
	}
	for name, tc := range map[string]struct {
		to       string
		tags     []string
		src, dst int
		pushed   int // PUT of tags
	}{
		"again":        {dst.Host() + "/shop:1", nil, 1, 3, 0},
		"same tag":     {dst.Host() + "/shop:1", []string{"1", "1"}, 1, 3, 0},
		"another tag":  {dst.Host() + "/shop:1", []string{"2"}, 1, 5, 1},
		"by digest":    {dst.Host() + "/shop@" + base.Digest, nil, 1, 3, 0},
		"tag, digest":  {dst.Host() + "/shop:3@" + base.Digest, nil, 1, 5, 1},
		"both present": {dst.Host() + "/shop:1@" + base.Digest, nil, 1, 3, 0},
	} {
		src.Reset()
		dst.Reset()
		r := c.copy(place, tc.to, Options{Tags: tc.tags})
		puts := 0
		for _, q := range dst.Requests() {
			if q.Method == http.MethodPut {
				puts++
			}
		}
		if r.Pushed.Pushed || len(src.Requests()) != tc.src || len(dst.Requests()) != tc.dst || puts != tc.pushed {
			t.Errorf("%s: %s: %d requests to the source, %d to the destination, %d of them writes", name, line(r), len(src.Requests()), len(dst.Requests()), puts)
		}
	}
	if _, digest, _ := to.Manifest("shop", "3"); digest != base.Digest {
		t.Errorf("the tag beside the digest names %q", digest)
	}
}

// TestCopy_childLost: an index is not whole when an image of it was deleted; that one is sent again, and the next copy sends nothing.
func TestCopy_childLost(t *testing.T) {
	from, to := testenv.StartRegistry(t), testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, from, "shop", "1", basemaker.TinyOptions{Layers: 1, Platforms: twoPlatforms})
	c := newCopier(t)
	c.copy(base.Reference, to.Host()+"/shop:1", Options{})
	child := "http://" + to.Host() + "/v2/shop/manifests/" + base.Images[1].Manifest.Digest
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, child, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("the image of the index cannot be deleted: %v, %v", resp, err)
	}
	resp.Body.Close()
	r := c.copy(base.Reference, to.Host()+"/shop:1", Options{})
	if _, digest, _ := to.Manifest("shop", base.Images[1].Manifest.Digest); !r.Pushed.Pushed || digest != base.Images[1].Manifest.Digest {
		t.Errorf("%s: the registry has %q", line(r), digest)
	}
	if r := c.copy(base.Reference, to.Host()+"/shop:1", Options{}); r.Pushed.Pushed {
		t.Errorf("again: %s", line(r))
	}
}

// TestCopy_lost: a registry that lost a blob and says that it has it refuses the image of an index; then all is sent, and counted once.
func TestCopy_lost(t *testing.T) {
	from, to := testenv.StartOlareg(t), testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, from, "shop", "1", basemaker.TinyOptions{Layers: 2, Platforms: twoPlatforms})
	dst := testenv.StartProxy(t, to)
	sizes := map[string]string{}
	for _, i := range base.Images {
		for _, b := range append([]basemaker.Blob{i.Config}, i.Layers...) {
			sizes[b.Digest] = strconv.FormatInt(b.Size, 10)
		}
	}
	var refused atomic.Int32
	dst.Inject(func(r *http.Request) *testenv.Fault {
		switch {
		case r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/") && refused.Load() == 0:
			digest := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			return &testenv.Fault{Status: http.StatusOK, Header: http.Header{"Content-Length": {sizes[digest]}, "Docker-Content-Digest": {digest}}}
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"+base.Images[0].Manifest.Digest) && refused.Add(1) == 1:
			return &testenv.Fault{Status: http.StatusNotFound, Body: `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}`}
		}
		return nil
	})
	c := newCopier(t)
	r := c.copy(base.Reference, dst.Host()+"/shop:1", Options{})
	if b := r.Pushed.Blobs; b.Uploaded.Count+b.Existing.Count != 6 || refused.Load() < 2 || !strings.Contains(r.Pushed.Reason, "that it misses") {
		t.Errorf("%s: %+v, refused %d\n%s", line(r), b, refused.Load(), c.said.String())
	}
	if _, digest, _ := to.Manifest("shop", "1"); digest != base.Digest {
		t.Errorf("the registry has %q", digest)
	}
}
