// Package atomicfile replaces files as a whole: a reader sees the old content
// or the new, never a part. Concurrent writers are allowed; one rename wins.
// It does not promise durability across a power cut.
package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Create makes a temporary file beside path, to be renamed to it. Its rights are those of any new file of this process.
func Create(path string) (*os.File, error) {
	for range 1000 {
		name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(uint64(rand.Uint32()), 10))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // less what the umask takes: it is the user's file
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fs.ErrExist
}

// TemporaryOf is the name of the file that a temporary file is to replace; ok says whether name is that of one.
func TemporaryOf(name string) (of string, ok bool) {
	of, hidden := strings.CutPrefix(strings.TrimSuffix(name, filepath.Ext(name)), ".")
	_, err := strconv.ParseUint(strings.TrimPrefix(filepath.Ext(name), "."), 10, 32)
	return of, hidden && err == nil
}

// forgotten is the age at which a temporary file is that of a run that was interrupted.
const forgotten = 24 * time.Hour

// Sweep removes from a folder what interrupted runs left there of files whose names are ours. That it cannot is no harm.
func Sweep(dir string, ours func(name string) bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if of, ok := TemporaryOf(e.Name()); !ok || !ours(of) {
			continue
		}
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() && time.Since(fi.ModTime()) > forgotten {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Write puts data at path through a temporary file in the same folder.
func Write(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// WriteIfDifferent is Write, but leaves a file alone that already has these
// bytes, so that its time still says when the content last changed. It
// reports whether it wrote.
func WriteIfDifferent(path string, data []byte) (bool, error) {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return false, nil
	}
	return true, Write(path, data)
}
