package cas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"regexp"
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

// sumOf is the digest of what h was given.
func sumOf(h hash.Hash) Digest { return Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

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
