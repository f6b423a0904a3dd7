package resolvelayers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gantry-build/gantry/internal/diag"
)

// osFS is the file system with absolute paths.
type osFS struct{}

func (osFS) Open(name string) (fs.File, error) { return os.Open(name) }

// exceptions are the globs of Except, ready for matching.
type exceptions struct {
	globs   []exception
	project string // with slashes
}

type exception struct {
	written string // as the item has it
	glob    string
	used    bool // it left something out
}

func (c *collector) exceptions(it *item) *exceptions {
	e := &exceptions{project: filepath.ToSlash(c.absolute("."))}
	for _, glob := range list(it.Except) {
		e.globs = append(e.globs, exception{written: glob, glob: path.Clean(slashed(glob))})
	}
	return e
}

// leavesOut says whether a file or folder is left out. The globs that do so are noted as used when the glob of Files takes it.
func (e *exceptions) leavesOut(absolute, below string, folder, taken bool) (out bool) {
	for n := range e.globs {
		if !e.match(e.globs[n].glob, absolute, below, folder) {
			continue
		}
		out = true
		e.globs[n].used = e.globs[n].used || taken
	}
	return out
}

// match says whether a glob leaves out a file or folder. A glob means files, so a folder is left out by one alone that takes all in it. A
// relative glob is compared with the path from the project's folder, and for what lies outside of it also with that from the folder in
// which the glob of Files begins.
func (e *exceptions) match(glob, absolute, below string, folder bool) bool {
	if folder && path.Base(glob) != "**" {
		return false
	}
	if path.IsAbs(glob) || filepath.IsAbs(filepath.FromSlash(glob)) {
		return doublestar.MatchUnvalidated(glob, absolute)
	}
	if rel, err := filepath.Rel(e.project, absolute); err == nil && doublestar.MatchUnvalidated(glob, filepath.ToSlash(rel)) {
		return true
	}
	inside := absolute == e.project || strings.HasPrefix(absolute, strings.TrimRight(e.project, "/")+"/")
	return !inside && doublestar.MatchUnvalidated(glob, below)
}

// glob adds the files that a glob matches, and returns their number. The path of a file in the layer is that below the folder in which
// the glob begins: of models/**/*.bin what stands for **/*.bin.
func (c *collector) glob(ctx context.Context, it *item, glob string, except *exceptions) (int, error) {
	base, pattern := doublestar.SplitPattern(path.Clean(glob))
	dir := c.absolute(base)
	w := &globWalk{collector: c, ctx: ctx, item: it, dir: filepath.ToSlash(dir), pattern: pattern, segments: segments(pattern), except: except}
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, unreadableFile(dir, err)
	}
	w.roots = c.roots(real)
	err = w.walk("", []string{real})
	return w.count, err
}

// roots are the folders in which what links lead to must lie: the one in which a glob begins, resolved, and the project's.
func (c *collector) roots(begin string) []string {
	roots := []string{begin}
	if project, err := filepath.EvalSymlinks(c.absolute(".")); err == nil {
		roots = append(roots, project)
	}
	return roots
}

// segments are the parts of a glob between slashes, as far as they say which folders can hold what it matches; nil when any can.
func segments(pattern string) []string {
	if strings.ContainsAny(pattern, "{}\\") {
		return nil
	}
	return strings.Split(pattern, "/")
}

// globWalk walks the folder of one glob. It follows links as the scan of the publish folder does: to what lies in the folder, or in that
// of the project.
type globWalk struct {
	*collector
	ctx      context.Context // of the one walk
	item     *item
	dir      string // where the glob begins, absolute, with slashes
	pattern  string // below it
	segments []string
	except   *exceptions
	roots    []string
	count    int
}

// enters says whether a folder, relative to dir, can have what the glob matches.
func (w *globWalk) enters(rel string) bool {
	if w.segments == nil || rel == "" {
		return true
	}
	for n, name := range strings.Split(rel, "/") {
		switch {
		case n < len(w.segments) && w.segments[n] == "**":
			return true
		case n >= len(w.segments)-1:
			return false // only a file can be here
		}
		if !doublestar.MatchUnvalidated(w.segments[n], name) {
			return false
		}
	}
	return true
}

