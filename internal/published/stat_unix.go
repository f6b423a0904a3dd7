//go:build linux || darwin

package published

import (
	"io/fs"
	"syscall"
)

func of(_ string, fi fs.FileInfo) Stat {
	s := Stat{Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.ChangeTime, s.Device, s.Inode = changeTime(sys), uint64(sys.Dev), sys.Ino
	}
	return s
}

func ofOpen(f fs.File) (Stat, error) {
	fi, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return of("", fi), nil
}
