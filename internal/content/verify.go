package content

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Verify gives what r has, which must be size bytes that hash to d: else the last Read fails with GANTRY2004. what names r in errors.
func Verify(r io.ReadCloser, d cas.Digest, size int64, what string) io.ReadCloser {
	return &verifier{r: r, want: d, left: size, hash: sha256.New(), what: what}
}

type verifier struct {
	r    io.ReadCloser
	want cas.Digest
	left int64
	hash hash.Hash
	what string
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	v.left -= int64(n)
	switch {
	case v.left < 0:
		return 0, v.mismatch("it is longer than announced")
	case err != io.EOF:
		return n, err
	case v.left > 0:
		return n, v.mismatch(fmt.Sprintf("%d bytes are missing", v.left))
	}
	if got := "sha256:" + hex.EncodeToString(v.hash.Sum(nil)); got != string(v.want) {
		return n, v.mismatch("it has the digest " + got)
	}
	return n, io.EOF
}

func (v *verifier) Close() error { return v.r.Close() }

func (v *verifier) mismatch(why string) error {
	return diag.New(diag.DigestMismatch, fmt.Sprintf("%s in %s is not what its name says: %s", v.want, v.what, why), "make it anew")
}
