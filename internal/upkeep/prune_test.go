package upkeep

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/records"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// aged writes a file that was last used that long ago.
func aged(t testing.TB, path string, data []byte, age time.Duration) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, data, 0o600))
	at := time.Now().Add(-age)
	must(t, os.Chtimes(path, at, at))
}

// newStore has four blobs of 1000 bytes, last used one hour, one day, ten days and forty days ago, with a record each, and what else
// may lie about.
func newStore(t *testing.T) (store *cas.Store, digests []cas.Digest) {
	t.Helper()
	store = cas.Open(filepath.Join(t.TempDir(), "store"))
	for i, age := range []time.Duration{time.Hour, day, 10 * day, 40 * day} {
		d := cas.DigestOf(bytes.Repeat([]byte{byte(i)}, 1000))
		digests = append(digests, d)
		aged(t, store.Path(d), bytes.Repeat([]byte{byte(i)}, 1000), age)
		records.Of(store).KeepLayer(records.Layer{Key: d, Digest: d, DiffID: d, Size: 1000})
		records.Of(store).KeepHolder("r", "a", d)
	}
	for _, dir := range []string{"layers", "holders"} {
		found, err := filepath.Glob(filepath.Join(store.Dir(), "records", dir, "*"))
		must(t, err)
		if len(found) != 4 {
			t.Fatalf("%d records", len(found))
		}
		for _, file := range found {
			at := time.Now().Add(-5 * time.Hour)
			must(t, os.Chtimes(file, at, at))
		}
	}
	for name, age := range map[string]time.Duration{
		"ingest/blob-old": 3 * time.Hour, "ingest/blob-young": time.Hour, "records/layers/.x.json.123": 3 * time.Hour, "records/layers/.y.json.1": 0,
		"records/layers/garbage.json": 3 * time.Hour, "locks/old.lock": 2 * day, "locks/young.lock": time.Hour, "locks/store": 40 * day, "blobs/sha256/x": 40 * day,
	} {
		aged(t, filepath.Join(store.Dir(), filepath.FromSlash(name)), []byte("12345"), age)
	}
	return store, digests
}

// left are the files of a store, blobs by their place in digests, without records.
func left(t *testing.T, store *cas.Store, digests []cas.Digest) string {
	t.Helper()
	var names []string
	must(t, filepath.Walk(store.Dir(), func(path string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return err
		}
		name, err := filepath.Rel(store.Dir(), path)
		if i := slices.Index(digests, cas.Digest("sha256:"+filepath.Base(path))); i >= 0 {
			name = string(rune('0' + i))
		}
		if !strings.Contains(name, "records") || strings.Contains(name, "/.") || strings.Contains(name, "garbage") {
			names = append(names, name)
		}
		return err
	}))
	return strings.Join(names, " ")
}

func TestPrune(t *testing.T) {
	const always = " blobs/sha256/x ingest/blob-young locks/store locks/young.lock records/layers/.y.json.1"
	for _, tc := range []struct {
		name    string
		limits  Limits
		left    string
		records int
	}{
		{"nothing beyond", Limits{1e9, 90 * day}, "0 1 2 3", 0},
		{"age", Limits{1e9, 30 * day}, "0 1 2", 2},
		{"size", Limits{2500, 90 * day}, "0 1", 4},
		{"size to the byte", Limits{3000, 90 * day}, "0 1 2", 2},
		{"both", Limits{2500, 20 * day}, "0 1", 4},
		{"all but what is in use", Limits{0, 0}, "0", 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store, digests := newStore(t)
			before := left(t, store, digests)
			kept := len(strings.Fields(tc.left))
			want := Pruned{
				Blobs: Files{4 - kept, int64(4-kept) * 1000}, Kept: Files{kept, int64(kept) * 1000}, Ingest: Files{1, 5}, Records: tc.records + 2, Locks: 1,
			}
			dry, err := Prune(t.Context(), t.Context(), store, tc.limits, true)
			must(t, err)
			if after := left(t, store, digests); after != before {
				t.Errorf("a dry run left %s of %s", after, before)
			}
			did, err := Prune(t.Context(), t.Context(), store, tc.limits, false)
			must(t, err)
			for name, got := range map[string]Pruned{"dry": dry, "did": did} {
				if got.Blobs != want.Blobs || got.Kept != want.Kept || got.Ingest != want.Ingest || got.Records != want.Records || got.Locks != 1 || got.Busy != nil {
					t.Errorf("%s: %+v, want %+v", name, got, want)
				}
			}
			after := strings.Fields(left(t, store, digests))
			wanted := strings.Fields(tc.left + always)
			slices.Sort(after)
			slices.Sort(wanted)
			if !slices.Equal(after, wanted) {
				t.Errorf("left %q, want %q", after, wanted)
			}
			for i, d := range digests {
				_, known := records.Of(store).Layer(d)
				if want := i < kept; known != want || (records.Of(store).Holders("r", d) != nil) != want {
					t.Errorf("records of blob %d: %v", i, known)
				}
			}
		})
	}
}

