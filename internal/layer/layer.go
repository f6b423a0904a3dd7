package layer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Spec says what is in a layer. The order of its lists does not matter.
type Spec struct {
	// WorkingDirectory is the folder in the image that the files go to, as the image's config has it.
	WorkingDirectory string
	// Windows gives the layer the shape that Windows needs.
	Windows bool
	// UID and GID own every entry.
	UID, GID int64
	// Mode is that of the files, up to 07777; 0 means 0755.
	Mode int64
	// Time is that of the folders, in seconds since 1970.
	Time int64
	// Compression is that of the tar.
	Compression Compression
	Files       []File
	// Folders are kept besides those that the files are in; relative to the working directory.
	Folders []string
}

// File is one file of a layer.
type File struct {
	// Path is relative to the publish folder and to the working directory, with slashes.
	Path string
	// SourcePath is the file on this machine, for one that is not in the publish folder; symbolic links are followed.
	SourcePath string
	// Size is the size in bytes that the file must have.
	Size int64
	// ModTime is the time that the file must have, in nanoseconds since 1970; 0 is not compared.
	ModTime int64
	// Digest is that of the content that the file must have; empty is not compared.
	Digest cas.Digest
	// Time is that of the entry, in seconds since 1970.
	Time int64
	// Content, if not nil, takes the place of the file's content.
	Content []byte
}

// Result is what Write made.
type Result struct {
	// DiffID is the digest of the tar.
	DiffID cas.Digest
	// TarSize is the size of the tar in bytes.
	TarSize int64
}

// Write writes the layer of spec to w, reading the files from folder, which may be nil when all have a SourcePath. Up to workers cores
// compress, or as many as the memory is bounded to; the bytes do not depend on them.
// Errors of w come back as they are; those of files carry the codes of ReadFile.
func Write(ctx context.Context, w io.Writer, folder fs.FS, spec *Spec, workers int) (*Result, error) {
	c, err := spec.Compression.codec()
	if err != nil {
		return nil, err
	}
	z, err := c.open(w, workers)
	if err != nil {
		return nil, err
	}
	diff := sha256.New()
	count := &counter{w: io.MultiWriter(diff, z)}
	if err := WriteTar(ctx, count, folder, spec); err != nil {
		z.abort()
		return nil, err
	}
	if err := z.Close(); err != nil {
		z.abort()
		return nil, err
	}
	return &Result{DiffID: digestOf(diff), TarSize: count.n}, nil
}

// WriteTar is Write without the compression.
func WriteTar(ctx context.Context, w io.Writer, folder fs.FS, spec *Spec) error {
	entries, err := plan(spec)
	if err != nil {
		return err
	}
	tar := NewTarWriter(w)
	buf := make([]byte, copyBuffer)
	for i := range entries {
		if err := tar.Header(&entries[i].Entry); err != nil {
			return err
		}
		f := entries[i].file
		switch {
		case f == nil:
		case f.Content != nil:
			if _, err := tar.Write(f.Content); err != nil {
				return err
			}
		default:
			if err := readInto(ctx, tar, folder, f, buf); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return tar.Close()
}

// planned is an entry with the file whose content follows; nil for a folder.
type planned struct {
	Entry
	file *File
}

// plan returns the layer's entries in their order.
func plan(spec *Spec) ([]planned, error) {
	root := ContainerPath(spec.WorkingDirectory, spec.Windows)
	folders := map[string]bool{}
	addFolder := func(p string) { // p and its parents, up to the working directory
		for ; p != "." && !folders[p]; p = path.Dir(p) {
			folders[p] = true
		}
	}
	for i := range spec.Files {
		addFolder(path.Dir(spec.Files[i].Path))
	}
	for _, p := range spec.Folders {
		addFolder(p)
	}
	list := make([]planned, 0, len(spec.Files)+len(folders)+3)
	add := func(p string, f *File) {
		e := planned{Entry: Entry{Path: p, Dir: f == nil, Time: spec.Time, UID: spec.UID, GID: spec.GID}, file: f}
		if spec.Windows {
			e.Security = SecurityDescriptor
		}
		if f != nil {
			e.Time, e.Size, e.Mode = f.Time, f.Size, spec.Mode
			if f.Content != nil {
				e.Size = int64(len(f.Content))
			}
		}
		list = append(list, e)
	}
	tops := map[string]bool{root: true}
	if spec.Windows {
		tops[windowsFiles], tops[windowsHives] = true, true
	}
	delete(tops, "")
	for p := range tops {
		add(p, nil)
	}
	for p := range folders {
		add(path.Join(root, p), nil)
	}
	for i := range spec.Files {
		add(path.Join(root, spec.Files[i].Path), &spec.Files[i])
	}
	return ordered(list)
}

// ordered sorts the entries by the bytes of their paths and refuses two of one path.
func ordered(list []planned) ([]planned, error) {
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	for i := 1; i < len(list); i++ {
		if list[i].Path == list[i-1].Path {
			return nil, diag.New(diag.InvalidValue, fmt.Sprintf("path %q is twice in a layer", list[i].Path), "name each file once")
		}
	}
	return list, nil
}

// ValidPath says whether p can be the path of a file of a layer: relative, clean, with slashes, UTF-8.
func ValidPath(p string) bool { return fs.ValidPath(p) && p != "." && !strings.Contains(p, "\x00") }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
