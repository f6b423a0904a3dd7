package resolvelayers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// images is a world with a base of two layers, and what is needed for images on it.
type images struct {
	*world
	tars   [][]byte // of the base's layers and of two more
	layers []basemaker.Blob
	base   *basemaker.Image
}

func newImages(t *testing.T, start func(testing.TB) *testenv.Registry) *images {
	w := &images{world: newWorld(t, start)}
	for i := range 4 {
		plain := tarOf(t, fmt.Sprintf("layer-%d", i), "content")
		w.tars = append(w.tars, plain)
		w.layers = append(w.layers, blobOf(image.OCILayerGzip, gzipped(t, plain)))
	}
	w.base = w.push("base", "1", config(t, nil, w.tars[:2]...), w.layers[:2]...)
	return w
}

// gantryMade pushes an image of Gantry's on the base.
func (w *images) gantryMade(repository, tag string) *basemaker.Image {
	w.Helper()
	c, err := image.ParseConfig(w.base.Config.Data)
	must(w, err)
	computed, err := c.Derive(image.Changes{Environment: c.Environment, Ports: c.Ports, Created: image.FallbackCreated})
	must(w, err)
	own := func(b basemaker.Blob) image.Descriptor {
		return image.Descriptor{MediaType: b.MediaType, Digest: cas.Digest(b.Digest), Size: b.Size}
	}
	var all []image.Descriptor
	for _, l := range w.layers {
		all = append(all, own(l))
	}
	record := image.Record{Layer: cas.DigestOf([]byte("key 3")), Image: &image.ImageRecord{
		Config: cas.DigestOf(nil), Layers: 2, Seal: image.Seal(computed, nil, all),
		Base: image.BaseRecord{Manifest: own(w.base.Manifest), Config: own(w.base.Config), Platform: c.Platform},
	}}
	doc, err := image.AddLayers(computed, []image.NewLayer{
		{DiffID: cas.DigestOf(w.tars[2]), CreatedBy: "gantry", Comment: image.Record{Layer: cas.DigestOf([]byte("key 2"))}.Comment()},
		{DiffID: cas.DigestOf(w.tars[3]), CreatedBy: "gantry", Comment: record.Comment()},
	})
	must(w, err)
	return w.push(repository, tag, blobOf(image.OCIConfig, doc), w.layers...)
}

// takes runs the stage with one item and compares the layers that it takes with those of these numbers.
func (w *images) takes(it Item, numbers ...int) []tasks.ExtraLayer {
	w.Helper()
	got := w.must(it)
	var want []tasks.ExtraLayer
	for _, n := range numbers {
		d := cas.Digest(w.layers[n].Digest)
		want = append(want, tasks.ExtraLayer{
			Name: fmt.Sprintf("%s layer %d", it.Include, n), Order: tasks.OrderBeforeApp, Blob: &tasks.ExtraBlob{
				Descriptor: tasks.Descriptor{MediaType: image.OCILayerGzip, Digest: d, Size: w.layers[n].Size},
				DiffID:     cas.DigestOf(w.tars[n]), Key: tasks.BlobKey(d), Source: &tasks.LayerSource{Registry: w.proxy.Host(), Repository: "agent"},
			},
		})
	}
	for i := range got {
		if w.req.Strict && got[i].Blob.Contents == "" {
			w.Errorf("layer %d was not read", i)
		}
		got[i].Blob.Contents = ""
	}
	if d := cmp.Diff(want, got); d != "" {
		w.Errorf("(-want +got):\n%s", d)
	}
	return got
}

