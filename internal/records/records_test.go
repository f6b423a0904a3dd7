package records

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
)

func digest(s string) cas.Digest { return cas.DigestOf([]byte(s)) }

var someLayer = Layer{Key: digest("key"), Digest: digest("blob"), DiffID: digest("tar"), Size: 17}

func newRecords(t *testing.T) (*Records, *cas.Store) {
	t.Helper()
	store := cas.Open(filepath.Join(t.TempDir(), "store"))
	return Of(store), store
}

// fileOf is the only record of a kind.
func fileOf(t *testing.T, store *cas.Store, kind string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store.Dir(), "records", kind, "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("records of %s: %q, %v", kind, found, err)
	}
	return found[0]
}

func TestLayer(t *testing.T) {
	r, store := newRecords(t)
	if _, ok := r.Layer(someLayer.Key); ok {
		t.Error("a layer that nobody kept is known")
	}
	r.KeepLayer(someLayer)
	if got, ok := r.Layer(someLayer.Key); !ok || got != someLayer {
		t.Errorf("got %v, %v", got, ok)
	}
	if file := fileOf(t, store, "layers"); filepath.Base(file) != someLayer.Key.Hex()+".json" {
		t.Errorf("in %s", file)
	}
	other := someLayer
	other.Digest = digest("another compressor's")
	r.KeepLayer(other)
	if got, ok := r.Layer(someLayer.Key); !ok || got != other {
		t.Errorf("got %v, %v", got, ok)
	}
}

// What cannot be a layer is neither kept nor known.
func TestLayer_invalid(t *testing.T) {
	r, store := newRecords(t)
	for _, edit := range []func(*Layer){
		func(l *Layer) { l.Key = "" },
		func(l *Layer) { l.Digest = "" },
		func(l *Layer) { l.DiffID = "sha256:../../x" },
		func(l *Layer) { l.Size = 0 },
	} {
		l := someLayer
		edit(&l)
		r.KeepLayer(l)
	}
	if _, err := os.Stat(store.Dir()); err == nil {
		t.Error("something was kept")
	}
	for _, key := range []cas.Digest{"", "x", "sha256:../../x"} {
		if _, ok := r.Layer(key); ok {
			t.Errorf("%q is known", key)
		}
		if got := r.Holders("r", key); got != nil {
			t.Errorf("holders of %q: %q", key, got)
		}
		r.KeepHolder("r", "a", key)
	}
}

// A record that says anything but what was written is a miss, and can be written again.
func TestLayer_garbage(t *testing.T) {
	r, store := newRecords(t)
	r.KeepLayer(someLayer)
	file := fileOf(t, store, "layers")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)/2], "more": append(slices.Clone(whole), '}'), "zeros": make([]byte, len(whole)), "null": []byte("null"),
		"other diff ID": bytes.Replace(whole, []byte(someLayer.DiffID), []byte(digest("x")), 1),
		"other digest":  bytes.Replace(whole, []byte(someLayer.Digest), []byte(digest("x")), 1),
		"other size":    bytes.Replace(whole, []byte("17"), []byte("18"), 1),
		"no sum":        bytes.Replace(whole, []byte(`"sum"`), []byte(`"son"`), 1),
		"huge":          append(bytes.Repeat([]byte(" "), 2<<20), whole...),
	}
	for name, data := range bad {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := r.Layer(someLayer.Key); ok {
			t.Errorf("%s: got %v", name, got)
		}
		r.KeepLayer(someLayer)
		if got, ok := r.Layer(someLayer.Key); !ok || got != someLayer {
			t.Errorf("%s, then written again: got %v, %v", name, got, ok)
		}
	}
	// the record of another key under this name
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), digest("other").Hex()+".json"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := r.Layer(digest("other")); ok {
		t.Errorf("the key of another: got %v", got)
	}
}

