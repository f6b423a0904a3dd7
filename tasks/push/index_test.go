package push_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/pushindex"
)

// images pushes one image a runtime identifier, in this order, and returns the files of the responses.
func (p *pipeline) images(reg *testenv.Registry, repository string, format map[string]string, rids ...string) []string {
	p.t.Helper()
	var files []string
	for i, rid := range rids {
		if _, err := p.selectBase(rid, format[rid]); err != nil {
			p.t.Fatal(err)
		}
		p.config(config())
		p.layers("app-" + rid)
		file := rid + string(rune('a'+i)) + ".json"
		if _, err := p.push(file, pushRequest(reg.Host(), repository)); err != nil {
			p.t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func startIndexed(t *testing.T, o basemaker.TinyOptions) (*testenv.Registry, *pipeline) {
	t.Helper()
	reg := testenv.StartRegistry(t)
	o.Platforms = []basemaker.Platform{
		{OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"},
	}
	base := testenv.PushTinyBase(t, reg, "base", "1", o)
	p := newPipeline(t)
	if _, err := p.resolve(base.Reference); err != nil {
		t.Fatal(err)
	}
	return reg, p
}

// TestIndex: the index is the same whatever the order of its images, and valid.
func TestIndex(t *testing.T) {
	for _, docker := range []bool{false, true} {
		reg, p := startIndexed(t, basemaker.TinyOptions{Docker: docker})
		files := p.images(reg, "app", nil, "linux-arm64", "linux-arm", "linux-x64")
		var digests []string
		for _, order := range [][]string{files, {files[2], files[0], files[1]}} {
			resp, err := p.pushIndex(&pushindex.Request{PushPaths: order, Registry: reg.Host(), Repository: "app", Tags: []string{"1.0", "latest", "1.0"}})
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, string(resp.Digest))
			var got []string
			for _, m := range resp.Manifests {
				got = append(got, image.PlatformName(*m.Platform))
			}
			if d := cmp.Diff([]string{"linux/amd64", "linux/arm/v7", "linux/arm64"}, got); d != "" {
				t.Errorf("platforms (-want +got):\n%s", d)
			}
		}
		if digests[0] != digests[1] {
			t.Errorf("the order of the images changes the index: %v", digests)
		}
		if d := cmp.Diff([]string{"1.0", "latest"}, reg.Tags("app")); d != "" {
			t.Errorf("tags (-want +got):\n%s", d)
		}
		mediaType, digest, _ := reg.Manifest("app", "latest")
		if want := image.IndexType(map[bool]string{true: "docker", false: "oci"}[docker]); mediaType != want || digest != digests[0] {
			t.Errorf("latest is a %s, %s; want a %s, %s", mediaType, digest, want, digests[0])
		}
		ref, err := name.ParseReference(reg.Reference("app", "1.0"), name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		index, err := remote.Index(ref, remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
	}
}

func TestIndex_refused(t *testing.T) {
	reg, p := startIndexed(t, basemaker.TinyOptions{})
	mixed := p.images(reg, "app", map[string]string{"linux-arm64": "Docker"}, "linux-x64", "linux-arm64")
	twice := p.images(reg, "app", nil, "linux-x64", "linux-musl-x64")
	for name, tc := range map[string]struct {
		files      []string
		repository string
	}{
		"two formats":        {mixed, "app"},
		"one platform twice": {twice, "app"},
		"other repository":   {mixed[:1], "other"},
	} {
		_, err := p.pushIndex(&pushindex.Request{PushPaths: tc.files, Registry: reg.Host(), Repository: tc.repository, Tags: []string{"1"}})
		if diag.CodeOf(err) != diag.IndexMismatch {
			t.Errorf("%s: got %v, want %s", name, err, diag.IndexMismatch)
		}
	}
	if err := os.RemoveAll(reg.Dir() + "/docker/registry/v2/repositories/app/_manifests/revisions"); err != nil {
		t.Fatal(err)
	}
	_, err := p.pushIndex(&pushindex.Request{PushPaths: mixed[:1], Registry: reg.Host(), Repository: "app", Tags: []string{"1"}})
	if diag.CodeOf(err) != diag.IndexMismatch {
		t.Errorf("an image that is gone: got %v, want %s", err, diag.IndexMismatch)
	}
	if tags := reg.Tags("app"); len(tags) != 0 {
		t.Errorf("tags %v were written", tags)
	}
}
