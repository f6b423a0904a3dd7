package scan

import (
	"io/fs"
	"syscall"
)

// systemFile says whether the file has the system attribute, for which the SDK leaves it out.
func systemFile(fi fs.FileInfo) bool {
	a, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	return ok && a.FileAttributes&syscall.FILE_ATTRIBUTE_SYSTEM != 0
}
