package assemble

import (
	"path/filepath"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

// File is a document that a request wants as a file. Path may be relative to the response's folder; empty means no file.
type File struct {
	Path     string
	Document deliver.Document
}

// Keep writes documents into the content store, and those of files to their paths below dir, and lists what it wrote. A file that has its
// content is left alone. Fails with GANTRY1007 for a file, and as the store does.
func Keep(store *cas.Store, dir string, docs []deliver.Document, files ...File) ([]tasks.Output, error) {
	var out []tasks.Output
	for _, doc := range docs {
		if _, err := store.PutBytes(doc.Body); err != nil {
			return nil, err
		}
		out = append(out, tasks.Output{Digest: doc.Descriptor.Digest, Size: doc.Descriptor.Size})
	}
	for _, f := range files {
		path := OutputPath(dir, f.Path)
		if path == "" {
			continue
		}
		if _, err := atomicfile.WriteIfDifferent(path, f.Document.Body); err != nil {
			return nil, diag.Wrap(diag.ResponseUnwritable, err, f.Path+" cannot be written", "check the folder's rights and the free space")
		}
		out = append(out, tasks.Output{Path: path, Digest: f.Document.Descriptor.Digest, Size: f.Document.Descriptor.Size})
	}
	return out, nil
}

// OutputPath is where a file of a request is written: below dir, the response's folder, unless it is absolute; empty stays empty.
func OutputPath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
