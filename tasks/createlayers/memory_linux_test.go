package createlayers

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
)

// Memory follows the number of cores and not the size of the files: layers of 288 MiB in all, with more cores than most machines have.
func TestMemoryIsBounded(t *testing.T) {
	gantry := testenv.BuildGantry(t)
	// A child's peak counts its parent's at the start, as it is a copy of it for a moment: so the parent is a process without other tests.
	if os.Getenv("GANTRY_TEST_ALONE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryIsBounded$")
		cmd.Env = append(os.Environ(), "GANTRY_TEST_ALONE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	a := newApp(t)
	a.base.Format = tasks.FormatOCI
	a.document(t)
	f, err := os.Create(filepath.Join(a.dir, "0.bin"))
	must(t, err)
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), 48<<20)
	must(t, err)
	must(t, f.Close())
	for i := 1; i < 6; i++ {
		must(t, os.Link(filepath.Join(a.dir, "0.bin"), filepath.Join(a.dir, strconv.Itoa(i)+".bin")))
	}
	a.list(t)
	level := 1
	request := a.request()
	request.CompressionLevel = &level
	request.OwnLayers = []OwnLayer{{Name: "half", Files: []string{"[0-2].bin"}}}
	for _, compression := range []string{"gzip", "zstd"} {
		request.Compression = compression
		document(t, filepath.Join(a.docs, "request.json"), request)
		for _, tt := range []struct {
			what  string
			limit int64 // MiB
		}{{"made layer half", 256}, {"took layer half", 64}} {
			cmd := exec.Command(gantry, Stage, "--request", filepath.Join(a.docs, "request.json"), "--response", filepath.Join(a.docs, "layers.json"))
			cmd.Env = append(os.Environ(), "GOMAXPROCS=16", "GOGC=100", "GOMEMLIMIT=off", "GANTRY_CACHE_DIR="+a.store.Dir())
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.what) {
				t.Fatalf("%s: %v\n%s", compression, err, out)
			}
			if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10; peak > tt.limit {
				t.Errorf("%s, %s: peak memory %d MiB, want at most %d", compression, tt.what, peak, tt.limit)
			}
		}
	}
}
