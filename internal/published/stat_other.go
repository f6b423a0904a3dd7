//go:build !linux && !darwin && !windows

package published

import "io/fs"

func of(_ string, fi fs.FileInfo) Stat {
	return Stat{Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
}

func ofOpen(f fs.File) (Stat, error) {
	fi, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return of("", fi), nil
}

func keepsChangeTime(string) bool { return false }
