package buildcontext

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestFiles_attributes: capabilities and what users set are sent to the builder, labels of the security module are not.
func TestFiles_attributes(t *testing.T) {
	testenv.RequireRoot(t)
	dir := tree(t, "a", "d/b")
	before := all(t, NewStore(""), dir)
	capability := string([]byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, test := range []struct {
		file, name, value string
		changes           bool
	}{
		{"a", "trusted.x", "1", true},
		{"a", "trusted.x", "2", true},
		{"a", "trusted.x", "2", false},
		{"a", "trusted.empty", "", true},
		{"d", "trusted.x", "1", true},
		{"a", "security.capability", capability, true},
		{"a", "security.other", "1", false},
		{".", "trusted.x", "1", false},
	} {
		err := unix.Lsetxattr(filepath.Join(dir, test.file), test.name, []byte(test.value), 0)
		if errors.Is(err, unix.ENOTSUP) {
			t.Fatalf("%s: the folder for temporary files has no extended attributes: %v", test.name, err)
		}
		must(t, err)
		after := all(t, NewStore(""), dir)
		if same := cmp.Equal(before, after); same == test.changes {
			t.Errorf("%s of %s: %v", test.name, test.file, after)
		}
		before = after
	}
}

// TestFiles_device: a file that stands for another device is another file.
func TestFiles_device(t *testing.T) {
	testenv.RequireRoot(t)
	dir := tree(t, "a")
	path := filepath.Join(dir, "dev")
	var last []Entry
	for minor := range uint32(2) {
		must(t, unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(0, minor)))) // 0:0 is what overlayfs takes for a deletion
		now := all(t, NewStore(""), dir)
		if len(now) != 2 || cmp.Equal(last, now) {
			t.Errorf("0:%d: got %v", minor, now)
		}
		last = now
		must(t, unix.Unlink(path))
	}
}
