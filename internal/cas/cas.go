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
// or fetch it again.
package cas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// Digest is "sha256:" and 64 lower-case hexadecimal digits (image-spec,
// descriptor.md). Other algorithms are not supported.
type Digest string

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseDigest checks the form of s.
func ParseDigest(s string) (Digest, error) {
	if !digestForm.MatchString(s) {
		return "", fmt.Errorf("%q is not a digest: want sha256: and 64 lower-case hexadecimal digits", s)
	}
	return Digest(s), nil
}

// DigestOf hashes data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Hex returns the part after the algorithm.
func (d Digest) Hex() string { return string(d)[len("sha256:"):] }

// UnmarshalText refuses what ParseDigest refuses, so that a bad digest cannot
// come in with a document.
func (d *Digest) UnmarshalText(b []byte) error {
	p, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = p
	return nil
}

// ErrNotFound says that the store does not have a blob.
var ErrNotFound = errors.New("not in the content store")

// Store is a folder of blobs. Its methods are safe for concurrent use.
type Store struct{ dir string }

// Open returns the store in dir. Nothing is created until something is
// written.
func Open(dir string) *Store { return &Store{dir: dir} }

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// Path is where the blob d lies when the store has it.
func (s *Store) Path(d Digest) string { return filepath.Join(s.dir, "blobs", "sha256", d.Hex()) }

// Size returns the size in bytes of blob d, or ErrNotFound.
func (s *Store) Size(d Digest) (int64, error) {
	fi, err := os.Stat(s.Path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// Open opens blob d for reading. The reader verifies the content: at the end
// of a blob that does not hash to d, Read returns an error with code
// GANTRY4010 instead of io.EOF, and the blob is removed from the store.
func (s *Store) Open(d Digest) (io.ReadCloser, error) {
	f, err := os.Open(s.Path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &verifier{f: f, want: d, hash: sha256.New()}, nil
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

type verifier struct {
	f    *os.File
	want Digest
	hash hash.Hash
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.f.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if got := Digest("sha256:" + hex.EncodeToString(v.hash.Sum(nil))); got != v.want {
			os.Remove(v.f.Name())
			return n, diag.New(diag.StoreCorrupt,
				fmt.Sprintf("blob %s in the content store has digest %s", v.want, got),
				"it was removed; run again")
		}
	}
	return n, err
}

func (v *verifier) Close() error { return v.f.Close() }

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

// PutBytes stores data and returns its digest.
func (s *Store) PutBytes(data []byte) (Digest, error) {
	d := DigestOf(data)
	if _, err := s.Size(d); err == nil {
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

// Writer takes the content of one new blob. It is for one goroutine.
type Writer struct {
	store *Store
	f     *os.File
	hash  hash.Hash
	size  int64
}

// Create begins a blob whose digest is not known yet. The caller must call
// Discard when done, whether it committed or not.
func (s *Store) Create() (*Writer, error) {
	dir := filepath.Join(s.dir, "ingest")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(err)
	}
	s.sweep(dir)
	f, err := os.CreateTemp(dir, "blob-")
	if err != nil {
		return nil, unwritable(err)
	}
	return &Writer{store: s, f: f, hash: sha256.New()}, nil
}

// abandonedAfter is how long an ingest file may rest unwritten before it
// counts as left behind by a process that was killed.
const abandonedAfter = 24 * time.Hour

func (s *Store) sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > abandonedAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Write appends to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, unwritable(err)
	}
	return n, nil
}

// Digest is the digest of what was written so far.
func (w *Writer) Digest() Digest {
	return Digest("sha256:" + hex.EncodeToString(w.hash.Sum(nil)))
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Commit moves the finished blob into the store and returns its digest.
func (w *Writer) Commit() (Digest, error) {
	d := w.Digest()
	if err := w.f.Chmod(0o444); err != nil {
		return "", unwritable(err)
	}
	if err := w.f.Close(); err != nil {
		return "", unwritable(err)
	}
	path := w.store.Path(d)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", unwritable(err)
	}
	if err := os.Rename(w.f.Name(), path); err != nil {
		return "", unwritable(err)
	}
	return d, nil
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
// %LocalAppData%), else under the temporary folder.
func DefaultDir(getenv func(string) string) string {
	if d := getenv("GANTRY_CACHE_DIR"); d != "" {
		return d
	}
	if d, err := os.UserCacheDir(); err == nil {
		return filepath.Join(d, "gantry")
	}
	return filepath.Join(os.TempDir(), "gantry")
}
