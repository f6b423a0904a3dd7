package upkeep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/records"
)

const (
	childStore  = "GANTRY_TEST_CHILD_STORE"
	childNumber = "GANTRY_TEST_CHILD_NUMBER"

	processes = 64
	rounds    = 20
	common    = 12 // blobs that all processes write and read
)

// killed says whether the n-th process kills itself while it writes.
func killed(n int) bool { return n%8 == 5 }

// TestManyProcesses has 64 processes write and read the same blobs and records and their own, some of which die at it, while the store
// is pruned all the time as if nobody used it. Each may miss anything, and none may be given what is not whole.
func TestManyProcesses(t *testing.T) {
	if dir := os.Getenv(childStore); dir != "" {
		n, err := strconv.Atoi(os.Getenv(childNumber))
		must(t, err)
		(&child{t: t, n: n, store: cas.Open(dir), rand: rand.New(rand.NewPCG(uint64(n), 1))}).run()
		return
	}
	store := cas.Open(filepath.Join(t.TempDir(), "store"))
	ended := make(chan struct{})
	var pruned Pruned
	var pruner sync.WaitGroup
	pruner.Go(func() { pruned = pruneUntil(t, store, ended) })
	var children sync.WaitGroup
	for n := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestManyProcesses$")
		cmd.Env = append(os.Environ(), childStore+"="+store.Dir(), childNumber+"="+strconv.Itoa(n))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		must(t, cmd.Start())
		children.Go(func() {
			err := cmd.Wait()
			if wasKilled := cmd.ProcessState.ExitCode() == -1; err != nil && !wasKilled || wasKilled != killed(n) {
				t.Errorf("process %d: %v\n%s", n, err, &out)
			}
		})
	}
	children.Wait()
	close(ended)
	pruner.Wait()
	if pruned.Blobs.Files == 0 || pruned.Records == 0 || pruned.Locks == 0 {
		t.Errorf("nothing was pruned meanwhile: %+v", pruned)
	}
	count, damaged, err := Verify(t.Context(), store)
	if err != nil || count == 0 || len(damaged) > 0 {
		t.Errorf("%d blobs, %v, %v", count, damaged, err)
	}
	// nobody has the store any more, and what the killed left behind goes
	for _, f := range filesIn(filepath.Join(store.Dir(), cas.IngestDir)) {
		must(t, os.Chtimes(f.path, time.Time{}, time.Now().Add(-2*inUse)))
	}
	if did, err := Prune(t.Context(), t.Context(), store, DefaultLimits(), false); err != nil || did.Busy != nil || did.Ingest.Files == 0 {
		t.Errorf("at the end: %+v, %v", did, err)
	}
	if info := Look(store); info.Ingest.Files != 0 || info.Blobs != count {
		t.Errorf("left: %+v", info)
	}
}

// pruneUntil prunes with and without being alone.
func pruneUntil(t *testing.T, store *cas.Store, ended <-chan struct{}) (did Pruned) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		select {
		case <-ended:
			return did
		default:
		}
		if _, err := Prune(t.Context(), over, store, Limits{}, false); err != nil {
			t.Error(err)
		}
		s := sweep{Pruned: &did, dir: store.Dir(), now: time.Now()}
		if err := s.run(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

type child struct {
	t     *testing.T
	n     int
	store *cas.Store
	rand  *rand.Rand
}

func (c *child) run() {
	if c.n%2 == 0 {
		defer c.store.Use()()
	}
	for round := range rounds {
		if killed(c.n) && round == rounds/2 {
			c.die()
		}
		k := c.rand.IntN(common)
		unlock := c.lock(k)
		c.write(content(k))
		unlock()
		c.write(content(1000*c.n + common + round))
		c.read(c.rand.IntN(common))
		c.note(k)
	}
}

// content is that of a blob: different in size, too.
func content(k int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%06d ", k), 1000+97*(k%50)) }

// lock takes a lock that others want too; now and then it is one that is old.
func (c *child) lock(k int) (unlock func()) {
	name := fmt.Sprint("lock ", k)
	unlock = records.Of(c.store).Lock(c.t.Context(), name)
	c.age("locks", "*.lock")
	return unlock
}

func (c *child) write(data []byte) {
	w, err := c.store.Create()
	if err != nil {
		c.t.Error(err)
		return
	}
	defer w.Discard()
	for part := range slices.Chunk(data, 4096) {
		if _, err := w.Write(part); err != nil {
			c.t.Error(err)
			return
		}
	}
	if d, err := w.Commit(); err != nil || d != cas.DigestOf(data) {
		c.t.Errorf("%s: %v", d, err)
	}
	c.age("blobs/sha256", cas.DigestOf(data).Hex())
}

func (c *child) read(k int) {
	want := content(k)
	got, err := c.store.ReadAll(cas.DigestOf(want))
	if err == nil && !bytes.Equal(got, want) || err != nil && !errors.Is(err, cas.ErrNotFound) {
		c.t.Errorf("blob %d: %d bytes, %v", k, len(got), err)
	}
}

// note writes and reads records.
func (c *child) note(k int) {
	r, d := records.Of(c.store), cas.DigestOf(content(k))
	want := records.Layer{Key: d, Digest: d, DiffID: d, Size: int64(k + 1)}
	if got, ok := r.Layer(d); ok && got != want {
		c.t.Errorf("layer %d: %v", k, got)
	}
	r.KeepLayer(want)
	r.KeepHolder("registry:5000", fmt.Sprint("team/repository", c.n), d)
	for _, name := range r.Holders("registry:5000", d) {
		if !strings.HasPrefix(name, "team/repository") {
			c.t.Errorf("holders %d: %q", k, name)
		}
	}
	c.age("records/layers", d.Hex()+".json")
	c.age("records/holders", d.Hex()+"*")
}

// age makes some files look as if nobody had used them for long.
func (c *child) age(dir, pattern string) {
	if c.rand.IntN(2) == 0 {
		return
	}
	found, err := filepath.Glob(filepath.Join(c.store.Dir(), filepath.FromSlash(dir), pattern))
	must(c.t, err)
	for _, file := range found {
		_ = os.Chtimes(file, time.Time{}, time.Now().Add(-2*day)) // it may be pruned already
	}
}

// die kills this process in the middle of a blob.
func (c *child) die() {
	w, err := c.store.Create()
	must(c.t, err)
	_, err = w.Write(content(7))
	must(c.t, err)
	self, err := os.FindProcess(os.Getpid())
	must(c.t, err)
	must(c.t, self.Kill())
	select {}
}
