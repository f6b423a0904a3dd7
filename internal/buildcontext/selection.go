package buildcontext

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/gantry-build/gantry/internal/diag"
)

// selection collects what patterns read.
type selection struct {
	*Context
	found    map[key]*node
	followed int
}

// key is a path as it is read, and whether the link at its end was followed: a link may be read both ways.
type key struct {
	path string
	link bool
}

func (k key) compare(o key) int {
	if d := cmp.Compare(k.path, o.path); d != 0 || k.link == o.link {
		return d
	}
	if k.link {
		return 1
	}
	return -1
}

func (s *selection) all(ctx context.Context, patterns []Pattern) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range patterns {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.one(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) one(p Pattern) error {
	from, include := path.Join("/", p.Path)[1:], ""
	if p.Parents {
		base, rest, pivot := strings.Cut(p.Path, "/./")
		if !pivot {
			base, rest = "", p.Path
		}
		from, include = path.Join("/", base)[1:], path.Join("/", rest)[1:]
	}
	f, err := newFilter(include, p.Exclude)
	if err != nil {
		return badPattern(p, err)
	}
	if p.Literal || !hasWildcards(from) {
		n, err := s.resolve(from, true)
		if err != nil {
			return err
		}
		if n == nil {
			return s.missing(p)
		}
		found, err := s.take(n, from, f)
		if err == nil && !found && p.Parents && !hasWildcards(include) {
			err = s.missing(p)
		}
		return err
	}
	return s.wildcards(p, from, f)
}

func badPattern(p Pattern, err error) error {
	return diag.Wrap(diag.MissingContextFile, err, fmt.Sprintf("%s: the pattern %q means nothing", p.Where, p.Path), "the build would fail")
}

// hasWildcards is containsWildcards of BuildKit: a backslash makes the next character plain.
func hasWildcards(p string) bool {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// wildcards takes all that a path with wildcards matches. What is before the first element with one is followed through links.
func (s *selection) wildcards(p Pattern, from string, f *filter) error {
	elements := strings.Split(from, "/")
	fixed := 0
	for !hasWildcards(elements[fixed]) {
		fixed++
	}
	prefix := strings.Join(elements[:fixed], "/")
	for _, e := range elements[fixed:] {
		if _, err := path.Match(e, ""); err != nil {
			return badPattern(p, err)
		}
	}
	n, err := s.resolve(prefix, true)
	if err == nil && n == nil {
		err = s.missing(Pattern{Path: prefix, Where: p.Where})
	}
	if err != nil {
		return err
	}
	return s.expand(&match{n, prefix, false}, elements[fixed:], func(m *match) error {
		n, err := m.n, error(nil)
		if n.mode&fs.ModeSymlink != 0 {
			n, err = s.resolve(m.name, true)
			switch {
			case m.linked && (n == nil || err != nil):
				return nil
			case err != nil:
				return err
			case n == nil:
				return s.missing(Pattern{Path: m.name, Where: p.Where})
			}
		}
		_, err = s.take(n, m.name, f)
		return err
	})
}

// match is what wildcards lead to. linked says that there is a link on the way: BuildKit does not follow it, buildah does. It counts, so that no
// builder copies what does not, and is no error.
type match struct {
	n      *node
	name   string
	linked bool
}

// maxFollowed is how many links on the way of the wildcards of one question are followed. Links to folders above them make of k wildcards as many
// ways as there are links, to the power of k: buildah would not come to an end.
const maxFollowed = 1000

// expand calls found with each node below m that matches the elements.
func (s *selection) expand(m *match, elements []string, found func(*match) error) error {
	if len(elements) == 0 {
		return found(m)
	}
	if m.n.mode&fs.ModeSymlink != 0 {
		s.followed++
		if s.followed > maxFollowed {
			return nil
		}
		target, err := s.resolve(m.n.path, true)
		if err != nil || target == nil {
			return nil
		}
		m = &match{target, m.name, true}
	}
	if !m.n.mode.IsDir() {
		return nil
	}
	children, err := s.list(m.n)
	if err != nil {
		return err
	}
	for _, child := range children {
		base := path.Base(child.path)
		if ok, _ := path.Match(elements[0], base); !ok {
			continue
		}
		if ok, err := s.visible(child); err != nil {
			return err
		} else if !ok {
			continue
		}
		if err := s.expand(&match{child, join(m.name, base), m.linked}, elements[1:], found); err != nil {
			return err
		}
	}
	return nil
}

// maxLinks is how many links BuildKit follows for one path (cache/contenthash/path.go).
const maxLinks = 255

// resolve finds what a path leads to, through links that end inside the context: an absolute one begins at its root, and .. stops there.
// follow says whether a link at the end is followed too. It returns nil when there is nothing that the builder sees.
func (s *selection) resolve(p string, follow bool) (*node, error) {
	at, rest, links := "", p, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next := path.Join("/", at, part)[1:]
		n, err := s.see(next)
		if err != nil {
			return nil, err
		}
		if n == nil || n.mode&fs.ModeSymlink == 0 || rest == "" && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return nil, unreadable(s.system(p), fmt.Errorf("more than %d links", maxLinks))
		}
		if path.IsAbs(n.link) {
			at = ""
		}
		rest = n.link + "/" + rest
	}
	return s.see(at)
}

