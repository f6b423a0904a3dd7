package scan

import (
	"io/fs"
	"syscall"
)

// changeTime is when the kernel last noted a change of the file, in nanoseconds since 1970: nobody can set it back, as cp -p and
// touch do with the time of the content.
func changeTime(fi fs.FileInfo) int64 {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return s.Ctim.Nano()
}
