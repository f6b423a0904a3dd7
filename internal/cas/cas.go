// Package cas is the content store: blobs named by their SHA-256, shared by
// all projects and processes of a user.
//
// A blob is written to a temporary file in the store's own ingest folder,
// hashed while it is written, and renamed into place when it is complete, so
// that a reader never sees a part of one. Any number of processes on one
// machine may use a store at once without a lock; two that write the same
// blob do the work twice and one rename wins. Network file systems are not
// supported.
//
// Nothing may rely on a blob being there: every caller must be able to make
// or fetch it again. The time of a blob's file says when it was last used, to
// the hour, and decides which blobs are the first to go.
//
// A store that does not take what is written (read-only, full, not a folder,
// another user's) is replaced by a folder for temporary files when it was
// given one, and both are read: see Fallback.
package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// The folders of a store, with slashes. BlobsDir and RecordsDir are content that may be carried to another machine; the others are of
// this machine alone.
const (
	BlobsDir   = "blobs/sha256"
	RecordsDir = "records"
	IngestDir  = "ingest"
	LocksDir   = "locks"
)

// ErrNotFound says that the store does not have a blob, or not one that can be read.
var ErrNotFound = errors.New("not in the content store")

// Store is a folder of blobs. Its methods are safe for concurrent use.
type Store struct {
	dir  string
	temp *temporary // nil: none
	use  use
}

// Open returns the store in dir. Nothing is created until something is
// written.
func Open(dir string) *Store { return &Store{dir: dir} }

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// Path is where the blob d lies when the store's own folder has it.
func (s *Store) Path(d Digest) string { return blobPath(s.dir, d) }

func blobPath(dir string, d Digest) string {
	return filepath.Join(dir, filepath.FromSlash(BlobsDir), d.Hex())
}

// Dirs are the folders that the store reads, its own first.
func (s *Store) Dirs() []string {
	switch {
	case s.temp == nil:
		return []string{s.dir}
	case !s.temp.readable():
		if s.temporary() { // not ours
			return nil
		}
		return []string{s.dir}
	case s.temporary():
		return []string{s.temp.dir}
	}
	return []string{s.dir, s.temp.dir}
}

// paths are where blob d may lie. One that rotted where it could not be removed is left out.
func (s *Store) paths(d Digest) []string {
	dirs := s.Dirs()
	if len(dirs) > 1 && s.temp.condemned(d) {
		dirs = dirs[1:]
	}
	for i, dir := range dirs {
		dirs[i] = blobPath(dir, d)
	}
	return dirs
}

// Size returns the size in bytes of blob d, or ErrNotFound.
func (s *Store) Size(d Digest) (int64, error) {
	err := ErrNotFound
	for _, path := range s.paths(d) {
		fi, e := os.Stat(path)
		if e == nil && fi.Mode().IsRegular() {
			refresh(path, fi)
			return fi.Size(), nil
		}
		err = notFound(err, e)
	}
	return 0, err
}

// Open opens blob d for reading. The reader verifies the content: at the end
// of a blob that does not hash to d, Read returns an error with code
// GANTRY4010 instead of io.EOF, and the blob is removed from the store.
func (s *Store) Open(d Digest) (io.ReadCloser, error) {
	err := ErrNotFound
	for _, path := range s.paths(d) {
		f, e := os.Open(path)
		if e == nil {
			if fi, e := f.Stat(); e == nil {
				refresh(path, fi)
			}
			return s.verified(f, d), nil
		}
		err = notFound(err, e)
	}
	return nil, err
}

// notFound adds to what is ErrNotFound why, where the blob is not just absent: a store that cannot be read is one that has nothing.
func notFound(err, reason error) error {
	if reason == nil || errors.Is(reason, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotFound, reason)
}

// refreshAfter is how old the time of a blob's file may get while it is used: prune counts in days, and a write for every read would
// be dear.
const refreshAfter = time.Hour

// refresh notes that a blob is used. That it cannot be noted makes it go earlier, no more.
func refresh(path string, fi fs.FileInfo) {
	if now := time.Now(); now.Sub(fi.ModTime()) > refreshAfter {
		_ = os.Chtimes(path, time.Time{}, now)
	}
}

// ReadAll returns the verified content of a small blob.
func (s *Store) ReadAll(d Digest) ([]byte, error) {
	r, err := s.Open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Put stores the content of r under d and checks that it hashes to d.
func (s *Store) Put(ctx context.Context, d Digest, r io.Reader) error {
	w, err := s.Create()
	if err != nil {
		return err
	}
	defer w.Discard()
	if _, err := io.Copy(w, contextReader{ctx, r}); err != nil {
		return err
	}
	if got := w.Digest(); got != d {
		return diag.New(diag.DigestMismatch, fmt.Sprintf("content of %s has digest %s", d, got), "run again")
	}
	_, err = w.Commit()
	return err
}

// PutBytes stores data, a small document, and returns its digest. One that is there already is verified, and replaced when it rotted.
func (s *Store) PutBytes(data []byte) (Digest, error) {
	d := DigestOf(data)
	if _, err := s.ReadAll(d); err == nil {
		return d, nil
	}
	w, err := s.Create()
	if err != nil {
		return "", err
	}
	defer w.Discard()
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	return w.Commit()
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// DefaultDir is the user's store: $GANTRY_CACHE_DIR, else gantry under the
// user's cache folder ($XDG_CACHE_HOME or ~/.cache, ~/Library/Caches,
// %LocalAppData%), else TemporaryDir.
func DefaultDir(getenv func(string) string) string {
	if d := getenv("GANTRY_CACHE_DIR"); d != "" {
		return d
	}
	if d, err := os.UserCacheDir(); err == nil {
		return filepath.Join(d, "gantry")
	}
	return TemporaryDir()
}
