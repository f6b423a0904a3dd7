package cas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Digest is "sha256:" and 64 lower-case hexadecimal digits (image-spec,
// descriptor.md). Other algorithms are not supported.
type Digest string

// ParseDigest checks the form of s.
func ParseDigest(s string) (Digest, error) {
	hexadecimal, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hexadecimal) != 64 || strings.Trim(hexadecimal, "0123456789abcdef") != "" {
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
