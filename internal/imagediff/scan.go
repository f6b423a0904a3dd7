package imagediff

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
)

// Limits of a layer. A layer beyond them is refused: nobody makes one, but to exhaust the machine of who reads it.
const (
	maxEntries   = 1 << 20
	maxLayerSize = 64 << 30  // uncompressed bytes, the holes of sparse files included
	maxWindow    = 128 << 20 // of zstd
)

// Kinds of entries.
const (
	typeFile    = "file"
	typeFolder  = "folder"
	typeLink    = "symbolic link"
	typeSpecial = "special file"
	// typeDeleted is a whiteout: a file of a lower layer is gone.
	typeDeleted = "deletion"
	// typeOpaque is a whiteout of all that lower layers have in a folder.
	typeOpaque = "deletion of the folder's content"
)

// entry is a file of a layer, or of all layers together.
type entry struct {
	kind     string
	mode     int64
	uid, gid int
	size     int64
	time     time.Time
	link     string     // what a link leads to; the other name of a hard link
	digest   cas.Digest // of a file's content
	extra    string     // further attributes: xattrs, security descriptors, device numbers
	layer    int        // which layer of the image it comes from
	hard     bool       // a hard link
}

// visitor is told about each entry of a layer in order; content is empty for what is no file.
type visitor func(name string, h *tar.Header, content io.Reader) error

// walk reads layer i of an image and verifies it. What the visitor was told counts only when there is no error. A layer that
// rotted in the store is fetched again by the caller's next try.
func (p *picture) walk(ctx context.Context, i int, visit visitor) error {
	desc, store := p.manifest.Layers[i], p.side.Store
	if _, err := pull.Ensure(ctx, store, p.side.from, desc); err != nil {
		return err
	}
	blob, err := store.Open(desc.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	compressed := bufio.NewReaderSize(contextReader{ctx, blob}, 1<<16)
	plain, done, err := decompress(compressed)
	if err == nil {
		defer done()
		err = p.walkTar(plain, i, visit)
	}
	// To the end, where the store tells whether the content is what it should be: if not, that is the error.
	if _, err2 := io.Copy(io.Discard, compressed); err2 != nil {
		return err2
	}
	var coded *diag.Error
	if err != nil && !errors.As(err, &coded) && ctx.Err() == nil {
		err = diag.Wrap(diag.InvalidBaseManifest, err, fmt.Sprintf("layer %s of %s cannot be read", desc.Digest, p.side.arg), "push the image again")
	}
	return err
}

// walkTar reads a layer's tar and proves its diff ID.
func (p *picture) walkTar(plain io.Reader, i int, visit visitor) error {
	hash := sha256.New()
	limited := &limitedReader{r: io.TeeReader(plain, hash), left: maxLayerSize}
	archive := tar.NewReader(limited)
	logical := int64(maxLayerSize) // a sparse file says that it is larger than what is read
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if logical -= h.Size; logical < 0 || n >= maxEntries {
			return errTooLarge
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if err := visit(name, h, archive); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return err
	}
	if got := digestOf(hash.Sum(nil)); got != p.config.DiffIDs[i] {
		return diag.New(diag.InvalidBaseConfig, fmt.Sprintf("layer %d of %s has the diff ID %s and the configuration says %s", i, p.side.arg, got, p.config.DiffIDs[i]),
			"push the image again")
	}
	return nil
}

var errTooLarge = errors.New("it has more files or bytes than any layer should")

func digestOf(sum []byte) cas.Digest { return cas.Digest("sha256:" + hex.EncodeToString(sum)) }

// decompress chooses by the first bytes: media types of layers are wrong more often.
func decompress(r *bufio.Reader) (plain io.Reader, done func(), err error) {
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxLayerSize))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return r, func() {}, nil
}

