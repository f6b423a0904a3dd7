package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

const lockFile = ".gantry.lock"

// Names are the files and folders that layouts have, relative to their folder.
func Names() []string { return []string{blobsDir, indexFile, markFile, lockFile} }

// Added says what Add did.
type Added struct {
	// Changed says that a blob was written or a name set: false is a layout that has it all.
	Changed bool
	Blobs   outcome.Blobs
}

// Add puts an image into the layout in dir, which is made when it is not there, under names (Ref, and Image beside it). An entry of the
// same Ref is replaced; all others stay, also what else their entries say. Fails with GANTRY5014 and 5010, and with the errors of the
// blobs: then the names are as they were.
func Add(ctx context.Context, dir string, img *content.Image, names []content.Name) (Added, error) {
	w := &writer{Reader: Reader{dir}}
	if err := w.begin(); err != nil {
		return w.added, err
	}
	if err := w.blobs(ctx, img); err != nil {
		return w.added, err
	}
	for _, d := range append(slices.Clone(img.Children), img.Top) {
		if err := w.document(d); err != nil {
			return w.added, err
		}
	}
	return w.added, w.names(ctx, img.Top.Descriptor, names)
}

type writer struct {
	Reader
	added Added
}

func (w *writer) failed(err error) error {
	var coded *diag.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return diag.Wrap(diag.ArchiveUnwritable, err, fmt.Sprintf("the layout %s cannot be written", w.dir), "check the folder's rights and the free space")
}

// begin makes the folder. One that has files and no mark is none to write to.
func (w *writer) begin() error {
	mark, err := w.small(markFile, MaxMark)
	if err == nil {
		if err := CheckMark(mark); err != nil {
			return w.invalid(err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return w.failed(err)
	} else if entries, err := os.ReadDir(w.dir); err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !ours(e.Name()) }) {
		return diag.New(diag.InvalidArchive, w.dir+" has files and is no OCI image layout", "name an empty folder, or one that is a layout")
	}
	if err := os.MkdirAll(filepath.Join(w.dir, filepath.FromSlash(blobsDir)), 0o755); err != nil {
		return w.failed(err)
	}
	atomicfile.Sweep(filepath.Join(w.dir, filepath.FromSlash(blobsDir)), func(string) bool { return true })
	atomicfile.Sweep(w.dir, func(name string) bool { return name == indexFile || name == markFile })
	return nil
}

// ours are the names that a layout begins with, before it has its mark.
func ours(name string) bool {
	return name == "blobs" || name == indexFile || name == markFile || strings.HasPrefix(name, ".")
}

