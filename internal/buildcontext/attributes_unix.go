//go:build linux || darwin

package buildcontext

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gantry-build/gantry/internal/cas"
)

// attributes is the digest of the extended attributes of the file at path, or of the link there. It is empty when there are none or when the
// file system has none.
func attributes(path string) (cas.Digest, error) {
	size, err := unix.Llistxattr(path, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return "", nil
	}
	var names []byte
	if err == nil {
		names = make([]byte, size)
		size, err = unix.Llistxattr(path, names)
	}
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for name := range strings.SplitSeq(string(names[:size]), "\x00") {
		if name == "" || !counts(name) {
			continue
		}
		value, err := attribute(path, name)
		if err != nil {
			return "", err
		}
		values[name] = value
	}
	return foldAttributes(values), nil
}

func attribute(path, name string) (string, error) {
	size, err := unix.Lgetxattr(path, name, nil)
	if err != nil || size == 0 {
		return "", err
	}
	value := make([]byte, size)
	size, err = unix.Lgetxattr(path, name, value)
	return string(value[:max(size, 0)]), err
}

// deviceOf is the number of the device that a file stands for.
func deviceOf(fi fs.FileInfo) uint64 {
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(sys.Rdev)
	}
	return 0
}
