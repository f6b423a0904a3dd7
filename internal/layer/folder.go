package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/diag"
)

// Folder reads files below a folder and nothing else: symbolic links are followed as long as they stay inside. It is an fs.FS
// and safe for concurrent use.
type Folder struct {
	real string // without symbolic links
	root *os.Root
}

// OpenFolder opens the folder dir; the caller closes it. One that does not exist or is no folder is CONTAINER2011, one that
// may not be read GANTRY4002.
func OpenFolder(dir string) (*Folder, error) {
	f, err := openFolder(dir)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, diag.Wrap(diag.UnreadableFile, reason(err), fmt.Sprintf("the publish folder %q cannot be read", dir), readHint)
	}
	return nil, diag.Wrap(diag.PublishFolderMissing, reason(err), fmt.Sprintf("the publish folder %q cannot be used", dir),
		"publish first: dotnet publish -t:PublishContainer, or leave --no-build out")
}

func openFolder(dir string) (*Folder, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, errors.New("it is a file")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, err
	}
	return &Folder{real: real, root: root}, nil
}

// reason drops the path from an error of the file system, for messages that say it already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Open opens the file name, relative and with slashes. A symbolic link out of the folder is GANTRY4004.
func (f *Folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, err := f.root.Open(filepath.FromSlash(name))
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		if err != nil {
			return nil, err
		}
		return file, nil
	}
	// os.Root refuses every absolute link, also one that stays inside.
	target, err2 := f.Resolve(name)
	if err2 != nil {
		return nil, err2
	}
	file, err2 = f.root.Open(target)
	if err2 != nil {
		return nil, err
	}
	return file, nil
}

// Resolve returns where name leads to when all symbolic links are followed, relative to the folder in the system's form.
func (f *Folder) Resolve(name string) (string, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(f.real, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(f.real, real)
	if err != nil || !filepath.IsLocal(rel) {
		return "", diag.New(diag.SymlinkEscapes, fmt.Sprintf("symbolic link %q of the publish folder leads out of it, to %s", name, real),
			"copy what it leads to into the folder, or delete the link")
	}
	return rel, nil
}
