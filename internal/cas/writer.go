package cas

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gantry-build/gantry/internal/diag"
)

// Writer takes the content of one new blob. It is for one goroutine.
type Writer struct {
	store *Store
	dir   string // the folder that f is in and that the blob goes to
	f     *os.File
	hash  hash.Hash
	size  int64
	again bool // the file was lost once
}

// Create begins a blob whose digest is not known yet. The caller must call
// Discard when done, whether it committed or not.
func (s *Store) Create() (*Writer, error) {
	f, dir, err := s.ingest()
	if err != nil {
		return nil, err
	}
	return &Writer{store: s, dir: dir, f: f, hash: sha256.New()}, nil
}

// ingest makes a temporary file in the store's folder, or in that which replaces it.
func (s *Store) ingest() (f *os.File, dir string, err error) {
	if !s.replaced() {
		if !s.temporary() {
			if f, err = createTemp(s.dir); err == nil {
				return f, s.dir, nil
			}
		}
		if err := s.replace(err); err != nil {
			return nil, "", err
		}
	}
	if f, err = createTemp(s.temp.dir); err != nil {
		return nil, "", unwritable(err)
	}
	return f, s.temp.dir, nil
}

func createTemp(dir string) (*os.File, error) {
	dir = filepath.Join(dir, IngestDir)
	f, err := os.CreateTemp(dir, "blob-")
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, "blob-")
}

// Write appends to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.append(p)
	if err == nil {
		return n, nil
	}
	if err := w.move(err); err != nil {
		return n, err
	}
	m, err := w.append(p[n:])
	if err != nil {
		err = unwritable(err)
	}
	return n + m, err
}

func (w *Writer) append(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

// Digest is the digest of what was written so far.
func (w *Writer) Digest() Digest { return sumOf(w.hash) }

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Commit moves the finished blob into the store and returns its digest.
func (w *Writer) Commit() (Digest, error) {
	d := w.Digest()
	for {
		err := w.place(d)
		if err == nil {
			w.store.acquit(w.dir, d)
			return d, nil
		}
		if err := w.move(err); err != nil {
			return "", err
		}
	}
}

// place gives the file its name. The file stays open until it has it, so that its content is not lost with the folder; Windows renames
// no open file.
func (w *Writer) place(d Digest) error {
	_ = w.f.Chmod(0o444) // a courtesy, which not every file system does
	if runtime.GOOS == "windows" {
		if err := w.f.Close(); err != nil {
			return err
		}
	}
	from, to := w.f.Name(), blobPath(w.dir, d)
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		err = os.Rename(from, to)
	}
	if err != nil {
		// Windows does not replace a file that somebody reads
		if fi, e := os.Stat(to); runtime.GOOS != "windows" || e != nil || fi.Size() != w.size {
			return err
		}
		return os.Remove(from)
	}
	if err := w.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		os.Remove(to) // what a late failure left of it cannot be known
		return err
	}
	return nil
}

// move carries what was written to another file, after its own failed because of reason: in the same folder when the file was lost,
// as somebody emptied the store, else in the folder for temporary files. The error is GANTRY4009 and the reason.
func (w *Writer) move(reason error) error {
	lost := errors.Is(reason, fs.ErrNotExist) && !w.again
	w.again = true
	if !lost {
		if w.dir != w.store.dir { // nowhere else to go
			return unwritable(reason)
		}
		if err := w.store.replace(reason); err != nil {
			return err
		}
	}
	f, dir, err := w.store.ingest()
	if err != nil {
		return err
	}
	if err := w.copyTo(f); err != nil {
		f.Close()
		os.Remove(f.Name())
		return unwritable(both(reason, err))
	}
	w.Discard()
	w.f, w.dir = f, dir
	return nil
}

// copyTo writes the content so far to f, and proves it: what comes off a failing disk may be anything.
func (w *Writer) copyTo(f *os.File) error {
	old := w.f
	if _, err := old.Seek(0, io.SeekStart); err != nil { // closed
		if old, err = os.Open(w.f.Name()); err != nil {
			return err
		}
		defer old.Close()
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(old, w.size)); err != nil {
		return err
	}
	if sumOf(h) != w.Digest() {
		return errors.New("what was written cannot be read back")
	}
	return nil
}

// Discard removes what was written, unless it was committed.
func (w *Writer) Discard() {
	w.f.Close()
	os.Remove(w.f.Name())
}

func unwritable(err error) error {
	return diag.Wrap(diag.StoreUnwritable, err, "the content store cannot be written",
		"free some space, or set GantryCacheDir (GANTRY_CACHE_DIR) to another folder")
}

// both joins two reasons, the first of which may be missing, in one line.
func both(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}
