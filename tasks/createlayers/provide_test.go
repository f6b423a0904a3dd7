package createlayers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/tasks"
)

// counted is a store that counts the blobs that are begun.
type counted struct {
	*cas.Store
	created atomic.Int32
}

func (c *counted) Create() (*cas.Writer, error) {
	c.created.Add(1)
	return c.Store.Create()
}

// bench is an app with the dependencies that a run has.
type bench struct {
	*app
	log      bytes.Buffer
	recalled *tasks.Recalled
	failed   error // what Recall returns
	asked    int
}

func newBench(t *testing.T) *bench {
	b := &bench{app: newApp(t)}
	b.list(t)
	return b
}

// run returns the layers, the number of layers that were made, and what Made was told, in order of name.
func (b *bench) run(t testing.TB, editDeps func(*Deps), edit func(*Request)) (resp *Response, made int) {
	t.Helper()
	store := &counted{Store: b.store}
	b.log.Reset()
	var mu sync.Mutex
	var told []tasks.Layer
	d := Deps{
		Store: store, Records: records.Of(b.store), Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Recall: func(context.Context) (*tasks.Recalled, error) {
			b.asked++
			return b.recalled, b.failed
		},
		RecallCheap: true,
		Made: func(l tasks.Layer) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, l)
		},
	}
	if editDeps != nil {
		editDeps(&d)
	}
	b.asked = 0
	resp, err := b.tryDeps(t, d, edit)
	must(t, err)
	byName := func(a, b tasks.Layer) int { return strings.Compare(a.Name, b.Name) }
	want := slices.SortedFunc(slices.Values(resp.Layers), byName)
	slices.SortFunc(told, byName)
	if d.Made != nil && !reflect.DeepEqual(told, want) {
		t.Errorf("Made was told of %+v, want %+v", told, want)
	}
	return resp, int(store.created.Load())
}

// lose removes a layer's blob from the store.
func (b *bench) lose(t testing.TB, l tasks.Layer) {
	t.Helper()
	must(t, os.Remove(b.store.Path(l.Descriptor.Digest)))
}

func (b *bench) says(t testing.TB, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(b.log.String(), s) {
			t.Errorf("the log does not say %q:\n%s", s, b.log.String())
		}
	}
}

func TestLayersOfTheStore(t *testing.T) {
	b := newBench(t)
	first, made := b.run(t, nil, nil)
	if made != 4 || b.asked != 1 {
		t.Fatalf("%d layers made, asked %d times; want 4 and 1", made, b.asked)
	}
	b.says(t, "made layer app", "the content store has none of this key")

	again, made := b.run(t, nil, nil)
	if made != 0 || b.asked != 0 || !reflect.DeepEqual(again, first) {
		t.Errorf("nothing changed: %d layers made, asked %d times, equal %t", made, b.asked, reflect.DeepEqual(again, first))
	}
	b.says(t, "took layer runtime from the content store", "took layer app from the content store")

	// One file changed: one layer.
	write(t, b.dir, "app.dll", "new content")
	b.list(t)
	changed, made := b.run(t, nil, nil)
	for i, l := range changed.Layers {
		if same := reflect.DeepEqual(l, first.Layers[i]); same == (l.Name == "app") {
			t.Errorf("%s is the same: %t", l.Name, same)
		}
	}
	if made != 1 {
		t.Errorf("one file changed: %d layers made", made)
	}

	// A blob that is lost, and one of another size.
	b.lose(t, first.Layers[0])
	path := b.store.Path(first.Layers[1].Descriptor.Digest)
	must(t, os.Chmod(path, 0o644))
	must(t, os.WriteFile(path, []byte("short"), 0o644))
	again, made = b.run(t, nil, nil)
	if made != 2 || !reflect.DeepEqual(again.Layers, changed.Layers) {
		t.Errorf("two blobs lost: %d layers made", made)
	}
	b.says(t, "the content store has lost it")
	b.read(t, again.Layers[0])
	b.read(t, again.Layers[1])
}

// recalledOf is what a registry says of an image with layers.
func recalledOf(layers []tasks.Layer) *tasks.Recalled {
	return &tasks.Recalled{Reference: "reg.example/app:latest", Layers: slices.Clone(layers)}
}

