package layer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// copyBuffer is how much of a file is read at once, in bytes.
const copyBuffer = 256 << 10

const readHint = "give the account that publishes the right to read it, or delete it"

const changedHint = "let no other build write to the publish folder, and run again"

// ReadFile writes the content of f to w and proves that it is the one that f describes: size, time and digest, where f has
// them, before the first byte, and size and time again after the last. The errors are GANTRY4002 (cannot be read), GANTRY4003
// (is not as described, changed while it was read, or is gone) and, from a Folder, GANTRY4004.
func ReadFile(ctx context.Context, w io.Writer, folder fs.FS, f *File) error {
	return readInto(ctx, w, folder, f, make([]byte, copyBuffer))
}

// Content returns the content of f, as ReadFile does.
func Content(ctx context.Context, folder fs.FS, f *File) ([]byte, error) {
	var b bytes.Buffer
	err := ReadFile(ctx, &b, folder, f)
	return b.Bytes(), err
}

// Digest returns the digest of f's content, read as ReadFile does.
func Digest(ctx context.Context, folder fs.FS, f *File) (cas.Digest, error) {
	h := sha256.New()
	if err := ReadFile(ctx, h, folder, f); err != nil {
		return "", err
	}
	return digestOf(h), nil
}

func digestOf(h hash.Hash) cas.Digest { return cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

func readInto(ctx context.Context, w io.Writer, folder fs.FS, f *File, buf []byte) error {
	src, err := f.open(folder)
	if err != nil {
		return unreadable(f, err)
	}
	defer src.Close()
	before, err := src.Stat()
	if err != nil {
		return unreadable(f, err)
	}
	if err := unlikeList(f, before); err != nil {
		return err
	}
	var sum hash.Hash
	if f.Digest != "" {
		sum = sha256.New()
		w = io.MultiWriter(w, sum)
	}
	if err := copyExactly(ctx, w, src, f, buf); err != nil {
		return err
	}
	after, err := src.Stat()
	if err != nil {
		return unreadable(f, err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return changed(f, "changed while it was read")
	}
	if sum != nil && digestOf(sum) != f.Digest {
		return changed(f, "has other content than when "+f.when())
	}
	return nil
}

// open opens the file where it lies.
func (f *File) open(folder fs.FS) (fs.File, error) {
	if f.SourcePath != "" {
		return os.Open(f.SourcePath)
	}
	return folder.Open(f.Path)
}

// unlikeList compares what is there now with the file list.
func unlikeList(f *File, now fs.FileInfo) error {
	switch {
	case !now.Mode().IsRegular():
		return changed(f, "is no longer a file")
	case now.Size() != f.Size:
		return changed(f, fmt.Sprintf("has %d bytes and had %d when %s", now.Size(), f.Size, f.when()))
	case f.ModTime != 0 && now.ModTime().UnixNano() != f.ModTime:
		return changed(f, "was written after "+f.when())
	}
	return nil
}

// copyExactly copies f.Size bytes and proves that src then ends.
func copyExactly(ctx context.Context, w io.Writer, src io.Reader, f *File, buf []byte) error {
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if done+int64(n) > f.Size {
			return changed(f, "grew while it was read")
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		done += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return unreadable(f, err)
		}
	}
	if done < f.Size {
		return changed(f, "shrank while it was read")
	}
	return nil
}

// when says when the file was described.
func (f *File) when() string {
	if f.SourcePath != "" {
		return "it was listed"
	}
	return "the publish folder was scanned"
}

func changed(f *File, how string) error {
	if f.SourcePath != "" {
		return diag.New(diag.FileChanged, fmt.Sprintf("file %q %s", f.SourcePath, how), "let nothing write to it during the build, and run again")
	}
	return diag.New(diag.FileChanged, fmt.Sprintf("file %q of the publish folder %s", f.Path, how), changedHint)
}

func unreadable(f *File, err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return changed(f, "is gone since "+f.when())
	}
	if f.SourcePath != "" {
		return diag.Wrap(diag.UnreadableFile, reason(err), fmt.Sprintf("%q cannot be read", f.SourcePath), readHint)
	}
	return Unreadable(f.Path, err)
}

// Unreadable is the error GANTRY4002 for the file or folder at path, relative to the publish folder.
func Unreadable(path string, err error) error {
	return diag.Wrap(diag.UnreadableFile, reason(err), fmt.Sprintf("%q of the publish folder cannot be read", path), readHint)
}