func TestHolders(t *testing.T) {
	r, store := newRecords(t)
	d := digest("blob")
	for i, step := range []struct {
		keep string
		want []string
	}{
		{"a", []string{"a"}},
		{"a", []string{"a"}},
		{"team/b", []string{"team/b", "a"}},
		{"a", []string{"a", "team/b"}},
		{"c", []string{"c", "a", "team/b"}},
		{"d", []string{"d", "c", "a", "team/b"}},
		{"e", []string{"e", "d", "c", "a"}},
		{"../x", []string{"e", "d", "c", "a"}},
		{"A b", []string{"e", "d", "c", "a"}},
		{"", []string{"e", "d", "c", "a"}},
	} {
		r.KeepHolder("localhost:5000", step.keep, d)
		if got := r.Holders("localhost:5000", d); !slices.Equal(got, step.want) {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
	if got := r.Holders("other", d); got != nil {
		t.Errorf("another registry: %q", got)
	}
	if got := r.Holders("localhost:5000", digest("x")); got != nil {
		t.Errorf("another blob: %q", got)
	}
	data, err := os.ReadFile(fileOf(t, store, "holders"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), os.TempDir()) || strings.Contains(string(data), store.Dir()) {
		t.Errorf("a path of this machine in %s", data)
	}
	if got, ok := Blob(data); !ok || got != d {
		t.Errorf("the blob of %s: %s, %v", data, got, ok)
	}
}

// A store that can be neither read nor written knows nothing and remembers nothing, at once.
func TestRecords_unusableStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := Of(cas.Open(file))
	r.KeepLayer(someLayer)
	r.KeepHolder("r", "a", someLayer.Digest)
	if _, ok := r.Layer(someLayer.Key); ok {
		t.Error("a layer is known")
	}
	if got := r.Holders("r", someLayer.Digest); got != nil {
		t.Errorf("holders: %q", got)
	}
	r.Lock(t.Context(), "x")() // returns
}

// At most one has a lock, and all get it.
func TestLock(t *testing.T) {
	r, _ := newRecords(t)
	var wg sync.WaitGroup
	var has, most atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 5 {
				unlock := r.Lock(t.Context(), "layer /:x")
				most.Store(max(most.Load(), has.Add(1)))
				for range 100 {
					runtime.Gosched()
				}
				has.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d had the lock at once", most.Load())
	}
}

func TestLock_canceled(t *testing.T) {
	r, _ := newRecords(t)
	unlock := r.Lock(t.Context(), "x")
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan struct{})
	go func() {
		r.Lock(ctx, "x")()
		close(waited)
	}()
	other := r.Lock(t.Context(), "y") // another name does not wait
	select {
	case <-waited:
		t.Error("the lock was given twice")
	default:
	}
	cancel()
	<-waited
	other()
	unlock()
	r.Lock(t.Context(), "x")()
}

const lockedStore = "GANTRY_TEST_LOCKED_STORE"

// A process that is killed gives its locks back.
func TestLock_killed(t *testing.T) {
	if dir := os.Getenv(lockedStore); dir != "" {
		Of(cas.Open(dir)).Lock(t.Context(), "x")
		fmt.Println("locked")
		select {}
	}
	r, store := newRecords(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLock_killed$")
	cmd.Env = append(os.Environ(), lockedStore+"="+store.Dir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("locked"))
	if _, err := out.Read(line); err != nil || string(line) != "locked" {
		t.Fatalf("%q, %v", line, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Lock(ctx, "x")()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	done := make(chan struct{})
	go func() {
		r.Lock(t.Context(), "x")()
		close(done)
	}()
	<-done
}

func FuzzRecords(f *testing.F) {
	layer, err := json.Marshal(layerFile{someLayer, someLayer.sum()})
	if err != nil {
		f.Fatal(err)
	}
	holders, err := json.Marshal(holdersFile{"r:1", someLayer.Digest, []string{"a", "b/c"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{layer, holders, nil, []byte("{}"), []byte("[]"), []byte(`{"digest":"sha256:x"}`), []byte(`{"repositories":["../.."]}`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, ok := parseLayer(data, someLayer.Key); ok && l != someLayer {
			// no other sum fits but by a collision or by who knows how it is made, and then the fields are sound
			if !l.valid() || l.Key != someLayer.Key {
				t.Errorf("%q: got %v", data, l)
			}
		}
		got := parseHolders(data, "r:1", someLayer.Digest)
		if len(got) > maxHolders {
			t.Errorf("%q: got %q", data, got)
		}
		for _, name := range got {
			if strings.Contains("/"+name+"/", "/../") || strings.ContainsAny(name, " ?&#%:\\\n") || name == "" {
				t.Errorf("%q: got %q", data, got)
			}
		}
		if d, ok := Blob(data); ok && len(d.Hex()) != 64 {
			t.Errorf("%q: got %q", data, d)
		}
	})
}
