package push_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestRecords: who reads the image finds its base, its layers by their keys, and what its configuration was made of; in both formats.
func TestRecords(t *testing.T) {
	for _, docker := range []bool{false, true} {
		reg := testenv.StartRegistry(t)
		base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 2, Docker: docker, Index: true})
		p := newPipeline(t)
		p.prepare(base.Reference, "linux-x64", "", "packages", "app")
		layers := p.layers("packages", "app")
		resp, err := p.push("push.json", pushRequest(reg.Host(), "app", "1"))
		if err != nil {
			t.Fatal(err)
		}
		mediaType, _, body := reg.Manifest("app", "1")
		m, err := image.ParseManifest(body, mediaType)
		if err != nil {
			t.Fatal(err)
		}
		own, err := image.ReadOwn(m, reg.Blob("app", string(resp.ConfigDigest)))
		if err != nil {
			t.Fatal(err)
		}
		if len(own.Layers) != 2 || own.Layers[0].Key != layers[0].Key || own.Layers[1].Key != layers[1].Key || own.Record.Layers != 2 {
			t.Errorf("layers %+v", own.Layers)
		}
		if got := own.Record.Base; string(got.Manifest.Digest) != base.Images[0].Manifest.Digest || got.Manifest.Platform != nil || len(own.Base) != 2 {
			t.Errorf("base %+v", got)
		}
		// the same base by its own digest, and in a run of its own: the records are the same
		p.again(true)
		p.prepare(reg.Reference("base", base.Images[0].Manifest.Digest), "linux-x64", "", "packages", "app")
		if _, err := p.push("push.json", pushRequest(reg.Host(), "other", "1")); err != nil {
			t.Fatal(err)
		}
		mediaType, _, body = reg.Manifest("other", "1")
		if m, err = image.ParseManifest(body, mediaType); err != nil {
			t.Fatal(err)
		}
		again, err := image.ReadOwn(m, reg.Blob("other", string(m.Config.Digest)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(own.Record.Base, again.Record.Base); d != "" {
			t.Errorf("by index -, by digest +\n%s", d)
		}
	}
}

// TestRecords_noKey: a layer that is not known by a key has no comment, and an image whose topmost is so has no record.
func TestRecords_noKey(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newPipeline(t)
	p.prepare(base.Reference, "linux-x64", "", "packages", "!app")
	resp, err := p.push("push.json", pushRequest(reg.Host(), "app", "1"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ History []struct{ Comment string } }
	if err := json.Unmarshal(reg.Blob("app", string(resp.ConfigDigest)), &doc); err != nil {
		t.Fatal(err)
	}
	n := len(doc.History)
	r, ok := image.ParseRecord(doc.History[n-2].Comment)
	if !ok || r.Image != nil || doc.History[n-1].Comment != "" {
		t.Errorf("history %+v", doc.History)
	}
}
