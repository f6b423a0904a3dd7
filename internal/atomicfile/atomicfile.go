// Package atomicfile replaces files as a whole: a reader sees the old content
// or the new, never a part. Concurrent writers are allowed; one rename wins.
// It does not promise durability across a power cut.
package atomicfile

import (
	"bytes"
	"os"
	"path/filepath"
)

// Write puts data at path through a temporary file in the same folder.
func Write(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil { // CreateTemp makes it private; build outputs are not
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
