package layer

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"strconv"

	"github.com/gantry-build/gantry/internal/cas"
)

const (
	// keyVersion is that of the key's own form.
	keyVersion = 1
	// tarFormat is the version of the byte format that the package documentation specifies.
	tarFormat = 1
)

// Key returns the layer's key: the SHA-256 of everything that decides a byte of it, so that two layers of one key are the same bytes.
// No file is read, as each has the digest of its content in the file list; a file without one is an error. The key does not depend on
// the order of the lists, and on nothing of the machine.
//
// It is the digest of a list of fields, each written as its length in decimal digits, a colon and its bytes; numbers are in decimal
// digits:
//
//	"gantry layer key", keyVersion, tarFormat,
//	media type, algorithm, compressor (Go modules with versions), level, block size in bytes,
//	number of entries, then for each entry in the order of the tar:
//	path, type flag, mode, owner, group, time, security descriptor, size, digest of the content (empty for a folder)
//
// The entry's pax records follow from these fields.
func Key(spec *Spec, mediaType string) (cas.Digest, error) {
	c, err := spec.Compression.codec()
	if err != nil {
		return "", err
	}
	entries, err := plan(spec)
	if err != nil {
		return "", err
	}
	k := keyHash{sha256.New()}
	k.text("gantry layer key")
	k.number(keyVersion, tarFormat)
	k.text(mediaType, c.algorithm, c.compressor)
	k.number(int64(c.level), int64(c.block), int64(len(entries)))
	for i := range entries {
		e := &entries[i]
		content, err := e.file.ContentDigest()
		if err != nil {
			return "", err
		}
		k.text(e.Path, string(e.kind()))
		k.number(e.mode(), e.UID, e.GID, e.Time)
		k.text(e.Security)
		k.number(e.Size)
		k.text(string(content))
	}
	return digestOf(k.Hash), nil
}

// ContentDigest is the digest of what follows the file's entry in the tar; empty for nil, which stands for a folder. A file of which none
// is known is an error.
func (f *File) ContentDigest() (cas.Digest, error) {
	switch {
	case f == nil:
		return "", nil
	case f.Content != nil:
		return cas.DigestOf(f.Content), nil
	case f.Digest == "":
		return "", fmt.Errorf("layer: no digest of %q is known", f.Path)
	}
	return f.Digest, nil
}

// keyHash hashes fields.
type keyHash struct{ hash.Hash }

func (k keyHash) text(fields ...string) {
	for _, s := range fields {
		fmt.Fprintf(k, "%d:%s", len(s), s)
	}
}

func (k keyHash) number(fields ...int64) {
	for _, n := range fields {
		k.text(strconv.FormatInt(n, 10))
	}
}
