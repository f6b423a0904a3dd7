package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// verifier passes exactly size bytes through and checks that they hash to
// want. The last bytes are held back until then: a reader that got all of
// them got the right ones, and an upload of wrong content never completes.
type verifier struct {
	ctx    context.Context // ends copying from one disk to another too
	r      io.ReadCloser
	want   cas.Digest
	hash   hash.Hash
	size   int64
	left   int64
	failed error
	done   bool
	onRead func(n int) // may be nil
}

func newVerifier(ctx context.Context, r io.ReadCloser, want cas.Digest, size int64) *verifier {
	return &verifier{ctx: ctx, r: r, want: want, hash: sha256.New(), size: size, left: size}
}

func (v *verifier) Read(p []byte) (int, error) {
	switch {
	case v.failed != nil:
		return 0, v.failed
	case v.done:
		return 0, io.EOF
	case len(p) == 0 && v.left > 0:
		return 0, nil
	}
	n, err := v.read(p)
	if err != nil {
		v.failed = err
		return 0, err
	}
	if v.onRead != nil {
		v.onRead(n)
	}
	if v.done && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (v *verifier) read(p []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	if v.left > 0 {
		var err error
		n, err = v.r.Read(p[:min(int64(len(p)), v.left)])
		v.hash.Write(p[:n])
		v.left -= int64(n)
		if err != nil && v.left > 0 {
			return 0, v.short(err)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	if v.left > 0 {
		return n, nil
	}
	if err := v.check(); err != nil {
		return 0, err
	}
	v.done = true
	return n, nil
}

// check compares the digest and gives the source a chance to report its own
// verdict, which it does at its end.
func (v *verifier) check() error {
	got := cas.Digest("sha256:" + hex.EncodeToString(v.hash.Sum(nil)))
	if got == v.want {
		return nil
	}
	if _, err := v.r.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return mismatch(fmt.Sprintf("blob %s", v.want), v.want, got)
}

func (v *verifier) short(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return diag.New(diag.DigestMismatch,
		fmt.Sprintf("blob %s ends after %d of %d bytes", v.want, v.size-v.left, v.size), digestHint)
}

func (v *verifier) Close() error { return v.r.Close() }

const digestHint = "run again; if it stays so, something between you and the registry changes content"

func mismatch(what string, want, got cas.Digest) error {
	return diag.New(diag.DigestMismatch, fmt.Sprintf("%s has the digest %s where %s was expected", what, got, want), digestHint)
}
