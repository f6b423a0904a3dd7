package resolvelayers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// parseFiles checks the metadata of an item of files.
func (i *item) parseFiles() error {
	switch {
	case i.Files == "" && i.Layer == "":
		return i.problem("of Type Files names no files",
			`set Files to globs, for example Files="models/**"; Include is the layer's name, as MSBuild drops globs in it that match nothing`)
	case i.Files == "" && i.Except != "":
		return i.problem("has Except and no Files", "name the files in Files, or exclude them with the item's own Exclude")
	}
	for _, glob := range slices.Concat(list(i.Files), list(i.Except)) {
		if glob = slashed(glob); !doublestar.ValidatePattern(glob) {
			return i.problem(fmt.Sprintf("has the glob %q, which is not well formed", glob), `write for example "models/**/*.bin"`)
		}
	}
	if slices.Contains(strings.Split(slashed(i.TargetDirectory), "/"), "..") || strings.Contains(i.TargetDirectory, "\x00") {
		return i.problem(fmt.Sprintf("has the TargetPath %q, which leads out of a folder", i.TargetDirectory),
			"write a folder of the image, such as /models")
	}
	if i.Mode != "" {
		if n, err := strconv.ParseUint(i.Mode, 8, 32); err != nil || n > 0o7777 || len(i.Mode) < 3 {
			return i.problem(fmt.Sprintf("has the Mode %q", i.Mode), "write three or four octal digits, such as 0644")
		}
	}
	return i.parseOwner()
}

func (i *item) parseOwner() (err error) {
	if i.Owner == "" {
		return nil
	}
	user, group, both := strings.Cut(i.Owner, ":")
	if i.uid, err = parseID(user); err == nil && both {
		i.gid, err = parseID(group)
	}
	if err != nil {
		return i.problem(fmt.Sprintf("has the Owner %q", i.Owner), "write UID or UID:GID in decimal digits: names are known only inside an image")
	}
	i.owned = true
	return nil
}

func parseID(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err == nil && s[0] == '+' {
		err = strconv.ErrSyntax
	}
	return int64(n), err
}