func TestLayersOfTheRegistry(t *testing.T) {
	b := newBench(t)
	want, _ := b.run(t, nil, nil)
	fresh := func() { b.store = cas.Open(t.TempDir()) }

	fresh()
	b.recalled = recalledOf(want.Layers)
	// Name, counts and history of the earlier image are its own affair.
	for i := range b.recalled.Layers {
		b.recalled.Layers[i].Name, b.recalled.Layers[i].Files, b.recalled.Layers[i].CreatedBy = "", 0, "someone"
	}
	got, made := b.run(t, nil, nil)
	if made != 0 || b.asked != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("all is there: %d made, asked %d times\n got %+v\nwant %+v", made, b.asked, got, want)
	}
	b.says(t, "took layer runtime from the registry", "reg.example/app:latest")

	tests := []struct {
		name  string
		edit  func(*tasks.Recalled)
		deps  func(*Deps)
		made  int
		asked int
	}{
		{"one layer changed", func(r *tasks.Recalled) { r.Layers[3].Key = cas.DigestOf(nil) }, nil, 1, 1},
		{"no key", func(r *tasks.Recalled) { r.Layers[3].Key = "" }, nil, 1, 1},
		{"another media type", func(r *tasks.Recalled) { r.Layers[0].Descriptor.MediaType = image.OCILayerGzip }, nil, 1, 1},
		{"no diff ID", func(r *tasks.Recalled) { r.Layers[0].DiffID = "" }, nil, 1, 1},
		{"no size", func(r *tasks.Recalled) { r.Layers[0].Descriptor.Size = 0 }, nil, 1, 1},
		{"little to make", nil, func(d *Deps) { d.RecallCheap = false }, 4, 0},
		{"blobs needed", nil, func(d *Deps) { d.BlobsNeeded = true }, 4, 0},
		{"no recall", nil, func(d *Deps) { d.Recall = nil }, 4, 0},
		{"no records", nil, func(d *Deps) { d.Records = nil }, 0, 1},
		{"no image", func(r *tasks.Recalled) { *r = tasks.Recalled{} }, nil, 4, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fresh()
			b.recalled = recalledOf(want.Layers)
			if tt.edit != nil {
				tt.edit(b.recalled)
			}
			got, made := b.run(t, tt.deps, nil)
			if made != tt.made || b.asked != tt.asked || !reflect.DeepEqual(got, want) {
				t.Errorf("%d made, asked %d times, want %d and %d; the response is the same: %t", made, b.asked, tt.made, tt.asked, reflect.DeepEqual(got, want))
			}
		})
	}

	fresh()
	b.recalled, b.failed = nil, errors.New("connection refused")
	if got, made := b.run(t, nil, nil); made != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("registry down: %d made", made)
	}
	b.says(t, "connection refused")
}

// What would take long is worth a question.
func TestAskedForMuchContent(t *testing.T) {
	b := newBench(t)
	for _, size := range []int{worthAsking / 2, worthAsking} {
		write(t, b.dir, "data/a.txt", strings.Repeat("x", size))
		b.list(t)
		b.run(t, func(d *Deps) { d.RecallCheap = false }, nil)
		if want := size / worthAsking; b.asked != want {
			t.Errorf("%d bytes: asked %d times, want %d", size, b.asked, want)
		}
	}
}

func TestLayerKeysThatAreNotTrusted(t *testing.T) {
	b := newBench(t)
	want, _ := b.run(t, nil, nil)
	b.recalled = recalledOf(want.Layers)
	b.recalled.Layers[0].DiffID = cas.DigestOf([]byte("another"))
	trust := false
	b.store = cas.Open(t.TempDir())
	got, made := b.run(t, nil, func(r *Request) { r.TrustLayerKeys = &trust })
	if made != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d layers made, want 4; equal %t", made, reflect.DeepEqual(got, want))
	}
	b.says(t, "layer runtime of the earlier image is not what its key says", "layer keys of a registry are not trusted")
	if strings.Contains(b.log.String(), "layer app of the earlier image") {
		t.Errorf("an equal layer is reported:\n%s", b.log.String())
	}
	trust = true
	b.store = cas.Open(t.TempDir())
	if _, made := b.run(t, nil, func(r *Request) { r.TrustLayerKeys = &trust }); made != 0 {
		t.Errorf("trusted: %d layers made", made)
	}
}

// A remake makes the blobs that are missing, though a registry and the records know the layers, and no others.
func TestRemakeMakesTheBlobs(t *testing.T) {
	b := newBench(t)
	want, _ := b.run(t, nil, nil)
	b.recalled = recalledOf(want.Layers)
	b.lose(t, want.Layers[3])
	got, made := b.run(t, func(d *Deps) { d.BlobsNeeded = true }, nil)
	if made != 1 || b.asked != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d made, asked %d times", made, b.asked)
	}
	for _, l := range got.Layers {
		b.read(t, l)
	}
}

// A file that is not what the list says makes no layer of the list's key.
func TestLayerIsWhatItsKeySays(t *testing.T) {
	b := newBench(t)
	write(t, b.dir, "lib.dll", "Content of lib.dll") // as long as before
	deps := Deps{Store: b.store, Records: records.Of(b.store)}
	_, err := b.tryDeps(t, deps, nil)
	wantError(t, err, diag.FileChanged, `"lib.dll"`, "other content")
	// The error is gone with its cause, and nothing wrong was remembered.
	write(t, b.dir, "lib.dll", "content of lib.dll")
	got, _ := b.run(t, nil, nil)
	if content := b.read(t, got.Layers[2])["app/lib.dll"].content; content != "content of lib.dll" {
		t.Errorf("lib.dll is %q", content)
	}
}

// Projects that share a layer make it once, however many run at once.
func TestSharedLayersAreMadeOnce(t *testing.T) {
	b := newBench(t)
	store := &counted{Store: b.store}
	document := b.request()
	b.run(t, func(d *Deps) { d.Store, d.Records, d.Made = &counted{Store: cas.Open(t.TempDir())}, nil, nil }, nil) // writes the documents
	var wg sync.WaitGroup
	got := make([]*Response, 8)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = Run(context.Background(), Deps{Store: store, Records: records.Of(b.store)}, document); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := store.created.Load(); n != 4 {
		t.Errorf("%d blobs made, want 4", n)
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], got[0]) {
			t.Errorf("response %d differs: %+v", i, got[i])
		}
	}
}
