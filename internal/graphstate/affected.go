package graphstate

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/diag"
)

// Reached is what an image reads of this machine.
type Reached struct {
	// Name is the image's in its list.
	Name string
	// Files are single files: the Dockerfile, and the list that the image stands in. Ignore files are found beside Dockerfile and contexts.
	Files []string
	// Contexts are the main build context and the named ones that are folders. Images that read the same share one, which is looked at once.
	Contexts []*ReachedContext
}

// ReachedContext is a folder and what is read of it.
type ReachedContext struct {
	Dir string
	// Dockerfile is the one whose own ignore file counts; empty for a named context.
	Dockerfile string
	// Patterns are what instructions read, and Entries the files that these are now; nil when that is not known.
	Patterns []buildcontext.Pattern
	Entries  []buildcontext.Entry
}

// Affected is what git adds to a plan.
type Affected struct {
	// ByHash says that git could not tell: every image is judged by its hash alone. Message says why, with its code.
	ByHash  bool
	Message string
	// Images are those that read something that changed, with the first such file, in the order of the graph.
	Images []AffectedImage
}

// AffectedImage is an image and a file that it reads and that changed.
type AffectedImage struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// FindAffected maps what changed since a revision to images. It is only ever more work: an image that it does not name may have to be built
// all the same, as the hashes say. What reads an affected image is not named; a plan knows that. The error is that of ctx.
func FindAffected(ctx context.Context, git *Git, since string, images []Reached) (*Affected, error) {
	changed, err := git.Changes(ctx, since)
	if ctx.Err() != nil {
		return nil, diag.Wrap(diag.Interrupted, ctx.Err(), "ask git what changed", "run again")
	}
	if err != nil {
		return &Affected{ByHash: true, Message: diag.MessageLine(diag.GitUnusable,
			fmt.Sprintf("git cannot say what changed since %q, so every image is judged by its hash alone: %v", since, err))}, nil
	}
	m := &mapper{changed: changed, exact: map[string]bool{}, real: map[string]string{}, contexts: map[*ReachedContext]string{}}
	for _, f := range changed {
		m.exact[f] = true
	}
	a := &Affected{}
	if len(changed) == 0 {
		return a, nil
	}
	for i := range images {
		if file := m.first(&images[i]); file != "" {
			a.Images = append(a.Images, AffectedImage{Name: images[i].Name, File: file})
		}
	}
	return a, nil
}

// mapper finds the images that read changed files.
type mapper struct {
	changed []string // absolute, sorted
	exact   map[string]bool
	real    map[string]string // folders without links, by their path
	// contexts are those that were looked at, and what was found.
	contexts map[*ReachedContext]string
}

// first is a file that an image reads and that changed; empty when there is none.
func (m *mapper) first(r *Reached) string {
	for _, f := range r.Files {
		if p := m.known(m.resolve(f)); p != "" {
			return p
		}
	}
	for _, c := range r.Contexts {
		f, ok := m.contexts[c]
		if !ok {
			f = m.inContext(c)
			m.contexts[c] = f
		}
		if f != "" {
			return f
		}
	}
	return ""
}

// known is a file that changed, or the folder above it that git knows as one thing, such as a submodule; empty when neither did.
func (m *mapper) known(p string) string {
	for ; ; p = filepath.Dir(p) {
		if m.exact[p] {
			return p
		}
		if p == filepath.Dir(p) {
			return ""
		}
	}
}

// resolve takes the links out of a path's folders, as git's paths have none.
func (m *mapper) resolve(p string) string {
	dir := filepath.Dir(p)
	real, ok := m.real[dir]
	if !ok {
		var err error
		if real, err = filepath.EvalSymlinks(dir); err != nil {
			real = dir
		}
		m.real[dir] = real
	}
	return filepath.Join(real, filepath.Base(p))
}

func (m *mapper) inContext(c *ReachedContext) string {
	ignores := []string{filepath.Join(c.Dir, ".dockerignore")}
	if c.Dockerfile != "" {
		ignores = append(ignores, c.Dockerfile+".dockerignore")
	}
	for _, f := range ignores {
		if p := m.resolve(f); m.exact[p] {
			return p
		}
	}
	for _, e := range c.Entries {
		p := filepath.Join(c.Dir, filepath.FromSlash(e.Path))
		if e.Mode.IsDir() {
			continue // its files are entries of their own
		}
		p = m.resolve(p)
		if f := m.known(p); f != "" {
			return f
		}
		if fi, err := os.Lstat(p); err != nil || fi.Mode().Type() != os.ModeSymlink {
			continue // the mode of an entry does not tell: of a link that an instruction names it is that of what it points to
		}
		if target, err := filepath.EvalSymlinks(p); err == nil {
			if f := m.known(target); f != "" {
				return f
			}
		}
	}
	return m.gone(c)
}

// gone finds what was read and is not there any more: a changed file in the context whose name an instruction asks for.
func (m *mapper) gone(c *ReachedContext) string {
	dir, err := filepath.EvalSymlinks(c.Dir)
	if err != nil {
		dir = c.Dir
	}
	prefix := strings.TrimSuffix(dir, string(filepath.Separator)) + string(filepath.Separator)
	ignored := readIgnored(c)
	from, _ := slices.BinarySearch(m.changed, prefix)
	for _, f := range m.changed[from:] {
		rel, ok := strings.CutPrefix(f, prefix)
		if !ok {
			break
		}
		if _, err := os.Lstat(f); err == nil && c.Entries != nil {
			continue // it is there: it is an entry, or not read
		}
		rel = filepath.ToSlash(rel)
		if ignored(rel) {
			continue
		}
		if slices.ContainsFunc(c.Patterns, func(p buildcontext.Pattern) bool { return asks(p, rel) }) {
			return f
		}
	}
	return ""
}

// readIgnored says what an ignore file leaves out; nothing, when it cannot be read.
func readIgnored(c *ReachedContext) func(string) bool {
	none := func(string) bool { return false }
	name := filepath.Join(c.Dir, ".dockerignore")
	if c.Dockerfile != "" {
		if fi, err := os.Stat(c.Dockerfile + ".dockerignore"); err == nil && !fi.IsDir() {
			name = c.Dockerfile + ".dockerignore"
		}
	}
	file, err := os.Open(name)
	if err != nil {
		return none
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return none
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return none
	}
	return func(rel string) bool {
		ignored, err := matcher.MatchesOrParentMatches(filepath.FromSlash(rel))
		return err == nil && ignored
	}
}

// asks says whether an instruction may have read a file of a name. --exclude and the pivot of --parents are passed over: too much is no harm.
func asks(p buildcontext.Pattern, rel string) bool {
	want := path.Join("/", p.Path)[1:]
	if want == "" || want == rel || strings.HasPrefix(rel, want+"/") {
		return true
	}
	if p.Literal || !strings.ContainsAny(want, `*?[\`) {
		return false
	}
	if p.Parents && strings.Contains(want, "**") {
		want = want[:strings.Index(want, "**")]
		if i := strings.LastIndexByte(want, '/'); i < 0 || !strings.ContainsAny(want[:i], `*?[\`) && strings.HasPrefix(rel, want[:i+1]) {
			return true
		}
		return strings.ContainsAny(want, `*?[\`)
	}
	elements, names := strings.Split(want, "/"), strings.Split(rel, "/")
	if len(names) < len(elements) {
		return false
	}
	for i, e := range elements {
		if ok, err := path.Match(e, names[i]); err != nil || !ok {
			return err != nil
		}
	}
	return true
}
