package resolvelayers

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestFiles_pipe: only files and folders can be in a layer.
func TestFiles_pipe(t *testing.T) {
	w := filesWorld(t, "m/a")
	must(t, syscall.Mkfifo(filepath.Join(w.dir, "m", "pipe"), 0o600))
	it := Item{Include: "l", Files: "m/**"}
	w.fails(diag.UnsupportedFile, it, "m/pipe")
	it.Except = "m/pipe"
	if list := strings.Join(listed(t, w.must(it)), " "); list != "a<m/a" {
		t.Errorf("got %q", list)
	}
}
