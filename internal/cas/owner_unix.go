//go:build unix

package cas

import (
	"io/fs"
	"os"
	"syscall"
)

// owned says that a folder is this user's and closed to all others.
func owned(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && fi.Mode().Perm()&0o077 == 0
}