// A store that is in use is left as it is, and the one who asked is told.
// TestPrune_layerBlobs: what a layer of a registry is stays known without its blob, as long as a build has used it lately.
func TestPrune_layerBlobs(t *testing.T) {
	store := cas.Open(filepath.Join(t.TempDir(), "store"))
	of := func(name string) records.LayerBlob {
		d := cas.DigestOf([]byte(name))
		return records.LayerBlob{Digest: d, DiffID: d, MediaType: "m", Size: 1, By: records.ByReading}
	}
	ages := map[string]time.Duration{"young": time.Hour, "used": 29 * day, "forgotten": 31 * day, ".half": 3 * time.Hour}
	for name, age := range ages {
		records.Of(store).KeepLayerBlob(of(name))
		file := filepath.Join(store.Dir(), cas.RecordsDir, records.BlobsKind, of(name).Digest.Hex()+".json")
		if name == ".half" {
			to := filepath.Join(filepath.Dir(file), ".x.json.1")
			must(t, os.Rename(file, to))
			file = to
		}
		at := time.Now().Add(-age)
		must(t, os.Chtimes(file, at, at))
	}
	p, err := Prune(t.Context(), t.Context(), store, DefaultLimits(), false)
	must(t, err)
	if p.Records != 2 {
		t.Errorf("%d records were removed", p.Records)
	}
	for name, kept := range map[string]bool{"young": true, "used": true, "forgotten": false} {
		if _, ok := records.Of(store).LayerBlob(of(name).Digest); ok != kept {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

func TestPrune_inUse(t *testing.T) {
	store, digests := newStore(t)
	before := left(t, store, digests)
	user := cas.Open(store.Dir())
	release := user.Use()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	did, err := Prune(t.Context(), over, store, Limits{}, false)
	if err != nil || len(did.Busy) != 1 || !strings.Contains(did.Busy[0], "in use") || did.Blobs.Files > 0 {
		t.Errorf("got %+v, %v", did, err)
	}
	if after := left(t, store, digests); after != before {
		t.Errorf("left %s of %s", after, before)
	}
	release()
	if did, err = Prune(t.Context(), over, store, Limits{}, false); err != nil || did.Blobs.Files != 3 {
		t.Errorf("then %+v, %v", did, err)
	}
}

// Whoever comes while a store is pruned uses it all the same, and is seen by the next prune.
func TestPrune_userComes(t *testing.T) {
	store, _ := newStore(t)
	pruned, err := cas.Alone(t.Context(), store.Dir())
	must(t, err)
	user := cas.Open(store.Dir())
	release := user.Use()
	if _, err := user.PutBytes([]byte("hello")); err != nil {
		t.Error(err)
	}
	pruned()
	for { // until the lock is taken
		now, cancel := context.WithCancel(t.Context())
		cancel()
		alone, err := cas.Alone(now, store.Dir())
		if err != nil {
			break
		}
		alone()
		time.Sleep(time.Millisecond)
	}
	release()
	did, err := Prune(t.Context(), t.Context(), store, Limits{}, false)
	if err != nil || did.Blobs.Files != 3 || did.Kept.Files != 2 {
		t.Errorf("got %+v, %v", did, err)
	}
}

// A folder for temporary files that stands in for a store is pruned too.
func TestPrune_fallback(t *testing.T) {
	store, digests := newStore(t)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Chmod(store.Dir(), 0o700))
	aged(t, filepath.Join(store.Dir(), "published", "old.json"), nil, 91*day)
	aged(t, filepath.Join(store.Dir(), "published", "new.json"), nil, 89*day)
	aged(t, filepath.Join(store.Dir(), "said-1"), nil, 2*day)
	aged(t, filepath.Join(store.Dir(), "said-2"), nil, time.Hour)
	aged(t, filepath.Join(store.Dir(), "damaged", digests[0].Hex()), nil, 2*day)
	both := cas.Open(filepath.Join(file, "x")).WithFallback(cas.Fallback{Dir: store.Dir()})
	did, err := Prune(t.Context(), t.Context(), both, Limits{2500, 90 * day}, false)
	if err != nil || did.Blobs.Files != 2 {
		t.Errorf("got %+v, %v", did, err)
	}
	got := left(t, store, digests)
	for name, stays := range map[string]bool{"said-1": false, "said-2": true, "damaged": false, "old.json": false, "new.json": true} {
		if strings.Contains(got, name) != stays {
			t.Errorf("%s: left %s", name, got)
		}
	}
}

// By itself a store is pruned once a day, when nobody uses it.
func TestDaily(t *testing.T) {
	store, digests := newStore(t)
	var log bytes.Buffer
	daily := func() {
		Daily(t.Context(), store, func(string) string { return "" }, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	release := cas.Open(store.Dir()).Use()
	daily()
	if !strings.Contains(log.String(), "in use") {
		t.Errorf("a store in use: %s", &log)
	}
	release()
	daily()
	if _, err := store.Size(digests[3]); err == nil || !strings.Contains(log.String(), "was pruned") {
		t.Errorf("when it is due: %s", &log)
	}
	stamp := filepath.Join(store.Dir(), stampFile)
	for _, tc := range []struct {
		age  time.Duration
		runs bool
	}{{0, false}, {23 * time.Hour, false}, {25 * time.Hour, true}, {-time.Hour, true}} {
		at := time.Now().Add(-tc.age)
		must(t, os.Chtimes(stamp, at, at))
		aged(t, store.Path(digests[3]), bytes.Repeat([]byte{3}, 1000), 40*day)
		log.Reset()
		daily()
		if _, err := os.Stat(store.Path(digests[3])); (err != nil) != tc.runs {
			t.Errorf("stamp of %s ago: %v, %s", tc.age, err, &log)
		}
	}
}

// A store that cannot be written is not pruned, and nobody waits or fails for it.
func TestDaily_unwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	Daily(t.Context(), cas.Open(file), func(string) string { return "garbage" }, slog.New(slog.DiscardHandler))
}

func TestVerify(t *testing.T) {
	store, digests := newStore(t)
	count, damaged, err := Verify(t.Context(), store)
	if err != nil || count != 4 || len(damaged) > 0 {
		t.Fatalf("%d blobs, %v, %v", count, damaged, err)
	}
	if fi, err := os.Stat(store.Path(digests[3])); err != nil || time.Since(fi.ModTime()) < 39*day {
		t.Error("verifying counts as a use")
	}
	must(t, os.Truncate(store.Path(digests[1]), 999))
	must(t, os.Remove(store.Path(digests[2])))
	must(t, os.Mkdir(store.Path(digests[2]), 0o700)) // no blob
	count, damaged, err = Verify(t.Context(), store)
	if err != nil || count != 3 || len(damaged) != 1 || damaged[0].Digest != digests[1] || diag.CodeOf(damaged[0].Err) != diag.StoreCorrupt {
		t.Errorf("%d blobs, %v, %v", count, damaged, err)
	}
	if _, err := os.Stat(store.Path(digests[1])); err == nil {
		t.Error("the damaged blob is still there")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Verify(canceled, store); err == nil {
		t.Error("canceled, and no error")
	}
}

func TestLook(t *testing.T) {
	store, _ := newStore(t)
	info := Look(store)
	if info.Dir != store.Dir() || info.Blobs != 4 || info.Bytes != 4000 || info.Records != 9 || info.Ingest != (Files{2, 10}) {
		t.Errorf("got %+v", info)
	}
	if age := time.Since(*info.OldestUse); age < 39*day || age > 41*day {
		t.Errorf("oldest use %s ago", age)
	}
	if info := Look(cas.Open(filepath.Join(store.Dir(), "none"))); info.Blobs != 0 || info.OldestUse != nil {
		t.Errorf("of nothing: %+v", info)
	}
}

// What a CI cache carries to another machine, the blobs and the records, is a store there.
func TestRestoredElsewhere(t *testing.T) {
	store, digests := newStore(t)
	dir := filepath.Join(t.TempDir(), "elsewhere")
	for _, part := range []string{"blobs", "records"} {
		must(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(store.Dir(), part))))
	}
	must(t, os.RemoveAll(store.Dir()))
	other := cas.Open(dir)
	for i, d := range digests {
		if got, err := other.ReadAll(d); err != nil || len(got) != 1000 {
			t.Errorf("blob %d: %d bytes, %v", i, len(got), err)
		}
		if l, ok := records.Of(other).Layer(d); !ok || l.Digest != d {
			t.Errorf("layer %d: %v, %v", i, l, ok)
		}
		if got := records.Of(other).Holders("r", d); !slices.Equal(got, []string{"a"}) {
			t.Errorf("holders %d: %q", i, got)
		}
	}
	if _, err := other.PutBytes([]byte("hello")); err != nil {
		t.Error(err)
	}
}

// A blob that is used between the list and its turn stays.
func TestSweep_usedMeanwhile(t *testing.T) {
	store, digests := newStore(t)
	s := sweep{Pruned: &Pruned{}, dir: store.Dir(), now: time.Now()}
	for _, b := range blobsIn(store.Dir()) {
		used := b.digest == digests[2]
		if used {
			_, err := store.Size(b.digest)
			must(t, err)
		}
		if removed := s.remove(b.file); removed == used {
			t.Errorf("%s: removed %v", b.digest, removed)
		}
	}
}
