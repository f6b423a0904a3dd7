// Package layertoc lists what a layer's tar has: for each path whether it is a file, a folder, a link or a deletion, and the digest of a
// file's content. With the lists of two layers one can say at which paths they differ without reading them again.
//
// A list is a small text, a blob of the content store like any other. The tar is foreign input: its paths may be anything.
package layertoc

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// Kind is what a layer has at a path.
type Kind string

// Kinds. Deleted and Opaque are whiteouts (image-spec, layer.md): a path of lower layers that is gone, and a folder of which all is gone
// that lower layers have in it.
const (
	File    Kind = "file"
	Folder  Kind = "folder"
	Link    Kind = "link"
	Special Kind = "special"
	Deleted Kind = "deleted"
	Opaque  Kind = "opaque"
)

// Entry is one path of a layer.
type Entry struct {
	// Path is relative to the root of the image, clean, with slashes; any bytes but zero.
	Path string
	Kind Kind
	// Digest is that of a file's content; empty when the file is a hard link to one that the layer does not have.
	Digest cas.Digest
	// Target is where a symbolic link leads to, or the path of which a file without a digest is another name.
	Target string
}

// Same says whether two layers with these entries at one path have the same there. Modes, owners and times are no content.
func (e Entry) Same(o Entry) bool {
	return e.Kind == o.Kind && e.Digest == o.Digest && e.Target == o.Target && e.Kind != Special
}

// Contents are the entries of a layer.
type Contents struct {
	// Entries are in ascending order of their paths, each path once: of several in the tar the last one counts. It is nil when they are
	// more than are listed.
	Entries []Entry
	// Unsafe says what the tar has that a layer should not have: an absolute path, "..", a device; empty when nothing.
	Unsafe string
}

// bounds are those of what is listed: a layer with more is a layer all the same.
type bounds struct {
	entries int
	text    int // bytes of paths and targets
}

// limits are far above what images have.
var limits = bounds{entries: 1 << 20, text: 32 << 20}

// ErrNoTar says that the input is no tar, or not a whole one.
var ErrNoTar = errors.New("it is no tar")

// Read reads a tar up to its end marker; what stands behind that is left to the caller. It needs memory for the list only.
func Read(r io.Reader) (*Contents, error) { return read(r, limits) }

func read(r io.Reader, most bounds) (*Contents, error) {
	l := &lister{most: most, byPath: map[string]Entry{}}
	first := &countingReader{r: r}
	archive := tar.NewReader(first)
	for {
		h, err := archive.Next()
		if err == io.EOF && first.n > 0 {
			return l.contents(), nil
		}
		if err != nil {
			return nil, errors.Join(ErrNoTar, err)
		}
		if err := l.add(h, archive); err != nil {
			return nil, errors.Join(ErrNoTar, err)
		}
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type lister struct {
	most     bounds
	byPath   map[string]Entry
	text     int
	overflow bool
	unsafe   string
}

func (l *lister) add(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // says something of the archive, as git's do, and is no entry
		return nil
	}
	l.unsafe = cmp.Or(l.unsafe, unsafe(h))
	e := Entry{Path: clean(h.Name)}
	dir, base := path.Split(e.Path)
	switch {
	case e.Path == "":
		return nil
	case base == ".wh..wh..opq":
		e.Path, e.Kind = strings.TrimSuffix(dir, "/"), Opaque
	case strings.HasPrefix(base, ".wh.") && strings.Trim(base[len(".wh."):], ".") != "": // of a name, which those of dots are not
		e.Path, e.Kind = dir+strings.TrimPrefix(base, ".wh."), Deleted
	default:
		if err := e.fill(h, content); err != nil {
			return err
		}
	}
	if l.overflow {
		return nil
	}
	if e.Kind == Opaque {
		e.Path += "/" // beside the folder's own entry
	}
	l.text += len(e.Path) + len(e.Target)
	if l.byPath[e.Path] = e; len(l.byPath) > l.most.entries || l.text > l.most.text {
		l.overflow, l.byPath = true, nil
	}
	return nil
}

// fill says what an entry is that is no whiteout.
func (e *Entry) fill(h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont:
		if sparse(h) {
			e.Kind = Special
			return nil
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, content); err != nil {
			return err
		}
		e.Kind, e.Digest = File, cas.Digest("sha256:"+hex.EncodeToString(hash.Sum(nil)))
	case tar.TypeDir:
		e.Kind = Folder
	case tar.TypeSymlink:
		e.Kind, e.Target = Link, h.Linkname
	case tar.TypeLink:
		e.Kind, e.Target = File, clean(h.Linkname)
	default:
		e.Kind = Special
	}
	return nil
}

// sparse says whether a file has holes: a few bytes of the tar may be exabytes of content, which nobody wants to hash. Of the other form of
// such files (tar.TypeGNUSparse) the type tells.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// clean is a path of the tar relative to the root; "" is the root itself. One that leads out of the root ends at it.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// unsafe says what is wrong with an entry of a tarball that people make.
func unsafe(h *tar.Header) string {
	for _, p := range []struct{ what, path string }{{"", h.Name}, {"a hard link to ", hardLink(h)}} {
		switch {
		case strings.HasPrefix(p.path, "/") || strings.HasPrefix(p.path, `\`) || len(p.path) > 1 && p.path[1] == ':':
			return p.what + "the absolute path " + quote(p.path)
		case slices.Contains(strings.FieldsFunc(p.path, func(r rune) bool { return r == '/' || r == '\\' }), ".."):
			return p.what + "the path " + quote(p.path) + ", which leads out of the layer"
		}
	}
	if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
		return "the device " + quote(h.Name)
	}
	return ""
}

func hardLink(h *tar.Header) string {
	if h.Typeflag == tar.TypeLink {
		return h.Linkname
	}
	return ""
}

// contents is the list, hard links within the layer resolved.
func (l *lister) contents() *Contents {
	c := &Contents{Unsafe: l.unsafe}
	if l.overflow {
		return c
	}
	c.Entries = make([]Entry, 0, len(l.byPath))
	for _, e := range l.byPath {
		to := e
		for range maxLinks {
			if to.Kind != File || to.Digest != "" {
				break
			}
			to = l.byPath[to.Target]
		}
		if to.Digest != "" {
			e.Digest, e.Target = to.Digest, ""
		}
		c.Entries = append(c.Entries, e)
	}
	slices.SortFunc(c.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return c
}

// maxLinks bounds hard links to hard links.
const maxLinks = 8
