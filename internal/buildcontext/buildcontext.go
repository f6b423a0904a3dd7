// Package buildcontext says which files of a build context instructions read, and what they are: type, mode, extended attributes and the SHA-256
// of the bytes.
//
// Which files a COPY, an ADD or a mount takes is decided as BuildKit decides which content its cache depends on (cache/contenthash/checksum.go
// in moby/buildkit v0.34.2): wildcards match one path element; the path itself is followed through links, inside the context; links below a
// copied folder are copied as links; --exclude and --parents match by the rules of .dockerignore, of moby/patternmatcher. Owners and times count
// for nothing, as the builder's client sends none, and a hard link is a file like any other. What .dockerignore leaves out is not there. What buildah
// copies beyond that counts too: links on the way of a wildcard, which BuildKit does not follow, and see readIgnore.
//
// A digest is always that of the bytes that a builder would read. Each file is read once, by several readers side by side, and not at all when
// it was read in an earlier run and the file system says that nothing of it changed since (see published.Stat).
package buildcontext

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

// Pattern is what one instruction reads of a context.
type Pattern struct {
	// Path is relative to the context's root, as the instruction has it after its variables were replaced.
	Path string
	// Literal says that the path has no wildcards: that of a mount.
	Literal bool
	// Parents is COPY --parents: the path may have ** and a pivot /./.
	Parents bool
	// Exclude are the patterns of --exclude.
	Exclude []string
	// Where names the instruction in errors.
	Where string
}

// Entry is a file, a folder or a link that is read.
type Entry struct {
	// Path is relative to the context, with slashes, by the way that the instruction names it.
	Path string
	// Mode is the type, the permissions and the set-user, set-group and sticky bits. The root of a context has none but its type. fs.ModeIrregular
	// is an ignore file of which it is not known whether a builder reads it; Attributes are its content.
	Mode fs.FileMode
	// Link is where a link leads that is copied as a link.
	Link string
	// Digest is of a regular file's bytes.
	Digest cas.Digest
	// Device is the number of a device.
	Device uint64
	// Attributes is a digest of the extended attributes that the builder's client sends, such as a file's capabilities; empty for none.
	Attributes cas.Digest
}

// Context is one folder. It is safe for concurrent use. It sees each file as it is when it is first looked at.
type Context struct {
	dir   string
	store *Store

	mu     sync.Mutex
	ignore *ignore
	doubts []Entry // see readIgnore
	nodes  map[string]*node
}

// node is what is at a path, or nothing.
type node struct {
	path  string // "" is the root
	mode  fs.FileMode
	stat  published.Stat
	link  string
	error error // why it cannot be looked at

	device uint64

	attributes cas.Digest // of a node that was found
	looked     bool       // for attributes

	ignored  bool
	match    patternmatcher.MatchInfo
	listed   bool
	children []*node
	// shown is whether a folder that is ignored has something that is not: 0 is not known, 1 yes, -1 no.
	shown int
}

// Open opens the folder dir. dockerfile is the path of the Dockerfile whose own ignore file goes before the context's; it is empty for named
// contexts. Errors are GANTRY6003 and GANTRY6004.
func (s *Store) Open(dir, dockerfile string) (*Context, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, unreadable(dir, err)
	}
	c := &Context{dir: abs, store: s, nodes: map[string]*node{}}
	if c.ignore, c.doubts, err = readIgnore(abs, dockerfile); err != nil {
		return nil, err
	}
	c.nodes[""] = &node{mode: fs.ModeDir}
	return c, nil
}

func unreadable(path string, err error) error {
	return diag.Wrap(diag.UnreadableContext, err, "build context: "+path, "check the path and its rights")
}

// at returns what is at a clean relative path whose folders are no links, or nil.
func (c *Context) at(p string) (*node, error) {
	if n, ok := c.nodes[p]; ok {
		return n.checked()
	}
	dir, base := path.Split(p)
	parent, err := c.at(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return nil, err
	}
	if parent == nil || !parent.mode.IsDir() || parent.listed {
		c.nodes[p] = nil
		return nil, nil
	}
	fi, err := os.Lstat(c.system(p))
	switch {
	case os.IsNotExist(err):
		c.nodes[p] = nil
		return nil, nil
	case err != nil:
		return nil, unreadable(c.system(p), err)
	}
	return c.add(parent, base, fi).checked()
}

func (n *node) checked() (*node, error) {
	if n != nil && n.error != nil {
		return nil, n.error
	}
	return n, nil
}

