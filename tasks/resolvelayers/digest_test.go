package resolvelayers

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layertoc"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// TestDigest: by digest alone a layer costs one HEAD and one download the first time, and nothing after; with the manifest that has it one
// HEAD, and what says its diff ID.
func TestDigest(t *testing.T) {
	for name, start := range testenv.Registries {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, start)
			plain := tarOf(t, "opt/", "", "opt/agent.so", "agent")
			layer := blobOf(image.OCILayerGzip, gzipped(t, plain))
			w.push("team/agent", "1", config(t, nil, plain), layer)
			want := tasks.ExtraLayer{
				Name: layer.Digest, Order: tasks.OrderBeforeApp,
				Blob: &tasks.ExtraBlob{
					Descriptor: tasks.Descriptor{MediaType: image.OCILayerGzip, Digest: cas.Digest(layer.Digest), Size: int64(len(layer.Data))},
					DiffID:     cas.DigestOf(plain), Key: tasks.BlobKey(cas.Digest(layer.Digest)),
					Source: &tasks.LayerSource{Registry: w.proxy.Host(), Repository: "team/agent"},
				},
			}
			for _, it := range []Item{
				{Include: layer.Digest, Repository: "team/agent"},
				{Include: layer.Digest, Repository: "team/agent", Reference: "1"},
			} {
				w.forget()
				first := w.must(it)
				if it.Reference == "" {
					w.requests("HEAD blobs", "GET blobs")
					want.Blob.Contents = first[0].Blob.Contents
					entries, err := w.store.ReadAll(first[0].Blob.Contents)
					must(t, err)
					list, err := layertoc.Parse(entries)
					must(t, err)
					if len(list) != 2 || list[1].Path != "opt/agent.so" || list[1].Digest != cas.DigestOf([]byte("agent")) {
						t.Errorf("got %v", list)
					}
				} else {
					w.requests("GET manifests", "GET blobs", "HEAD blobs") // the configuration is a blob
					want.Blob.Contents = ""
				}
				if d := cmp.Diff([]tasks.ExtraLayer{want}, first); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				again := w.must(it)
				w.requests()
				if d := cmp.Diff(first, again); d != "" {
					t.Errorf("the second time (-first +second):\n%s", d)
				}
			}
			_, manifest, _ := w.registry.Manifest("team/agent", "1")
			for _, none := range []string{manifest, config(t, nil, plain).Digest} {
				w.fails(diag.NotALayer, Item{Include: none, Repository: "team/agent"}, none)
			}
			direct := w.must(Item{Include: layer.Digest, Repository: "team/agent", Registry: w.registry.Host()})
			w.requests()
			if got := direct[0].Blob.Source.Registry; got != w.registry.Host() {
				t.Errorf("got the layer of %s", got)
			}
		})
	}
}

// pushed is a world with one image, whose layer it returns.
func pushed(t *testing.T) (*world, basemaker.Blob, []byte) {
	w := newWorld(t, docker)
	plain := tarOf(t, "opt/agent.so", "agent")
	layer := blobOf(image.OCILayerGzip, gzipped(t, plain))
	w.push("team/agent", "1", config(t, nil, plain), layer)
	return w, layer, plain
}

// TestDigest_anotherRepository: what a digest decides is known for good; that another repository has it is one HEAD.
func TestDigest_anotherRepository(t *testing.T) {
	w, layer, plain := pushed(t)
	w.push("other/agent", "1", config(t, nil, plain), layer)
	w.must(Item{Include: layer.Digest, Repository: "team/agent"})
	got := w.must(Item{Include: layer.Digest, Repository: "other/agent"})
	w.requests("HEAD blobs")
	if got[0].Blob.Source.Repository != "other/agent" {
		t.Errorf("got %+v", got[0].Blob.Source)
	}
	for _, repository := range []string{"team/agent", "other/agent"} {
		w.must(Item{Include: layer.Digest, Repository: repository})
		w.requests()
	}
	w.fails(diag.LayerNotFound, Item{Include: layer.Digest, Repository: "nobody/agent"}, "nobody/agent")

	// what an item says of a layer is compared also when nothing is asked
	size := strconv.FormatInt(layer.Size, 10)
	w.must(Item{Include: layer.Digest, Repository: "team/agent", Size: size, MediaType: image.DockerLayerGzip})
	w.fails(diag.LayerWrongSize, Item{Include: layer.Digest, Repository: "team/agent", Size: size + "1"}, size, size+"1")
	w.fails(diag.InvalidLayerItem, Item{Include: layer.Digest, Repository: "team/agent", MediaType: image.OCILayerTar}, "MediaType")
	w.requests()
}

