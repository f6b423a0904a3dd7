package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// found is one file or folder of the walk, or why it cannot be used.
type found struct {
	entry   tasks.FileEntry
	err     error
	linked  bool // reached through a symbolic link
	left    bool // left out of the list
	own     bool // a folder of Gantry's own outputs or around one: left out while it holds nothing else
	content published.Content
	source  published.Content // what it was copied from, as far as it was looked at
}

func (f *found) folder() bool { return f.err == nil && f.entry.Type == tasks.TypeDirectory }

// file says whether f is a file of the list.
func (f *found) file() bool { return f.err == nil && f.entry.Type == tasks.TypeFile && !f.left }

// walker walks the folder. It goes on after a bad file, so that the number of all is known.
type walker struct {
	*scanner
	ctx context.Context // of Run, which made the walker for one call
}

func (w *walker) bad(path string, err error) {
	w.found = append(w.found, &found{entry: tasks.FileEntry{Path: path}, err: err})
}

// firstError is that of the first bad file, which says how many more there are.
func (s *scanner) firstError() error {
	var first error
	more := 0
	for _, f := range s.found {
		switch {
		case f.err == nil:
		case first == nil:
			first = f.err
		default:
			more++
		}
	}
	var e *diag.Error
	if more > 0 && errors.As(first, &e) {
		e.What = fmt.Sprintf("%s (and %d more of its files cannot be used)", e.What, more)
	}
	return first
}

// walk lists the folder dir, relative to the publish folder; real are the resolved paths of the folders around it, itself
// included. Only a cancelled context is returned as an error.
func (w *walker) walk(dir string, real []string, linked bool) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	children, err := os.ReadDir(w.path(dir))
	if err != nil {
		w.bad(dir, layer.Unreadable(path.Join(".", dir), err))
		return nil
	}
	for _, c := range children {
		at := path.Join(dir, c.Name())
		if !c.IsDir() && w.leaveOwn(at, filepath.Join(real[len(real)-1], c.Name())) {
			continue
		}
		if err := checkName(at, c.Name()); err != nil {
			w.bad(at, err)
			continue
		}
		fi, target, err := w.stat(at, c)
		if err != nil {
			w.bad(at, err)
			continue
		}
		if fi == nil || systemFile(fi) || w.unfinished(at, fi) || target != "" && !fi.IsDir() && w.leaveOwn(at, target) {
			continue
		}
		if err := w.entry(at, target, fi, real, linked); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) path(rel string) string {
	return filepath.Join(s.req.FolderPath, filepath.FromSlash(rel))
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
func (w *walker) entry(path, target string, fi fs.FileInfo, real []string, linked bool) error {
	linked = linked || target != ""
	switch {
	case fi.IsDir():
		at := filepath.Join(real[len(real)-1], filepath.Base(filepath.FromSlash(path)))
		if target != "" {
			at = target
		}
		for _, r := range real {
			if r == at {
				w.bad(path, diag.New(diag.SymlinkLoop, fmt.Sprintf("symbolic link %q of the publish folder leads to a folder that it is in", path),
					"delete the link"))
				return nil
			}
		}
		w.found = append(w.found, &found{entry: tasks.FileEntry{Path: path, Type: tasks.TypeDirectory}, own: w.own.folder(path, at)})
		return w.walk(path, append(real[:len(real):len(real)], at), linked)
	case fi.Mode().IsRegular():
		f := &found{entry: tasks.FileEntry{Path: path, Type: tasks.TypeFile, Size: fi.Size()}, linked: linked}
		f.content.Stat = published.Of(w.path(path), fi)
		w.found = append(w.found, f)
		return nil
	}
	w.bad(path, diag.New(diag.UnsupportedFile, fmt.Sprintf("%q of the publish folder is %s", path, kind(fi.Mode())), "delete it: only files and folders can be in a layer"))
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

// refuseCollisions refuses names that only differ in case. It knows what is left out.
func (s *scanner) refuseCollisions() {
	seen := make(map[string]string, len(s.found))
	for _, f := range s.found {
		if f.err != nil || f.left {
			continue
		}
		dir, name := path.Split(f.entry.Path)
		key := dir + foldCase(name)
		if other, ok := seen[key]; ok {
			f.err = diag.New(diag.CaseCollision,
				fmt.Sprintf("%q and %q in the publish folder differ only in case or in how accents are written", other, f.entry.Path),
				"rename one of them: where case does not count there can be only one")
			continue
		}
		seen[key] = f.entry.Path
	}
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