// blobs writes those that are not there.
func (w *writer) blobs(ctx context.Context, img *content.Image) error {
	var missing []image.Descriptor
	for _, b := range img.Blobs {
		has, err := w.has(ctx, b)
		if err != nil {
			return err
		}
		if has {
			w.added.Blobs.Add(registry.Exists, b.Size)
		} else {
			missing = append(missing, b)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := img.Ready(ctx, missing); err != nil {
		return err
	}
	for _, b := range missing {
		if err := w.write(ctx, b, img.From); err != nil {
			return err
		}
		w.added.Blobs.Add(registry.Uploaded, b.Size)
	}
	return nil
}

// has reads a blob to its end. The error is that of a ctx that ended: whatever else is wrong with the blob, it is written anew.
func (w *writer) has(ctx context.Context, b image.Descriptor) (bool, error) {
	r, err := w.Blob(ctx, b.Digest, b.Size)
	if err != nil {
		return false, nil
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, content.WithContext(ctx, r))
	return err == nil, ctx.Err()
}

// write puts one blob in its place.
func (w *writer) write(ctx context.Context, b image.Descriptor, from pull.Blobs) error {
	f, err := atomicfile.Create(w.path(b.Digest))
	if err != nil {
		return w.failed(err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	defer f.Close()
	to := &content.Sink{W: f}
	if err := content.CopyBlob(ctx, from, b, to); err != nil {
		if to.Failed != nil {
			return w.failed(to.Failed)
		}
		if errors.Is(err, registry.ErrMirrorFailed) && ctx.Err() == nil {
			return w.write(ctx, b, from) // from the next place
		}
		return err
	}
	if err := f.Close(); err != nil {
		return w.failed(err)
	}
	if err := os.Rename(f.Name(), w.path(b.Digest)); err != nil {
		return w.failed(err)
	}
	w.added.Changed = true
	return nil
}

func (w *writer) document(d deliver.Document) error {
	wrote, err := atomicfile.WriteIfDifferent(w.path(d.Descriptor.Digest), d.Body)
	w.added.Changed = w.added.Changed || wrote
	return w.failed(err)
}

// names sets the entries of the index. The mark is written last when the layout is new: without it, it is none.
func (w *writer) names(ctx context.Context, top image.Descriptor, names []content.Name) error {
	lock := flock.New(filepath.Join(w.dir, lockFile))
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return w.failed(err)
	}
	defer lock.Close() // it stays: a lock that is removed is not one
	old, err := w.readIndex()
	if err != nil {
		return err
	}
	if old.manifests, err = replaced(old.manifests, content.Entries(top, names)); err != nil {
		return w.failed(err)
	}
	body, err := old.encode()
	if err != nil {
		return w.failed(err)
	}
	if len(body) > image.MaxManifestBytes {
		return w.failed(fmt.Errorf("%s would have %d bytes, more than %d", indexFile, len(body), image.MaxManifestBytes))
	}
	wrote, err := atomicfile.WriteIfDifferent(filepath.Join(w.dir, indexFile), body)
	w.added.Changed = w.added.Changed || wrote
	if err != nil {
		return w.failed(err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, markFile)); errors.Is(err, fs.ErrNotExist) {
		return w.failed(atomicfile.Write(filepath.Join(w.dir, markFile), []byte(markText)))
	}
	return nil
}

// index is index.json: its entries as they are written there, and all else that it has. Names count with regard to case, which
// encoding/json does not do.
type index struct {
	members   map[string]json.RawMessage
	manifests []json.RawMessage
}

// readIndex reads index.json; an empty one when there is none. One that is not valid is GANTRY5015: it is never overwritten.
func (w *writer) readIndex() (x index, err error) {
	body, err := w.small(indexFile, image.MaxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return index{members: map[string]json.RawMessage{"schemaVersion": json.RawMessage("2")}}, nil
	}
	if err == nil {
		_, err = image.ParseIndex(body, image.OCIIndex)
	}
	if err == nil {
		err = json.Unmarshal(body, &x.members)
	}
	if err == nil {
		err = json.Unmarshal(x.members["manifests"], &x.manifests)
	}
	if err != nil {
		return x, diag.Wrap(diag.InvalidArchive, diag.Cause(err), fmt.Sprintf("%s of %s is not valid", indexFile, w.dir), "name another folder, or remove this one")
	}
	return x, nil
}

func (x index) encode() ([]byte, error) {
	manifests, err := image.Encode(x.manifests)
	if err != nil {
		return nil, err
	}
	x.members["manifests"], x.members["mediaType"] = manifests, json.RawMessage(`"`+image.OCIIndex+`"`)
	return image.Encode(x.members)
}

// replaced puts entries in the place of those with their RefName, else behind all others. One without a name replaces nothing, and is left
// out when its image is there under any name.
func replaced(old []json.RawMessage, entries []image.Descriptor) ([]json.RawMessage, error) {
	out := slices.Clone(old)
	for _, e := range entries {
		raw, err := image.Encode(e)
		if err != nil {
			return nil, err
		}
		at, done := -1, false
		kept := out[:0:0]
		for _, o := range out {
			var have image.Descriptor
			if err := json.Unmarshal(o, &have); err != nil {
				return nil, err
			}
			ref := e.Annotations[content.RefName]
			done = done || ref == "" && have.Digest == e.Digest
			if ref == "" || have.Annotations[content.RefName] != ref {
				kept = append(kept, o)
			} else if at < 0 { // others of the same name go
				at = len(kept)
				kept = append(kept, raw)
			}
		}
		if at < 0 && !done {
			kept = append(kept, raw)
		}
		out = kept
	}
	if out == nil {
		out = []json.RawMessage{}
	}
	return out, nil
}