// TestDigest_kept: a blob that is read goes into the content store when the destination is elsewhere and will need its bytes, and nowhere
// when it can be mounted.
func TestDigest_kept(t *testing.T) {
	w, layer, _ := pushed(t)
	it := Item{Include: layer.Digest, Repository: "team/agent"}
	for _, tc := range []struct {
		destination string
		kept        bool
	}{{w.proxy.Host(), false}, {"elsewhere.example", true}, {"", true}} {
		w.forget()
		w.req.OutputRegistry = tc.destination
		w.must(it)
		if n, err := w.store.Size(cas.Digest(layer.Digest)); (err == nil) != tc.kept || tc.kept && n != layer.Size {
			t.Errorf("destination %q: %d bytes are in the store, %v", tc.destination, n, err)
		}
	}
}

// TestDigest_noHead: where HEAD gives no size, one byte is asked for.
func TestDigest_noHead(t *testing.T) {
	for name, fault := range map[string]testenv.Fault{
		"405": {Status: http.StatusMethodNotAllowed}, "501": {Status: http.StatusNotImplemented},
		"403, as of signed addresses": {Status: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w, layer, _ := pushed(t)
			w.proxy.Inject(func(r *http.Request) *testenv.Fault {
				if r.Method == http.MethodHead {
					return &fault
				}
				return nil
			})
			w.must(Item{Include: layer.Digest, Repository: "team/agent"})
			w.requests("HEAD blobs", "GET blobs", "GET blobs")
			if all := w.proxy.Requests(); all[1].Header.Get("Range") != "bytes=0-0" || all[1].Down != 1 {
				t.Errorf("got %v with %v", all[1], all[1].Header)
			}
		})
	}
}

// TestDigest_corrupt: what does not hash to the digest is that and nothing else, and nothing of it is remembered.
func TestDigest_corrupt(t *testing.T) {
	w, layer, _ := pushed(t)
	w.req.OutputRegistry = "elsewhere.example"
	it := Item{Include: layer.Digest, Repository: "team/agent"}
	w.proxy.Inject(func(r *http.Request) *testenv.Fault {
		return &testenv.Fault{Corrupt: r.Method == http.MethodGet}
	})
	w.fails(diag.DigestMismatch, it, layer.Digest, "ContainerLayer")
	if _, err := w.store.Size(cas.Digest(layer.Digest)); err == nil {
		t.Error("it is in the store")
	}
	w.proxy.Inject(nil)
	w.must(it)
	w.requests("HEAD blobs", "GET blobs")
}

// TestDigest_recalled: an earlier image of the destination says what the layer is, unless it must not.
func TestDigest_recalled(t *testing.T) {
	w, layer, plain := pushed(t)
	d := cas.Digest(layer.Digest)
	it := Item{Include: layer.Digest, Repository: "team/agent"}
	earlier := tasks.Layer{
		Key: tasks.BlobKey(d), DiffID: cas.DigestOf(plain),
		Descriptor: tasks.Descriptor{MediaType: image.DockerLayerGzip, Digest: d, Size: layer.Size},
	}
	asked := 0
	w.recall = func(context.Context) (*tasks.Recalled, error) {
		asked++
		return &tasks.Recalled{Reference: "r.example/app:1", Layers: []tasks.Layer{earlier}}, nil
	}
	for range 2 {
		got := w.must(it)
		w.requests()
		if b := got[0].Blob; b.DiffID != cas.DigestOf(plain) || !cmp.Equal(b.Descriptor, earlier.Descriptor) ||
			b.Source.Repository != "team/agent" {
			t.Errorf("got %+v", b)
		}
	}
	if asked != 1 {
		t.Errorf("recall was asked %d times", asked)
	}
	no := false
	w.req.TrustLayerKeys = &no
	w.must(it)
	w.requests("HEAD blobs", "GET blobs")
	w.must(it)
	w.requests()
	w.req.TrustLayerKeys = nil
	w.must(it)
	w.requests()
	if asked != 1 {
		t.Errorf("recall was asked %d times", asked)
	}
	w.forget()
	earlier.Descriptor.Digest = cas.DigestOf(nil) // the key of one layer with the digest of another
	w.must(it)
	w.requests("HEAD blobs", "GET blobs")
	w.forget()
	w.recall = func(context.Context) (*tasks.Recalled, error) { return nil, errors.New("stop") }
	if _, err := w.run(it); err == nil || err.Error() != "stop" {
		t.Errorf("got %v", err)
	}
}

