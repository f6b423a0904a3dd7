package scan

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

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
		if err == nil {
			f()
		}
		done <- err
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
			req.Rewritten = []string{"**/f"}
			var err error
			asNobody(t, func() { _, err = Run(context.Background(), Deps{}, req) })
			wantError(t, err, diag.UnreadableFile, tt.says, "right to read")
		})
	}
}

// TestSameSizeSameTime has changes that leave a file's size and time as they were.
func TestSameSizeSameTime(t *testing.T) {
	at := time.Unix(1700000000, 1)
	put := func(t *testing.T, dir, name, content string) {
		t.Helper()
		write(t, dir, name, content)
		must(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	move := func(t *testing.T, dir, from, to string) {
		t.Helper()
		must(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
	}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
	}{
		{"other content", func(t *testing.T, dir string) { put(t, dir, "a", "2222") }},
		{"another file in its place", func(t *testing.T, dir string) {
			put(t, dir, "new", "2222")
			move(t, dir, "new", "a")
		}},
		{"two files change places", func(t *testing.T, dir string) {
			move(t, dir, "a", "c")
			move(t, dir, "b", "a")
			move(t, dir, "c", "b")
		}},
		{"no right to read", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "a"), 0)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "a", "1111")
			put(t, dir, "b", "0000")
			before, err := Run(context.Background(), Deps{}, request(dir))
			must(t, err)
			tick(t, before.Files[1].ChangeTime)
			tt.change(t, dir)
			after, err := Run(context.Background(), Deps{}, request(dir))
			must(t, err)
			a, b := before.Files[0], after.Files[0]
			if a.ChangeTime == b.ChangeTime {
				t.Error("the change time is the same")
			}
			a.ChangeTime, b.ChangeTime = 0, 0
			if paths(after) != paths(before) || a != b {
				t.Errorf("more changed:\n%+v\n%+v", a, b)
			}
		})
	}
}

// tick waits for the kernel's clock for files, which has a step of milliseconds.
func tick(t *testing.T, since int64) {
	t.Helper()
	dir := t.TempDir()
	for now := since; now <= since; {
		write(t, dir, "f", "")
		fi, err := os.Stat(filepath.Join(dir, "f"))
		must(t, err)
		now = changeTime(fi)
	}
}
