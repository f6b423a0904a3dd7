package basemaker

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// madeAt is the time of everything in the images: they are the same on each
// machine that has the same files.
var madeAt = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// tree is a file system to be: path without a leading slash to entry.
type tree map[string]entry

// entry is a file of this machine (file), a file of given content, a link or
// a folder (mode has os.ModeDir).
type entry struct {
	mode  os.FileMode
	file  string
	data  string
	link  string
	owner int
}

func (t tree) addDir(name string, mode os.FileMode, owner int) {
	t[name] = entry{mode: mode | os.ModeDir, owner: owner}
}

// addParents adds the folders above each entry, as a tar of a base has them.
func (t tree) addParents() {
	for name := range t {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := t[dir]; !ok {
				t.addDir(dir, 0o755, 0)
			}
		}
	}
}

// compression of a layer.
type compression int

const (
	asGzip compression = iota
	asZstd
)

// writeLayer writes the tree as a compressed tar and says its diff ID and the
// blob's digest and size.
func writeLayer(w io.Writer, t tree, c compression) (diffID, digest string, size int64, err error) {
	t.addParents()
	out := &hashWriter{w: w, h: sha256.New()}
	var z io.WriteCloser
	if c == asZstd {
		z, err = zstd.NewWriter(out)
	} else {
		z, err = gzip.NewWriterLevel(out, gzip.BestSpeed)
	}
	if err != nil {
		return "", "", 0, err
	}
	plain := &hashWriter{w: z, h: sha256.New()}
	tw := tar.NewWriter(plain)
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := writeEntry(tw, name, t[name]); err != nil {
			return "", "", 0, err
		}
	}
	if err := tw.Close(); err != nil {
		return "", "", 0, err
	}
	if err := z.Close(); err != nil {
		return "", "", 0, err
	}
	return plain.digest(), out.digest(), out.n, nil
}

func writeEntry(tw *tar.Writer, name string, e entry) error {
	h := &tar.Header{
		Name: name, Mode: int64(e.mode.Perm()), Uid: e.owner, Gid: e.owner,
		ModTime: madeAt, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
	}
	if e.mode&os.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	var content io.Reader
	switch {
	case e.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case e.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	case e.file != "":
		f, err := os.Open(e.file)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		h.Size, content = info.Size(), f
	default:
		h.Size, content = int64(len(e.data)), strings.NewReader(e.data)
	}
	if err := tw.WriteHeader(h); err != nil || content == nil {
		return err
	}
	_, err := io.Copy(tw, content)
	return err
}

// layerBlob writes a small tree to memory.
func layerBlob(mediaType string, t tree, c compression) (b Blob, diffID string, err error) {
	var buf bytes.Buffer
	diffID, _, _, err = writeLayer(&buf, t, c)
	return NewBlob(mediaType, buf.Bytes()), diffID, err
}

// hashWriter hashes and counts what goes through.
type hashWriter struct {
	w io.Writer
	h hash.Hash
	n int64
}

func (w *hashWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.h.Write(p[:n])
	w.n += int64(n)
	return n, err
}

func (w *hashWriter) digest() string { return "sha256:" + hex.EncodeToString(w.h.Sum(nil)) }