// walk lists the folder rel; real are the resolved paths of the folders around it, itself included.
func (w *globWalk) walk(rel string, real []string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	children, err := os.ReadDir(filepath.FromSlash(path.Join(w.dir, rel)))
	if err != nil {
		if rel == "" && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return unreadableFile(path.Join(w.dir, rel), err)
	}
	for _, child := range children {
		at := path.Join(rel, child.Name())
		if w.except.leavesOut(path.Join(w.dir, at), at, child.IsDir(), w.takes(at, child)) {
			continue
		}
		if err := w.visit(at, child, real); err != nil {
			return err
		}
	}
	return nil
}

// takes says whether a file is, or a folder or link may have, what the glob matches.
func (w *globWalk) takes(rel string, child fs.DirEntry) bool {
	link := child.Type()&fs.ModeSymlink != 0
	return !child.IsDir() && doublestar.MatchUnvalidated(w.pattern, rel) || (child.IsDir() || link) && w.enters(rel)
}

// visit looks at one file or folder.
func (w *globWalk) visit(rel string, child fs.DirEntry, real []string) error {
	matches, link := doublestar.MatchUnvalidated(w.pattern, rel), child.Type()&fs.ModeSymlink != 0
	if !matches && !(child.IsDir() || link) || !matches && !w.enters(rel) {
		return nil
	}
	source := filepath.FromSlash(path.Join(w.dir, rel))
	fi, err := os.Stat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !link:
		return nil // it went away since its folder was read
	case err != nil && link:
		return diag.New(diag.SymlinkLoop, fmt.Sprintf("%s: the symbolic link %s leads nowhere", w.item.label(), source),
			"delete the link, make what it leads to, or name it in Except")
	case err != nil:
		return unreadableFile(source, err)
	case fi.IsDir():
		return w.folder(rel, source, link, real)
	case !matches:
		return nil
	case !fi.Mode().IsRegular():
		return diag.New(diag.UnsupportedFile, fmt.Sprintf("%s: %s is neither a file nor a folder", w.item.label(), source), "name it in Except")
	case !utf8.ValidString(rel):
		return diag.New(diag.NameNotUTF8, fmt.Sprintf("%s: the name of %q is not UTF-8", w.item.label(), source),
			"rename it, or name it in Except")
	}
	if link {
		if _, err := w.target(source); err != nil {
			return err
		}
	}
	w.count++
	return w.add(w.item, rel, source)
}

// folder walks a folder that may have what the glob matches.
func (w *globWalk) folder(rel, source string, link bool, real []string) error {
	if !w.enters(rel) {
		return nil
	}
	at := filepath.Join(real[len(real)-1], filepath.Base(source))
	if link {
		var err error
		if at, err = w.target(source); err != nil {
			return err
		}
	}
	if slices.Contains(real, at) {
		return diag.New(diag.SymlinkLoop, fmt.Sprintf("%s: the symbolic link %s leads to a folder that it is in", w.item.label(), source),
			"delete the link, or name it in Except")
	}
	return w.walk(rel, append(real[:len(real):len(real)], at))
}

// target is where a link leads to, which must be inside.
func (w *globWalk) target(source string) (string, error) {
	return target(w.item, source, w.roots, "name what it leads to in Files, or the link in Except")
}

// target is where a link leads to, which must be in one of roots.
func target(it *item, link string, roots []string, hint string) (string, error) {
	real, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", unreadableFile(link, err)
	}
	for _, root := range roots {
		if rel, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(rel) {
			return real, nil
		}
	}
	return "", diag.New(diag.SymlinkEscapes, fmt.Sprintf("%s: the symbolic link %s leads out of the folder in which the glob begins, to %s",
		it.label(), link, real), hint)
}
