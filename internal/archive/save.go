package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Path is where an image of a repository goes when ContainerArchiveOutputPath is output: that file, or, when it has no extension or ends
// in a separator (the .NET SDK's rules) or is a folder that exists, repository.tar.gz below it. What is written there is not compressed,
// as with the SDK.
func Path(output, repository string) string {
	folder := strings.HasSuffix(output, "/") || strings.HasSuffix(output, string(filepath.Separator)) || extension(output) == ""
	if !folder {
		fi, err := os.Stat(output)
		folder = err == nil && fi.IsDir()
	}
	if folder {
		return filepath.Join(output, filepath.FromSlash(repository)+".tar.gz")
	}
	return output
}

// extension is that of .NET: a name that ends in a dot has none.
func extension(path string) string {
	e := filepath.Ext(path)
	if e == "." {
		return ""
	}
	return e
}

// Save writes the archive to a file, whose folder is made when it is not there, and says whether it had to. Fails with GANTRY5014, and
// with the errors of the blobs; a file that was there is then as it was.
func (a *Archive) Save(ctx context.Context, path string) (written bool, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays one
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() { // a device must not be replaced
		return false, unwritable(errors.New("it is no file"), path)
	}
	same, err := a.isIn(ctx, path)
	if same || err != nil {
		return false, err
	}
	if err := a.image.Ready(ctx, a.Blobs()); err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, unwritable(err, path)
	}
	atomicfile.Sweep(filepath.Dir(path), func(name string) bool { return name == filepath.Base(path) })
	f, err := atomicfile.Create(path)
	if err != nil {
		return false, unwritable(err, path)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	sink := &content.Sink{W: w}
	if err := a.Write(ctx, sink); err != nil {
		if sink.Failed != nil {
			return false, unwritable(sink.Failed, path)
		}
		if errors.Is(err, registry.ErrMirrorFailed) && ctx.Err() == nil {
			return a.Save(ctx, path) // from the next place
		}
		return false, err
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return false, unwritable(err, path)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return false, unwritable(err, path)
	}
	return true, nil
}

func unwritable(err error, path string) error {
	return diag.Wrap(diag.ArchiveUnwritable, err, fmt.Sprintf("the archive %s cannot be written", path), "check the folder's rights and the free space")
}

// isIn says whether the file has the very bytes that would be written: headers and documents are compared, and the content of blobs is
// hashed. A file that cannot be read is another file; the error is that of a ctx that ended.
func (a *Archive) isIn(ctx context.Context, path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() != a.Size() {
		return false, nil
	}
	r := bufio.NewReaderSize(content.WithContext(ctx, f), 1<<20)
	for _, e := range a.entries {
		same := hasNext(r, e.header())
		if e.blob == nil {
			same = same && hasNext(r, e.data)
		} else {
			same = same && hasBlob(r, e)
		}
		if !same || !hasNext(r, padding(e.size())) {
			return false, ctx.Err()
		}
	}
	return hasNext(r, trailer), ctx.Err()
}

func hasNext(r io.Reader, want []byte) bool {
	got := make([]byte, len(want))
	_, err := io.ReadFull(r, got)
	return err == nil && bytes.Equal(got, want)
}

func hasBlob(r io.Reader, e entry) bool {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, e.blob.Size))
	return err == nil && n == e.blob.Size && "sha256:"+hex.EncodeToString(h.Sum(nil)) == string(e.blob.Digest)
}