// TestImage: which layers of an image are taken, and that its tag is asked for in every build with one request.
func TestImage(t *testing.T) {
	for name, start := range testenv.Registries {
		t.Run(name, func(t *testing.T) {
			w := newImages(t, start)
			w.gantryMade("agent", "1")
			it := Item{Include: w.proxy.Reference("agent", "1"), Type: "Image"}
			w.takes(it, 2, 3)
			w.requests("GET manifests", "GET blobs")
			for range 2 {
				w.takes(it, 2, 3)
				w.requests("HEAD manifests")
			}
			w.push("agent", "1", config(t, nil, w.tars[:1]...), w.layers[0]) // the tag moves
			it.From = "0"
			w.takes(it, 0)
			w.requests("HEAD manifests", "GET manifests", "GET blobs")
			w.req.PullPolicy = "missing"
			w.takes(it, 0)
			w.requests()
			w.req.PullPolicy = "never"
			w.takes(it, 0)
			w.requests()
		})
	}
}

// TestImage_base: how it is found out where the image begins.
func TestImage_base(t *testing.T) {
	w := newImages(t, docker)
	_, digest, _ := w.registry.Manifest("base", "1")
	w.push("other", "1", config(t, nil, w.tars[1]), w.layers[1])
	baseOf := func(name, digest string) map[string]string {
		return map[string]string{baseName: name, baseDigest: digest}
	}
	// the base's layers, compressed in another way
	again := []basemaker.Blob{blobOf(image.OCILayerZstd, zstded(t, w.tars[0])), blobOf(image.OCILayerTar, w.tars[1]), w.layers[2], w.layers[3]}
	for name, tc := range map[string]struct {
		labels map[string]string
		layers []basemaker.Blob
		item   Item
		want   []int
	}{
		"labels":                        {baseOf(w.proxy.Reference("base", "1"), digest), w.layers, Item{}, []int{2, 3}},
		"labels, compressed anew":       {baseOf(w.proxy.Reference("base", "1"), digest), again, Item{}, []int{2, 3}},
		"Base":                          {nil, w.layers, Item{Base: "base:1"}, []int{2, 3}},
		"Base by digest":                {nil, w.layers, Item{Base: w.proxy.Reference("base", digest)}, []int{2, 3}},
		"Base before labels":            {baseOf("docker.io/library/none", digest), w.layers, Item{Base: "base:1"}, []int{2, 3}},
		"From":                          {nil, w.layers, Item{From: "3"}, []int{3}},
		"From the first":                {nil, w.layers, Item{From: "0"}, []int{0, 1, 2, 3}},
		"From before labels":            {baseOf(w.proxy.Reference("base", "1"), digest), w.layers, Item{From: "1"}, []int{1, 2, 3}},
		"from its own repository":       {map[string]string{baseDigest: digest}, w.layers, Item{}, nil}, // the base is not there
		"nothing known":                 {nil, w.layers, Item{}, nil},
		"the base's digest alone":       {map[string]string{baseName: "base"}, w.layers, Item{}, nil},
		"a base that is none of its":    {nil, w.layers, Item{Base: "other:1"}, nil},
		"a base with more layers":       {nil, w.layers[:1], Item{Base: "base:1"}, nil},
		"an image that is its own base": {map[string]string{"a": "b"}, w.layers[:2], Item{Base: "base:1"}, nil},
		"From behind the last":          {nil, w.layers, Item{From: "4"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			w.forget()
			w.push("agent", "1", config(t, tc.labels, w.tars[:len(tc.layers)]...), tc.layers...)
			tc.item.Include, tc.item.Type = w.proxy.Reference("agent", "1"), "Image"
			if tc.want != nil {
				w.takes(tc.item, tc.want...)
				return
			}
			_, err := w.run(tc.item)
			if code := diag.CodeOf(err); code != diag.InvalidLayerItem && (name != "from its own repository" || code != diag.RepositoryNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	w.T = t
	made := w.gantryMade("agent", "1")
	annotations := fmt.Appendf(nil, `,"annotations":{%q:%q,%q:%q}}`, baseName, w.proxy.Reference("base", "1"), baseDigest, digest)
	made.Manifest.Data = slices.Concat(made.Manifest.Data[:len(made.Manifest.Data)-1], annotations)
	must(t, w.registry.Target().PushManifest(t.Context(), "agent", "1", blobOf(image.OCIManifest, made.Manifest.Data)))
	w.takes(Item{Include: w.proxy.Reference("agent", "1"), Type: "Image"}, 2, 3) // by the annotations: the seal is broken
	w.says("another tool has changed it")
}

// TestImage_index: of an index the image of the platform counts.
func TestImage_index(t *testing.T) {
	w := newImages(t, docker)
	arm, err := basemaker.NewImage(image.OCIManifest, config(t, nil, w.tars[2]), w.layers[2:3], basemaker.Platform{
		OS:           "linux",
		Architecture: "arm64",
	})
	must(t, err)
	amd, err := basemaker.NewImage(image.OCIManifest, config(t, nil, w.tars[3]), w.layers[3:], amd64)
	must(t, err)
	index, err := basemaker.NewIndex(image.OCIIndex, []*basemaker.Image{arm, amd})
	must(t, err)
	must(t, w.registry.Target().PushIndex(t.Context(), "agent", "1", index, []*basemaker.Image{arm, amd}))
	it := Item{Include: w.proxy.Reference("agent", "1"), Type: "Image", From: "0"}
	for rid, layer := range map[string]int{"linux-x64": 3, "linux-arm64": 2, "linux-musl-x64": 3} {
		w.req.RuntimeIdentifier = rid
		got := w.must(it)
		if len(got) != 1 || got[0].Blob.Descriptor.Digest != cas.Digest(w.layers[layer].Digest) {
			t.Errorf("%s: got %+v", rid, got)
		}
		d := w.layers[layer].Digest
		if got := w.must(Item{Include: d, Repository: "agent", Reference: "1"}); got[0].Blob.DiffID != cas.DigestOf(w.tars[layer]) {
			t.Errorf("%s, by digest: got %+v", rid, got)
		}
	}
	w.fails(diag.NotALayer, Item{Include: index.Digest, Repository: "agent"}, "manifest")
	w.fails(diag.NotALayer, Item{Include: index.Digest, Repository: "agent", Reference: "1"}, "manifest")
	w.req.RuntimeIdentifier = "win-x64"
	w.fails(diag.NoImageForRID, it, "linux-arm64", "ContainerLayer")
	w.req.RuntimeIdentifier = ""
	w.fails(diag.InvalidLayerItem, it, "index")
}

// TestImage_refused has images of which no layer can be taken.
func TestImage_refused(t *testing.T) {
	w := newImages(t, docker)
	it := Item{Include: w.proxy.Reference("agent", "1"), Type: "Image", From: "0"}
	cfg := config(t, nil, w.tars[0])
	w.push("agent", "1", cfg, foreignLayer(w.layers[0]))
	w.fails(diag.ForeignLayer, it, "layer 0", "not followed")
	withURL := w.layers[0]
	withURL.URLs = []string{"https://example.com/layer"}
	w.push("agent", "1", cfg, withURL)
	w.fails(diag.ForeignLayer, it, "layer 0")
	w.push("agent", "1", cfg, blobOf(image.OCILayerTar+"+lz4", []byte("x")))
	w.fails(diag.UnknownCompression, it, "lz4")
	w.push("agent", "1", cfg, w.layers[0], w.layers[1])
	w.fails(diag.InvalidLayerItem, it, "2 layers and 1 diff IDs")
	w.push("agent", "1", blobOf("application/vnd.cncf.helm.config.v1+json", []byte("{}")), w.layers[0])
	w.fails(diag.InvalidBaseManifest, it, "no image")
	it.Include = w.proxy.Reference("nobody", "1")
	w.fails(diag.RepositoryNotFound, it, "nobody:1", "ContainerLayer")
}

// TestImage_strict reads the layers for their paths, once.
func TestImage_strict(t *testing.T) {
	w := newImages(t, docker)
	w.gantryMade("agent", "1")
	w.req.Strict = true
	it := Item{Include: w.proxy.Reference("agent", "1"), Type: "Image"}
	w.takes(it, 2, 3)
	w.requests("GET manifests", "GET blobs", "GET blobs", "GET blobs")
	w.takes(it, 2, 3)
	w.requests("HEAD manifests")
}