// see is at for what the builder sees.
func (s *selection) see(p string) (*node, error) {
	n, err := s.at(p)
	if n == nil || err != nil {
		return nil, err
	}
	ok, err := s.visible(n)
	if err != nil || !ok {
		return nil, err
	}
	return n, nil
}

// filter is --parents and --exclude.
type filter struct {
	include, exclude *patternmatcher.PatternMatcher
	// lead are the elements of the include pattern before the first wildcard: nothing is looked for beside them.
	lead []string
}

func newFilter(include string, exclude []string) (*filter, error) {
	if include == "" && len(exclude) == 0 {
		return nil, nil
	}
	f := &filter{}
	var err error
	if include != "" {
		if f.include, err = patternmatcher.New([]string{include}); err != nil {
			return nil, err
		}
		for e := range strings.SplitSeq(include, "/") {
			if strings.ContainsAny(e, `*?[\!`) {
				break
			}
			f.lead = append(f.lead, e)
		}
	}
	if len(exclude) > 0 {
		f.exclude, err = patternmatcher.New(exclude)
	}
	return f, err
}

// visit is one place of a filtered walk.
type visit struct {
	n        *node
	rel      string
	name     string
	in, ex   patternmatcher.MatchInfo
	above    *visit
	included bool
}

// take adds a node, and what is below a folder. It says whether anything was added.
func (s *selection) take(n *node, name string, f *filter) (bool, error) {
	if f != nil {
		return s.filtered(&visit{n: n, name: name}, f)
	}
	if err := s.put(n, name); err != nil || !n.mode.IsDir() {
		return err == nil, err
	}
	children, err := s.list(n)
	if err != nil {
		return false, err
	}
	for _, child := range children {
		ok, err := s.visible(child)
		if err == nil && ok {
			_, err = s.take(child, join(name, path.Base(child.path)), nil)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// put adds one node. The root is never one: its mode and attributes count for nothing.
func (s *selection) put(n *node, name string) (err error) {
	if name == "" {
		return nil
	}
	if !n.looked {
		file := s.system(n.path)
		if n.attributes, err = attributes(file); err != nil {
			return unreadable(file, err)
		}
		n.looked = true
	}
	s.found[key{name, n.mode&fs.ModeSymlink != 0}] = n
	return nil
}

// filtered is includedPaths of BuildKit's content hash: a folder counts when it matches itself, or when something below it does.
func (s *selection) filtered(v *visit, f *filter) (bool, error) {
	matches, err := f.matches(v)
	if err != nil {
		return false, unreadable(s.system(v.n.path), err)
	}
	found := false
	if matches {
		found = true
		for w := v; w != nil && !w.included; w = w.above {
			w.included = true
			if err := s.put(w.n, w.name); err != nil {
				return false, err
			}
		}
	}
	if !v.n.mode.IsDir() {
		return found, nil
	}
	children, err := s.list(v.n)
	if err != nil {
		return found, err
	}
	for _, child := range children {
		base := path.Base(child.path)
		w := &visit{n: child, rel: join(v.rel, base), name: join(v.name, base), above: v}
		if !f.leads(w.rel) {
			continue
		}
		ok, err := s.visible(child)
		if err == nil && ok {
			ok, err = s.filtered(w, f)
		}
		if err != nil {
			return found, err
		}
		found = found || ok
	}
	return found, nil
}

// matches is shouldIncludePath of the same place, but for one thing: the path itself is never excluded. There --exclude=* leaves the only file
// of a COPY out of what the cache depends on, and the copy is made with it.
func (f *filter) matches(v *visit) (ok bool, err error) {
	var in, ex patternmatcher.MatchInfo
	if v.above != nil {
		in, ex = v.above.in, v.above.ex
	}
	if f.include != nil {
		if ok, v.in, err = f.include.MatchesUsingParentResults(v.rel, in); err != nil || !ok {
			return false, err
		}
	}
	if f.exclude != nil && v.above != nil {
		ok, v.ex, err = f.exclude.MatchesUsingParentResults(v.rel, ex)
		return !ok && err == nil, err
	}
	return true, nil
}

// leads says whether a path is on the way to, or below, what the include pattern begins with.
func (f *filter) leads(rel string) bool {
	i := 0
	for e := range strings.SplitSeq(rel, "/") {
		if i == len(f.lead) {
			return true
		}
		if e != f.lead[i] {
			return false
		}
		i++
	}
	return true
}
