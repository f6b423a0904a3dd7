package cas

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/gantry-build/gantry/internal/diag"
)

// verified reads the file of blob d, which belongs to the reader from now on.
func (s *Store) verified(f *os.File, d Digest) *verifier {
	return &verifier{f: f, want: d, hash: sha256.New(), damaged: func() error { return s.condemn(f.Name(), d) }}
}

// Verify reads blob d in one of the store's folders. A blob that is gone is ErrNotFound; one that rotted, or that the disk does not
// give, is GANTRY4010 and is removed. It does not count as a use.
func (s *Store) Verify(dir string, d Digest) error {
	f, err := os.Open(blobPath(dir, d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case err != nil:
		return corrupt(fmt.Sprintf("blob %s in the content store cannot be read", d), err, s.condemn(blobPath(dir, d), d))
	}
	v := s.verified(f, d)
	defer v.Close()
	_, err = io.Copy(io.Discard, v)
	return err
}

type verifier struct {
	f       *os.File
	want    Digest
	hash    hash.Hash
	damaged func() error // removes the blob
	failed  error
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.failed != nil {
		return 0, v.failed
	}
	n, err := v.f.Read(p)
	v.hash.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		got := sumOf(v.hash)
		if got == v.want {
			return n, io.EOF
		}
		v.f.Close() // Windows removes no open file
		v.failed = corrupt(fmt.Sprintf("blob %s in the content store has digest %s", v.want, got), nil, v.damaged())
	case errors.Is(err, fs.ErrClosed):
		v.failed = err
	default: // the disk does not give what it was given
		v.f.Close()
		v.failed = corrupt(fmt.Sprintf("blob %s in the content store cannot be read", v.want), err, v.damaged())
	}
	return n, v.failed
}

func (v *verifier) Close() error {
	if v.failed != nil {
		return nil // closed before the blob was removed
	}
	return v.f.Close()
}

func corrupt(what string, reason, kept error) error {
	hint := "it was removed; run again"
	if kept != nil {
		hint = "it cannot be removed (" + kept.Error() + ")"
	}
	return diag.Wrap(diag.StoreCorrupt, reason, what, hint)
}

// condemn removes a damaged blob. Where that cannot be, as in a read-only store, the folder for temporary files remembers it, so that
// what is made or fetched anew is found in its place.
func (s *Store) condemn(path string, d Digest) error {
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if s.temp != nil && s.temp.dir != s.dir && s.temp.condemn(d) {
		return nil
	}
	return err
}