// filesOf lists the files of the items of one layer.
func (r *resolver) filesOf(ctx context.Context, items []*item) (*tasks.ExtraFiles, error) {
	first := items[0]
	c := &collector{resolver: r, byPath: map[string]*candidate{}}
	for _, it := range items {
		if it.TargetDirectory != first.TargetDirectory || it.Mode != first.Mode || it.Owner != first.Owner || it.order != first.order ||
			it.Description != first.Description {
			return nil, it.problem(fmt.Sprintf("is in the layer %q with %q, and their TargetPath, Mode, Owner, Order or Description differ",
				it.name, first.Include), "give them the same, or a Layer each")
		}
		if err := c.collect(ctx, it); err != nil {
			return nil, err
		}
	}
	if err := c.digests(ctx); err != nil {
		return nil, err
	}
	out := &tasks.ExtraFiles{TargetDirectory: r.targetOf(first), UID: first.uid, GID: first.gid, Mode: first.Mode}
	if !first.owned {
		out.UID = userID(r.req.User)
	}
	for _, f := range c.byPath {
		out.Files = append(out.Files, f.file)
	}
	slices.SortFunc(out.Files, func(a, b tasks.ExtraFile) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// targetOf is the folder in the image: TargetPath, which may be relative to the working directory.
func (r *resolver) targetOf(it *item) string {
	target := slashed(it.TargetDirectory)
	if target == "" {
		return r.req.WorkingDirectory
	}
	if strings.HasPrefix(target, "/") || len(target) > 1 && target[1] == ':' {
		return target
	}
	return strings.TrimRight(slashed(r.req.WorkingDirectory), "/") + "/" + target
}

// userID is the owner of files for a ContainerUser: the number if it is one, else 0, as for the app's files.
func userID(user string) int64 {
	n, err := strconv.ParseInt(strings.Trim(user, " \t\n\v\f\r"), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// candidate is a file of a layer.
type candidate struct {
	file tasks.ExtraFile
	item *item
}

// collector gathers the files of one layer.
type collector struct {
	*resolver
	byPath map[string]*candidate // by the path in the layer
}

// collect adds the files of an item.
func (c *collector) collect(ctx context.Context, it *item) error {
	if it.Files == "" {
		return c.single(it)
	}
	before := len(c.byPath)
	except := c.exceptions(it)
	for _, glob := range list(it.Files) {
		count, err := c.glob(ctx, it, slashed(glob), except)
		if err != nil {
			return err
		}
		if count == 0 {
			return diag.New(diag.LayerMatchesNothing, fmt.Sprintf("%s: the glob %q of Files matches no file%s",
				it.label(), glob, c.whyNothing(glob)),
				"check it and Except: relative globs begin in the project's folder, and case counts")
		}
	}
	for _, e := range except.globs {
		if !e.used {
			c.Log.Info(diag.MessageLine(diag.ExceptMatchesNothing, fmt.Sprintf("%s: the glob %q of Except leaves out no file; "+
				"relative globs begin in the project's folder, case counts, and folder/** is a folder", it.label(), e.written)))
		}
	}
	c.Log.Debug("files of a layer were listed", "stage", Stage, "layer", it.name, "files", len(c.byPath)-before)
	return nil
}

// whyNothing helps with what is often the reason.
func (c *collector) whyNothing(glob string) string {
	base, pattern := doublestar.SplitPattern(slashed(glob))
	dir := c.absolute(base)
	fi, err := fs.Stat(osFS{}, path.Join(dir, pattern))
	switch {
	case err == nil && fi.IsDir():
		return ": it is a folder, and " + strings.TrimRight(glob, "/") + "/** are all its files"
	case err != nil:
		if _, err := fs.Stat(osFS{}, dir); errors.Is(err, fs.ErrNotExist) {
			return ": there is no folder " + dir
		}
	}
	return ""
}

// single adds the file that the Include of an item is, expanded by MSBuild.
func (c *collector) single(it *item) error {
	source := c.absolute(it.Include)
	name := path.Join(slashed(it.RecursiveDir), filepath.Base(source))
	if _, err := c.files.stat(source); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return diag.New(diag.LayerMatchesNothing, fmt.Sprintf("%s of the layer %q: there is no file %s", it.label(), it.name, source),
				"correct Include, or remove the item")
		}
		if errors.Is(err, errNoFile) {
			return it.problem(fmt.Sprintf("of the layer %q is no file", it.name), "name files, or set Files to globs")
		}
		return unreadableFile(source, err)
	}
	if err := c.singleLinks(it, source); err != nil {
		return err
	}
	return c.add(it, name, source)
}

// singleLinks refuses a link that Files would refuse: one below the folder in which the glob of Include began that leads out of it and of
// the project's. That folder is the file's own without RecursiveDir, so a path that was written out may name any file.
func (c *collector) singleLinks(it *item, source string) error {
	begin := filepath.Dir(source)
	if below := filepath.FromSlash(path.Clean("/" + slashed(it.RecursiveDir))); strings.HasSuffix(begin, below) {
		begin = strings.TrimSuffix(begin, below)
	}
	begin += string(filepath.Separator)
	at := begin
	for _, name := range strings.Split(strings.TrimPrefix(source, begin), string(filepath.Separator)) {
		at = filepath.Join(at, name)
		fi, err := os.Lstat(at)
		if err != nil {
			return unreadableFile(at, err)
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		real, err := filepath.EvalSymlinks(begin)
		if err != nil {
			return unreadableFile(begin, err)
		}
		if _, err := target(it, at, c.roots(real), "name what it leads to in Include, or the link in the item's own Exclude"); err != nil {
			return err
		}
	}
	return nil
}

// add puts a file into the layer. Two for one path are an error: which one wins nobody could tell.
func (c *collector) add(it *item, name, source string) error {
	if !layer.ValidPath(name) {
		return it.problem(fmt.Sprintf("has the file %s, whose path in the layer would be %q", source, name), "rename it")
	}
	if strings.HasPrefix(path.Base(name), ".wh.") {
		return diag.New(diag.WhiteoutName, fmt.Sprintf("%s: the name of %s begins with .wh., which means a deletion in a layer",
			it.label(), source), "rename it, or name it in Except")
	}
	if other, ok := c.byPath[name]; ok {
		if other.file.SourcePath == source {
			return nil
		}
		return it.problem(fmt.Sprintf("has two files for the path %q in the layer: %s and %s", name, other.file.SourcePath, source),
			"leave one of them out with Except, or put them into two layers with a TargetPath each")
	}
	c.byPath[name] = &candidate{tasks.ExtraFile{Path: name, SourcePath: source}, it}
	return nil
}

// digests makes the digests of the files known: from the record where a file is untouched, else by reading.
func (c *collector) digests(ctx context.Context) error {
	var mu sync.Mutex
	var first *candidate
	var why error
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, f := range c.byPath {
		group.Go(func() error {
			if err := c.digestOf(ctx, &f.file); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil || f.file.Path < first.file.Path {
					first, why = f, err
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	if first == nil {
		return nil
	}
	return unreadableFile(first.file.SourcePath, why)
}

func (c *collector) digestOf(ctx context.Context, f *tasks.ExtraFile) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stat, err := c.files.stat(f.SourcePath)
	if err != nil {
		return err
	}
	if d, ok := c.files.of(f.SourcePath, stat); ok {
		f.Size, f.Digest = stat.Size, d
		return nil
	}
	return c.files.read(f.SourcePath, func(file fs.File) (cas.Digest, error) {
		h := sha256.New()
		n, err := io.Copy(h, contextReader{ctx, file})
		f.Size, f.Digest = n, cas.Digest("sha256:"+hex.EncodeToString(h.Sum(nil)))
		return f.Digest, err
	})
}

type contextReader struct {
	ctx context.Context // of the one file that is read
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// unreadableFile gives a code to why a file could not be read.
func unreadableFile(source string, err error) error {
	var coded *diag.Error
	switch {
	case errors.As(err, &coded), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errChanged), errors.Is(err, errNoFile), errors.Is(err, fs.ErrNotExist):
		return diag.New(diag.FileChanged, fmt.Sprintf("file %q changed while it was read", source),
			"let nothing write to it during the build, and run again")
	}
	return diag.Wrap(diag.UnreadableFile, err, fmt.Sprintf("file %q cannot be read", source),
		"give the account that publishes the right to read it, or name it in Except")
}