// TestDigest_offline: with GantryPullPolicy=never what the store knows is enough, and what it lacks is named.
func TestDigest_offline(t *testing.T) {
	w, layer, _ := pushed(t)
	w.req.PullPolicy = "never"
	it := Item{Include: layer.Digest, Repository: "team/agent"}
	w.fails(diag.NotInStore, it, "team/agent@"+layer.Digest, "GantryPullPolicy")
	w.fails(diag.NotInStore, Item{Include: layer.Digest, Repository: "team/agent", Reference: "1"}, "team/agent:1")
	w.fails(diag.NotInStore, Item{Include: w.proxy.Host() + "/team/agent:1", Type: "Image", From: "0"}, "team/agent:1")
	w.requests()
	w.req.PullPolicy = ""
	w.must(it)
	w.req.PullPolicy = "never"
	w.must(it)
	w.requests()
}

// TestDigest_strict: a strict build knows the paths of each layer, and finds a wrong diff ID on the way.
func TestDigest_strict(t *testing.T) {
	w, layer, plain := pushed(t)
	it := Item{Include: layer.Digest, Repository: "team/agent", Reference: "1"}
	if got := w.must(it); got[0].Blob.Contents != "" {
		t.Errorf("got %+v", got[0].Blob)
	}
	w.req.Strict = true
	first := w.must(it)
	w.requests("GET blobs")
	if first[0].Blob.Contents == "" {
		t.Errorf("got %+v", first[0].Blob)
	}
	if again := w.must(it); !cmp.Equal(first, again) {
		t.Errorf("got %+v", again)
	}
	w.requests()
	must(t, os.Remove(w.store.Path(first[0].Blob.Contents)))
	if again := w.must(it); !cmp.Equal(first, again) {
		t.Errorf("got %+v", again)
	}
	w.requests("GET blobs")

	other := blobOf(image.OCILayerGzip, gzipped(t, tarOf(t, "a", "b")))
	w.push("team/liar", "1", config(t, nil, plain), other)
	w.fails(diag.NotALayer, Item{Include: other.Digest, Repository: "team/liar", Reference: "1"}, string(cas.DigestOf(plain)))
}

// TestRegistriesOnly: where only registries are asked nothing of this machine is looked at or forgotten, and no layer is read for its paths.
func TestRegistriesOnly(t *testing.T) {
	w, layer, _ := pushed(t)
	w.write("m/a", "a")
	w.write("a.tar", string(tarOf(t, "a", "b")))
	items := []Item{{Include: layer.Digest, Repository: "team/agent", Reference: "1"}, {Include: "models", Files: "m/*"}, {Include: "a.tar"}}
	w.must(items...)
	record, err := os.ReadFile(filepath.Join(w.out, "record.json"))
	must(t, err)
	must(t, os.RemoveAll(w.dir))
	w.check, w.req.Strict = true, true
	w.forget()
	got := w.must(items...)
	w.requests("GET manifests", "GET blobs", "HEAD blobs")
	if len(got) != 2 || got[0].Blob.Descriptor.Digest != cas.Digest(layer.Digest) || got[1].Blob.BlobPath == "" ||
		got[1].Blob.Descriptor.Digest != "" {
		t.Errorf("got %+v", got)
	}
	if after, err := os.ReadFile(filepath.Join(w.out, "record.json")); err != nil || string(after) != string(record) {
		t.Errorf("the record is %s, %v", after, err)
	}
}

