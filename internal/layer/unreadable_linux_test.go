package layer

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// asNobody runs f without root's right to read everything. The thread that loses it ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := syscall.Setfsuid(65534)
		if err == nil {
			f()
		}
		done <- err
	}()
	must(t, <-done)
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "secret.key", "s")
	files := list(t, dir)
	must(t, os.Chmod(filepath.Join(dir, "secret.key"), 0))
	folder := folderAt(t, dir)
	var err error
	asNobody(t, func() {
		err = WriteTar(context.Background(), io.Discard, folder, &Spec{WorkingDirectory: "/app", Files: files})
	})
	wantCode(t, err, diag.UnreadableFile)
}
