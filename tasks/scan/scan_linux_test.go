package scan

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

func TestPipe(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "p"), 0o644))
	_, err := Run(context.Background(), Deps{}, request(dir))
	wantError(t, err, diag.UnsupportedFile, `"p"`, "a pipe", "delete")
}

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
		defer func() { done <- err }() // also when f fails the test
		if err == nil {
			f()
		}
	}()
	must(t, <-done)
}

func TestUnreadable(t *testing.T) {
	tests := []struct{ name, locked, says string }{
		{"folder", "sub", `"sub"`},
		{"file compared by content", "sub/f", `"sub/f"`},
		{"the publish folder", ".", "the publish folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(filepath.Dir(dir), 0o755)) // else nobody gets as far as dir
			write(t, dir, "sub/f", "f")
			path := filepath.Join(dir, tt.locked)
			must(t, os.Chmod(path, 0))
			t.Cleanup(func() { os.Chmod(path, 0o755) })
			req := request(dir)
			var err error
			asNobody(t, func() { _, err = Run(context.Background(), Deps{}, req) })
			wantError(t, err, diag.UnreadableFile, tt.says, "right to read")
		})
	}
}

func TestCannotReplace_asRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		return // stale_test.go has it
	}
	s := newSite(t)
	must(t, filepath.WalkDir(filepath.Dir(s.dir), func(path string, _ os.DirEntry, err error) error {
		must(t, err)
		return os.Chown(path, 65534, 65534)
	}))
	must(t, os.Chmod(filepath.Dir(filepath.Dir(s.dir)), 0o755)) // else nobody gets as far
	asNobody(t, s.cannotReplace)
}