// TestDigest_refused has what can be wrong with a digest that a registry is asked for.
func TestDigest_refused(t *testing.T) {
	w, layer, plain := pushed(t)
	_, manifest, _ := w.registry.Manifest("team/agent", "1")
	cfg := config(t, nil, plain)
	raw := func(data []byte) string { // a blob in the repository, as the layer of an image
		b := blobOf(image.OCILayerGzip, data)
		w.push("team/agent", "raw", cfg, b)
		return b.Digest
	}
	unknown := blobOf("application/vnd.oci.image.layer.v1.tar+xz", []byte("\xfd7zXZ\x00 and more"))
	w.push("team/agent", "xz", cfg, unknown)
	foreign := foreignLayer(layer)
	w.push("team/agent", "foreign", cfg, foreign)
	larger := layer
	larger.Size++
	w.pushAs("team/agent", "larger", cfg, larger)
	size := strconv.FormatInt(layer.Size, 10)
	for name, tc := range map[string]struct {
		item  Item
		code  diag.Code
		texts []string
	}{
		"missing": {Item{Include: string(cas.DigestOf([]byte("x")))}, diag.LayerNotFound, []string{"team/agent does not have"}},
		"missing in the image": {Item{Include: string(cas.DigestOf([]byte("x"))), Reference: "1"}, diag.LayerNotFound, []string{
			"team/agent:1",
			"1 others",
		}},
		"no such repository":     {Item{Include: layer.Digest, Repository: "nobody"}, diag.LayerNotFound, []string{"nobody"}},
		"no such image":          {Item{Include: layer.Digest, Reference: "2"}, diag.RepositoryNotFound, []string{"team/agent:2"}},
		"a manifest":             {Item{Include: manifest}, diag.NotALayer, []string{"manifest"}},
		"its own manifest":       {Item{Include: manifest, Reference: "1"}, diag.NotALayer, []string{"itself"}},
		"a configuration":        {Item{Include: cfg.Digest}, diag.NotALayer, []string{"JSON"}},
		"its own configuration":  {Item{Include: cfg.Digest, Reference: "1"}, diag.NotALayer, []string{"configuration of"}},
		"larger by metadata":     {Item{Include: layer.Digest, Size: size + "0"}, diag.LayerWrongSize, []string{size, size + "0", "Size"}},
		"larger by the manifest": {Item{Include: layer.Digest, Reference: "larger"}, diag.LayerWrongSize, []string{size, "manifest"}},
		"xz":                     {Item{Include: unknown.Digest}, diag.UnknownCompression, []string{"xz"}},
		"xz by the manifest":     {Item{Include: unknown.Digest, Reference: "xz"}, diag.UnknownCompression, []string{"tar+xz"}},
		"bzip2":                  {Item{Include: raw([]byte("BZh91AY&SY"))}, diag.UnknownCompression, []string{"bzip2"}},
		"foreign":                {Item{Include: layer.Digest, Reference: "foreign"}, diag.ForeignLayer, []string{"not followed"}},
		"no tar":                 {Item{Include: raw([]byte("hello"))}, diag.NotALayer, []string{"tar"}},
		"no tar in the gzip":     {Item{Include: raw(gzipped(t, []byte("hello")))}, diag.NotALayer, []string{"uncompressed"}},
		"half a gzip":            {Item{Include: raw(gzipped(t, plain)[:40])}, diag.NotALayer, nil},
		"half a tar":             {Item{Include: raw(gzipped(t, plain[:514]))}, diag.NotALayer, nil},
		"another media type": {Item{Include: layer.Digest, MediaType: image.OCILayerZstd}, diag.InvalidLayerItem, []string{
			"MediaType",
			image.OCILayerGzip,
		}},
		"a registry that is none": {Item{Include: layer.Digest, Registry: "127.0.0.1:1"}, diag.RegistryUnreachable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			if tc.item.Repository == "" {
				tc.item.Repository = "team/agent"
			}
			w.forget()
			w.fails(tc.code, tc.item, append(tc.texts, "ContainerLayer")...)
		})
	}
}