func (c *Context) system(p string) string { return filepath.Join(c.dir, filepath.FromSlash(p)) }

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// add makes the node of a file that is there.
func (c *Context) add(parent *node, base string, fi fs.FileInfo) *node {
	n := &node{path: join(parent.path, base), mode: modeOf(fi.Mode())}
	c.nodes[n.path] = n
	file := c.system(n.path)
	switch {
	case n.mode&fs.ModeSymlink != 0:
		n.mode = fs.ModeSymlink // its permissions mean nothing
		link, err := os.Readlink(file)
		if err != nil {
			n.error = unreadable(file, err)
		}
		n.link = filepath.ToSlash(link)
	case n.mode.IsRegular():
		n.stat = published.Of(file, fi)
	case n.mode&fs.ModeDevice != 0:
		n.device = deviceOf(fi)
	}
	if c.ignore != nil {
		var err error
		if n.ignored, n.match, err = c.ignore.MatchesUsingParentResults(n.path, parent.match); err != nil {
			n.error = diag.Wrap(diag.InvalidIgnoreFile, err, c.ignore.name, "repair the patterns")
		}
	}
	return n
}

// modeOf is what of a mode a builder sees. Windows has no permissions: its client sends the same for all.
func modeOf(m fs.FileMode) fs.FileMode {
	m &= fs.ModeType | fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if runtime.GOOS == "windows" {
		m = m&fs.ModeType | 0o755
	}
	return m
}

// list returns what is in a folder, ignored or not, in order of names. Sockets are left out, as BuildKit's client leaves them out.
func (c *Context) list(n *node) ([]*node, error) {
	if n.listed {
		return n.children, nil
	}
	entries, err := os.ReadDir(c.system(n.path))
	if err != nil {
		return nil, unreadable(c.system(n.path), err)
	}
	for _, e := range entries {
		p := join(n.path, e.Name())
		child, ok := c.nodes[p]
		if !ok {
			fi, err := e.Info()
			if os.IsNotExist(err) {
				continue // it is gone since the folder was read
			}
			if err != nil {
				return nil, unreadable(c.system(p), err)
			}
			child = c.add(n, e.Name(), fi)
		}
		if child == nil || child.mode&fs.ModeSocket != 0 {
			continue
		}
		if _, err := child.checked(); err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	n.listed = true
	return n.children, nil
}

// visible says whether a node is in the context that the builder sees: it is not ignored, or it is a folder with something that is not.
func (c *Context) visible(n *node) (bool, error) {
	if !n.ignored {
		return true, nil
	}
	if !n.mode.IsDir() || !c.ignore.below(n.path) {
		return false, nil
	}
	if n.shown != 0 {
		return n.shown > 0, nil
	}
	n.shown = -1
	children, err := c.list(n)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // BuildKit's client passes over what it may not read where it is ignored
	}
	if err != nil {
		return false, err
	}
	for _, child := range children {
		ok, err := c.visible(child)
		if err != nil {
			return false, err
		}
		if ok {
			n.shown = 1
			break
		}
	}
	return n.shown > 0, nil
}

// Files returns what the patterns read, sorted by path, each once. A path that is not there is GANTRY6002; wildcards may match nothing, as in
// BuildKit.
func (c *Context) Files(ctx context.Context, patterns []Pattern) ([]Entry, error) {
	s := &selection{Context: c, found: map[key]*node{}}
	if err := s.all(ctx, patterns); err != nil {
		return nil, err
	}
	keys := make([]key, 0, len(s.found))
	for k := range s.found {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	nodes := make([]*node, len(keys))
	for i, k := range keys {
		nodes[i] = s.found[k]
	}
	digests, err := c.store.read(ctx, c, nodes)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, len(keys))
	for i, k := range keys {
		n := nodes[i]
		list[i] = Entry{Path: k.path, Mode: n.mode, Link: n.link, Digest: digests[i], Device: n.device, Attributes: n.attributes}
	}
	if len(c.doubts) > 0 {
		list = append(list, c.doubts...)
		slices.SortStableFunc(list, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	}
	return list, nil
}

// missing is the error of a path that is not there.
func (c *Context) missing(p Pattern) error {
	why := fmt.Sprintf("%q is not in the build context %s", p.Path, c.dir)
	if c.ignore != nil {
		if _, err := os.Stat(c.system(path.Join("/", p.Path))); err == nil {
			why += ": " + c.ignore.name + " leaves it out"
		}
	}
	if p.Where != "" {
		why = p.Where + ": " + why
	}
	return diag.New(diag.MissingContextFile, why, "the build would fail")
}
