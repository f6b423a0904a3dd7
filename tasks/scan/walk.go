package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// walker walks one folder. It goes on after a bad file, so that the number of all is known.
type walker struct {
	ctx    context.Context // of Run, which made the walker for one call
	folder *layer.Folder
	req    *Request
	files  []tasks.FileEntry
	read   int // files whose content was read
	first  error
	more   int
}

func (w *walker) run() error {
	if err := w.walk("", nil); err != nil {
		return err
	}
	var e *diag.Error
	if w.more > 0 && errors.As(w.first, &e) {
		e.What = fmt.Sprintf("%s (and %d more of its files cannot be used)", e.What, w.more)
	}
	return w.first
}

func (w *walker) bad(err error) {
	if w.first == nil {
		w.first = err
		return
	}
	w.more++
}

// walk lists the folder dir, relative to the publish folder; real are the resolved paths of the folders around it, itself
// included. Only a cancelled context is returned as an error.
func (w *walker) walk(dir string, real []string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	here := w.path(dir)
	if dir == "" {
		real = []string{"."}
	}
	children, err := os.ReadDir(here)
	if err != nil {
		if dir == "" {
			dir = "."
		}
		w.bad(layer.Unreadable(dir, err))
		return nil
	}
	folded := make(map[string]string, len(children))
	for _, c := range children {
		path := c.Name()
		if dir != "" {
			path = dir + "/" + path
		}
		if err := checkName(path, c.Name()); err != nil {
			w.bad(err)
			continue
		}
		fi, target, err := w.stat(path, c)
		if err != nil {
			w.bad(err)
			continue
		}
		if fi == nil || systemFile(fi) {
			continue
		}
		key := foldCase(c.Name())
		if other, ok := folded[key]; ok {
			w.bad(collision(path, other))
			continue
		}
		folded[key] = path
		if err := w.entry(path, target, fi, real); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) path(rel string) string {
	return filepath.Join(w.req.FolderPath, filepath.FromSlash(rel))
}

// stat returns what path is, links followed, and, for a link, where it leads to, relative to the folder. Nil without an error
// says that the file went away since its folder was read.
func (w *walker) stat(path string, c fs.DirEntry) (fi fs.FileInfo, target string, err error) {
	fi, err = c.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", layer.Unreadable(path, err)
	}
	if fi.Mode()&fs.ModeSymlink == 0 {
		return fi, "", nil
	}
	target, err = w.folder.Resolve(path)
	var coded *diag.Error
	switch {
	case errors.As(err, &coded):
		return nil, "", err
	case errors.Is(err, fs.ErrPermission):
		return nil, "", layer.Unreadable(path, err)
	case err != nil:
		return nil, "", diag.New(diag.SymlinkLoop, fmt.Sprintf("symbolic link %q of the publish folder leads nowhere", path),
			"delete the link, or make what it leads to")
	}
	if fi, err = os.Stat(w.path(path)); err != nil {
		return nil, "", layer.Unreadable(path, err)
	}
	return fi, target, nil
}

// entry lists one file or folder and walks the folder.
func (w *walker) entry(path, target string, fi fs.FileInfo, real []string) error {
	switch {
	case fi.IsDir():
		at := filepath.Join(real[len(real)-1], filepath.Base(filepath.FromSlash(path)))
		if target != "" {
			at = target
		}
		for _, r := range real {
			if r == at {
				w.bad(diag.New(diag.SymlinkLoop, fmt.Sprintf("symbolic link %q of the publish folder leads to a folder that it is in", path),
					"delete the link"))
				return nil
			}
		}
		w.files = append(w.files, tasks.FileEntry{Path: path, Type: tasks.TypeDirectory})
		return w.walk(path, append(real[:len(real):len(real)], at))
	case fi.Mode().IsRegular():
		return w.file(path, fi)
	}
	w.bad(diag.New(diag.UnsupportedFile, fmt.Sprintf("%q of the publish folder is %s", path, kind(fi.Mode())), "delete it: only files and folders can be in a layer"))
	return nil
}

func (w *walker) file(path string, fi fs.FileInfo) error {
	e := tasks.FileEntry{Path: path, Type: tasks.TypeFile, Size: fi.Size(), ModTime: fi.ModTime().UnixNano(), ChangeTime: changeTime(fi)}
	if w.req.rewritten(path) {
		digest, err := layer.Digest(w.ctx, w.folder, &layer.File{Path: path, Size: e.Size, ModTime: e.ModTime})
		if cancelled := w.ctx.Err(); cancelled != nil {
			return cancelled
		}
		if err != nil {
			w.bad(err)
			return nil
		}
		e.Digest, e.ModTime, e.ChangeTime = digest, 0, 0
		w.read++
	}
	w.files = append(w.files, e)
	return nil
}

// checkName refuses names that a layer cannot hold or would not mean the same in.
func checkName(path, name string) error {
	switch {
	case !utf8.ValidString(name):
		return diag.New(diag.NameNotUTF8, fmt.Sprintf("the name of %q in the publish folder is not UTF-8", path), "rename it")
	case strings.HasPrefix(name, ".wh."):
		return diag.New(diag.WhiteoutName,
			fmt.Sprintf("the name of %q in the publish folder begins with .wh., which means a deletion in a layer", path), "rename it")
	}
	return nil
}

func collision(path, other string) error {
	return diag.New(diag.CaseCollision, fmt.Sprintf("%q and %q in the publish folder differ only in case or in how accents are written", other, path),
		"rename one of them: where case does not count there can be only one")
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "neither a file nor a folder"
}
