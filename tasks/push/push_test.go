package push_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// checkImage validates an image with a library that had no part in making it.
func checkImage(t *testing.T, reference string, options ...validate.Option) {
	t.Helper()
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img, options...); err != nil {
		t.Errorf("%s: %v", reference, err)
	}
}

// kinds counts requests by what they are for.
func kinds(p *testenv.Proxy) map[string]int {
	out := map[string]int{}
	for _, r := range p.Requests() {
		what := r.Method
		switch {
		case strings.Contains(r.Path, "/manifests/"):
			what += " manifest"
		case r.Method == http.MethodPost && r.Status == http.StatusCreated:
			what = "mount"
		case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
			what += " upload"
		case strings.Contains(r.Path, "/blobs/"):
			what += " blob"
		default:
			what += " " + r.Path
		}
		out[what]++
	}
	return out
}

// TestCold_requests is the number to hold: a cold publish on a base of five layers in the same registry, one tag, takes 12 requests and
// 2 for each app layer (one more below an index), and moves no byte of the base but its manifest and configuration. Two of them ask
// whether the image is there: by tag and by digest.
func TestCold_requests(t *testing.T) {
	for _, tc := range []struct {
		name  string
		index bool
		app   []string
		want  map[string]int
	}{
		{"image, one layer", false, []string{"app"}, map[string]int{
			"GET manifest": 1, "GET blob": 1, "HEAD manifest": 2, "mount": 5, "POST upload": 2, "PUT upload": 2, "PUT manifest": 1,
		}},
		{"index, two layers", true, []string{"packages", "app"}, map[string]int{
			"GET manifest": 2, "GET blob": 1, "HEAD manifest": 2, "mount": 5, "POST upload": 3, "PUT upload": 3, "PUT manifest": 1,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := testenv.StartRegistry(t)
			base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 5, Index: tc.index})
			proxy := testenv.StartProxy(t, reg)
			p := newPipeline(t)
			p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", tc.app...)
			resp, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1.0"))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, kinds(proxy)); d != "" {
				t.Errorf("requests (-want +got):\n%s%s", d, proxy.Log())
			}
			if got, limit := len(proxy.Requests()), 13+2*len(tc.app); got > limit {
				t.Errorf("%d requests, at most %d are allowed", got, limit)
			}
			checkImage(t, reg.Reference("app", "1.0"))
			if _, digest, _ := reg.Manifest("app", "1.0"); digest != string(resp.Digest) {
				t.Errorf("the tag names %s, the response says %s", digest, resp.Digest)
			}
		})
	}
}

// TestUnchanged_uploadsNothing: the second push finds the image by its tag; one that may not skip finds every blob.
func TestUnchanged_uploadsNothing(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 5})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", "app")
	first, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1.0"))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Reset()
	second, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1.0"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"HEAD manifest": 1}, kinds(proxy)); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	if d := cmp.Diff(first, second); d != "" {
		t.Errorf("responses (-first +second):\n%s", d)
	}
	proxy.Reset()
	req, no := pushRequest(proxy.Host(), "app", "1.0"), false
	req.SkipPushIfPresent = &no
	if _, err := p.push("push.json", req); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"mount": 7, "PUT manifest": 1}, kinds(proxy)); d != "" {
		t.Errorf("requests without skipping (-want +got):\n%s", d)
	}
}

