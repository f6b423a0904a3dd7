package resolvelayers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layerblob"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/tasks"
)

// tarball is a file that is a layer as it is. It is read when the file differs from the record, or when the store has forgotten what it is.
func (r *resolver) tarball(ctx context.Context, it *item) (*tasks.ExtraBlob, error) {
	path := r.absolute(it.Include)
	b, err := r.knownTarball(it, path)
	if b == nil && err == nil {
		b, err = r.readTarball(ctx, it, path)
	}
	if err != nil {
		return nil, err
	}
	if b.Unsafe != "" {
		return nil, diag.New(diag.UnsafeTar, it.label()+" has "+b.Unsafe, "make the tarball of a folder, with relative paths, and without devices")
	}
	answer := r.answer(b)
	answer.BlobPath = path
	return answer, nil
}

// knownTarball is what is remembered of an untouched file; nil when it has to be read.
func (r *resolver) knownTarball(it *item, path string) (*records.LayerBlob, error) {
	stat, err := r.files.stat(path)
	if err != nil {
		return nil, noTarball(it, path, err)
	}
	d, ok := r.files.of(path, stat)
	if !ok {
		return nil, nil
	}
	b, ok := r.Records.LayerBlob(d)
	if !ok || b.By != records.ByReading || b.Size != stat.Size || r.req.Strict && !r.listed(&b) {
		return nil, nil
	}
	return &b, nil
}

func (r *resolver) readTarball(ctx context.Context, it *item, path string) (*records.LayerBlob, error) {
	r.Log.Info("the tarball is read: it is new, or differs from the record", "stage", Stage, "layer", it.name)
	var l *layerblob.Layer
	err := r.files.read(path, func(f fs.File) (d cas.Digest, err error) {
		if l, err = layerblob.Read(ctx, f); err != nil {
			return "", err
		}
		return l.Digest, nil
	})
	if err != nil {
		if coded := unusable(it.label(), err); coded != err { //nolint:errorlint // the very error, not one in its chain
			return nil, coded
		}
		return nil, noTarball(it, path, err)
	}
	b := r.remembered(l)
	if was, ok := r.Records.LayerBlob(b.Digest); ok {
		b.In = was.In
	}
	r.Records.KeepLayerBlob(*b)
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".tar" && b.MediaType != image.OCILayerTar {
		r.Log.Info("the tarball is compressed, whatever its name says", "stage", Stage, "layer", it.name, "mediaType", b.MediaType)
	}
	return b, nil
}

// noTarball gives a code to why a file cannot be read.
func noTarball(it *item, path string, err error) error {
	var coded *diag.Error
	switch {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return it.problem(fmt.Sprintf("names no file: %s does not exist", path), "paths are relative to the project's folder")
	case errors.Is(err, errNoFile):
		return it.problem(fmt.Sprintf("names no file: %s is a folder or something else", path),
			"name a tarball, or set Type=Files with globs in Files")
	case errors.Is(err, errChanged):
		return diag.New(diag.FileChanged, fmt.Sprintf("%s changed while it was read", path),
			"let nothing write to it during the build, and run again")
	}
	return diag.Wrap(diag.UnreadableFile, err, fmt.Sprintf("%s cannot be read", path), "give the account that publishes the right to read it")
}

// absolute is a path of an item, with either kind of slash, relative to the project's folder.
func (r *resolver) absolute(path string) string {
	path = filepath.FromSlash(slashed(path))
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	dir := r.req.ProjectFolderPath
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Join(dir, path)
}

// slashed is a path or glob with slashes alone: MSBuild makes them of backslashes on Unix, but not in metadata.
func slashed(path string) string { return strings.ReplaceAll(path, `\`, "/") }

func openFile(path string) (fs.File, error) { return os.Open(path) }