// limitedReader fails, unlike io.LimitReader, when there is more.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// cleanName is the path of an entry without a leading slash; "" is the root. A path out of the root is an error.
func cleanName(name string) (string, error) {
	if slices.Contains(strings.Split(name, "/"), "..") || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("it has the path %s", shown(name))
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// scanned is what one layer does to the files below it.
type scanned map[string]*entry

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// scan reads a layer's entries with the digests of their content.
func (p *picture) scan(ctx context.Context, i int) (scanned, error) {
	out := scanned{}
	err := p.walk(ctx, i, func(name string, h *tar.Header, content io.Reader) error {
		dir, base := path.Split(name)
		switch {
		case name == "":
			return nil
		case base == opaque:
			out[dir+opaque] = &entry{kind: typeOpaque, layer: i}
			return nil
		case strings.HasPrefix(base, whiteout):
			out[dir+base[len(whiteout):]] = &entry{kind: typeDeleted, layer: i}
			return nil
		}
		e, err := newEntry(h, content)
		if err != nil {
			return err
		}
		e.layer = i
		out[name] = e
		return nil
	})
	return out, err
}

func newEntry(h *tar.Header, content io.Reader) (*entry, error) {
	e := &entry{mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, time: h.ModTime, extra: extras(h)}
	switch h.Typeflag {
	case tar.TypeReg:
		hash := sha256.New()
		n, err := io.Copy(hash, content)
		if err != nil {
			return nil, err
		}
		e.kind, e.size, e.digest = typeFile, n, digestOf(hash.Sum(nil))
	case tar.TypeDir:
		e.kind = typeFolder
	case tar.TypeSymlink:
		e.kind, e.link = typeLink, h.Linkname
	case tar.TypeLink:
		link, err := cleanName(h.Linkname)
		if err != nil {
			return nil, err
		}
		e.kind, e.link, e.hard = typeFile, link, true
	default:
		e.kind = typeSpecial
		e.extra += fmt.Sprintf("type %c %d:%d", h.Typeflag, h.Devmajor, h.Devminor)
	}
	return e, nil
}

// extras are the attributes that pax records have beside those of the header.
func extras(h *tar.Header) string {
	var keys []string
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") || strings.HasPrefix(k, "MSWINDOWS.") || strings.HasPrefix(k, "LIBARCHIVE.") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s ", k, secret(h.PAXRecords[k]))
	}
	return b.String()
}

// above puts layers from the lowest on together, those below first unknown: what they delete of lower layers stays as a deletion.
func (p *picture) above(ctx context.Context, first int) (scanned, error) {
	all := scanned{}
	for i := first; i < len(p.manifest.Layers); i++ {
		if image.IsForeign(p.manifest.Layers[i].MediaType) {
			continue // never in a registry; the layer list says when it differs
		}
		l, err := p.scan(ctx, i)
		if diag.CodeOf(err) == diag.StoreCorrupt {
			l, err = p.scan(ctx, i) // it was removed, and is fetched now
		}
		if err != nil {
			return nil, err
		}
		all.apply(l)
	}
	all.hardLinks()
	return all, nil
}

// apply puts a layer on top (image-spec, layer.md, "Applying Changesets").
func (s scanned) apply(l scanned) {
	gone := map[string]bool{} // trees that the layer deletes or puts a file in place of
	for name, e := range l {
		switch e.kind {
		case typeOpaque:
			gone[strings.TrimSuffix(strings.TrimSuffix(name, opaque), "/")+"/"] = true
		case typeFolder:
		default:
			gone[name+"/"] = true
		}
	}
	for name := range s {
		for at := strings.IndexByte(name, '/'); at >= 0; {
			if gone[name[:at+1]] {
				delete(s, name)
				break
			}
			next := strings.IndexByte(name[at+1:], '/')
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	for name, e := range l {
		s[name] = e
	}
}

// hardLinks gives each hard link the content of the file that it is another name of.
func (s scanned) hardLinks() {
	for _, e := range s {
		for target, n := e, 0; e.hard && n < 8; n++ {
			if target = s[target.link]; target == nil {
				break
			}
			if target.digest != "" {
				e.digest, e.size = target.digest, target.size
				break
			}
		}
	}
}