func TestTags(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	req := pushRequest(reg.Host(), "team/app", "1.0", "latest", "1.0", "1")
	req.TagSuffix = "linux-x64"
	resp, err := p.push("push.json", req)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1-linux-x64", "1.0-linux-x64", "latest-linux-x64"}
	if d := cmp.Diff(want, reg.Tags("team/app")); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"1.0-linux-x64", "latest-linux-x64", "1-linux-x64"}, resp.Tags); d != "" {
		t.Errorf("response (-want +got):\n%s", d)
	}
	resp, err = p.push("push.json", pushRequest(reg.Host(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	if tags := reg.Tags("other"); len(tags) != 0 {
		t.Errorf("without tags there are %v", tags)
	}
	checkImage(t, reg.Reference("other", string(resp.Digest)))
}

// TestFormats: manifest, configuration and layers have the media types of one format, whatever the base's.
func TestFormats(t *testing.T) {
	for _, tc := range []struct {
		name   string
		base   basemaker.TinyOptions
		format string
		layers []string // media types, the app's last
	}{
		{"oci", basemaker.TinyOptions{Layers: 1}, "", []string{image.OCILayerGzip, image.OCILayerGzip}},
		{"docker", basemaker.TinyOptions{Layers: 1, Docker: true}, "", []string{image.DockerLayerGzip, image.DockerLayerGzip}},
		{"docker to oci", basemaker.TinyOptions{Layers: 1, Docker: true, Foreign: true}, "OCI", []string{image.OCIForeignGzip, image.OCILayerGzip, image.OCILayerGzip}},
		{"oci to docker", basemaker.TinyOptions{Layers: 1, Foreign: true}, "Docker", []string{image.DockerForeignGzip, image.DockerLayerGzip, image.DockerLayerGzip}},
		{"zstd", basemaker.TinyOptions{Layers: 1, Zstd: true}, "", []string{image.OCILayerZstd, image.OCILayerGzip}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := testenv.StartRegistry(t)
			base := testenv.PushTinyBase(t, reg, "base", "1", tc.base)
			p := newPipeline(t)
			p.prepare(base.Reference, "linux-x64", tc.format, "app")
			resp, err := p.push("push.json", pushRequest(reg.Host(), "app", "1"))
			if err != nil {
				t.Fatal(err)
			}
			mediaType, _, body := reg.Manifest("app", "1")
			m, err := image.ParseManifest(body, mediaType)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range m.Layers {
				got = append(got, l.MediaType)
				if image.IsForeign(l.MediaType) && len(l.URLs) == 0 {
					t.Errorf("foreign layer %s has lost its URLs", l.Digest)
				}
			}
			if d := cmp.Diff(tc.layers, got); d != "" {
				t.Errorf("layers (-want +got):\n%s", d)
			}
			format := image.FormatOf(mediaType)
			if m.Config.MediaType != image.ConfigType(format) || resp.MediaType != mediaType {
				t.Errorf("a %s with a %s, response says %s", mediaType, m.Config.MediaType, resp.MediaType)
			}
			if want := format == tasks.FormatOCI; (len(m.Annotations) == 2) != want {
				t.Errorf("annotations %v in format %s", m.Annotations, format)
			}
			switch {
			case tc.base.Zstd:
				checkImage(t, reg.Reference("app", "1"), validate.Fast) // the library takes every remote layer for gzip
			case !tc.base.Foreign:
				checkImage(t, reg.Reference("app", "1"))
			}
		})
	}
}

func TestZstdUnderDocker(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Zstd: true})
	p := newPipeline(t)
	if _, err := p.resolve(base.Reference); err != nil {
		t.Fatal(err)
	}
	if _, err := p.selectBase("linux-x64", "Docker"); diag.CodeOf(err) != diag.ZstdUnderDocker {
		t.Errorf("got %v, want %s", err, diag.ZstdUnderDocker)
	}
}

// TestAcrossRegistries: the base's layers come over by way of the store, or as a stream without it; foreign ones stay where they are.
func TestAcrossRegistries(t *testing.T) {
	for _, download := range []bool{true, false} {
		src, dst := testenv.StartRegistry(t), testenv.StartRegistry(t)
		base := testenv.PushTinyBase(t, src, "base", "1", basemaker.TinyOptions{Layers: 3, Foreign: true})
		p := newPipeline(t)
		p.prepare(base.Reference, "linux-x64", "", "app")
		req := pushRequest(dst.Host(), "app", "1")
		if download {
			var got []string
			for _, l := range p.download(dst.Host(), "app").Layers {
				got = append(got, l.Availability)
			}
			if d := cmp.Diff([]string{"foreign", "store", "store", "store"}, got); d != "" {
				t.Errorf("first (-want +got):\n%s", d)
			}
			src.Stop() // the store has all
			req.DownloadLayersPath = "download-layers.json"
		}
		if _, err := p.push("push.json", req); err != nil {
			t.Fatal(err)
		}
		if download {
			for _, l := range p.download(dst.Host(), "app").Layers {
				if l.Availability == "store" || l.Availability == "mount" {
					t.Errorf("after the push layer %s is %s", l.Digest, l.Availability)
				}
			}
		}
		if n := dst.BlobCount(); n != 6 { // 3 layers of the base, app, config, manifest
			t.Errorf("%d blobs in the destination, want 6", n)
		}
	}
}

func TestSameRegistry_downloadsNothing(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 2})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", "app")
	proxy.Reset()
	for _, l := range p.download(proxy.Host(), "app").Layers {
		if l.Availability != "mount" {
			t.Errorf("layer %s is %s, want mount", l.Digest, l.Availability)
		}
	}
	if n := len(proxy.Requests()); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

// TestFiles: the documents are written beside the response, as they were pushed.
func TestFiles(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "app")
	req := pushRequest(reg.Host(), "app", "1")
	req.ManifestPath, req.ConfigPath = "manifest.json", "config.json"
	resp, err := p.push("push.json", req)
	if err != nil {
		t.Fatal(err)
	}
	_, _, want := reg.Manifest("app", "1")
	got, err := os.ReadFile(resp.ManifestPath)
	if err != nil || string(got) != string(want) {
		t.Errorf("manifest file: %s, %v; want %s", got, err, want)
	}
	got, err = os.ReadFile(resp.ConfigPath)
	if err != nil || string(got) != string(reg.Blob("app", string(resp.ConfigDigest))) {
		t.Errorf("config file: %s, %v", got, err)
	}
	var doc struct{ History []any }
	if err := json.Unmarshal(got, &doc); err != nil || len(doc.History) == 0 {
		t.Errorf("config has no history: %v", err)
	}
}
