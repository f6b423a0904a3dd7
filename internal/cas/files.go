package cas

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gantry-build/gantry/internal/atomicfile"
)

// maxFile is the size in bytes of the largest file that ReadFile reads: what is larger is none of ours.
const maxFile = 1 << 20

// ReadFile reads a small file beside the blobs, whose name is relative and has slashes: of those in the folders that the store reads,
// the one that was written last.
func (s *Store) ReadFile(name string) ([]byte, error) {
	var paths []string
	for _, dir := range s.Dirs() {
		paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
	}
	if len(paths) > 1 && newer(paths[1], paths[0]) {
		slices.Reverse(paths)
	}
	err := error(fs.ErrNotExist)
	for _, path := range paths {
		var data []byte
		if data, err = readSmall(path); err == nil {
			return data, nil
		}
	}
	return nil, err
}

func newer(a, b string) bool {
	fa, err := os.Stat(a)
	if err != nil {
		return false
	}
	fb, err := os.Stat(b)
	return err != nil || fa.ModTime().After(fb.ModTime())
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New(path + " is too large")
	}
	return data, err
}

// WriteFile writes a small file beside the blobs as a whole. One that the store's own folder does not take goes to the fallback without
// a word: nobody misses it.
func (s *Store) WriteFile(name string, data []byte) error {
	name = filepath.FromSlash(name)
	if !s.replaced() && !s.temporary() {
		err := writeSmall(filepath.Join(s.dir, name), data)
		if err == nil || s.temp == nil {
			return err
		}
	}
	if err := s.temp.make(); err != nil {
		return err
	}
	return writeSmall(filepath.Join(s.temp.dir, name), data)
}

func writeSmall(path string, data []byte) error {
	err := atomicfile.Write(path, data)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err = atomicfile.Write(path, data)
	}
	return err
}
