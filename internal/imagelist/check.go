package imagelist

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/nearest"
)

// Check says what is wrong with the images of a list each by itself and can be seen on this machine: names that are none, folders and named
// targets that are not there, platforms that are none. Each is GANTRY6008. What two images have is said by Doubles, and what their
// Dockerfiles say by the graph.
func Check(specs []Spec) []error {
	c := &checker{names: make(map[string]bool, len(specs)), stats: map[string]fileKind{}, suggestions: maxSuggestions}
	for i := range specs {
		if s := &specs[i]; s.Name != "" {
			c.names[s.Name] = true
			c.all = append(c.all, s.Name)
		}
	}
	for i := range specs {
		s := &specs[i]
		c.name(s)
		c.platforms(s)
		c.contexts(s)
		c.paths(s)
	}
	return c.errs
}

// maxSuggestions is how often the nearest of all names is looked for, as that takes its time in a long list.
const maxSuggestions = 50

type checker struct {
	errs        findings
	all         []string
	names       map[string]bool
	stats       map[string]fileKind
	suggestions int
}

func (c *checker) add(s *Spec, hint, format string, args ...any) {
	c.errs.add(s, diag.InvalidImage, hint, format, args...)
}

// name checks that a name is there and can stand in a file or a command.
func (c *checker) name(s *Spec) {
	bad := strings.IndexFunc(s.Name, func(r rune) bool {
		return r >= 0x80 || !isName(string(r)) && !strings.ContainsRune("./:+@", r)
	})
	switch {
	case s.Name == "":
		c.add(s, "", "the image has no name")
	case bad >= 0:
		c.add(s, "use letters, digits and _ - . / : + @", "the name %q has a character that a name cannot have", s.Name)
	}
}

// paths checks the folder of an image, and the template of its Dockerfile.
func (c *checker) paths(s *Spec) {
	if s.Template != "" && c.stat(s.Template) != regular {
		c.add(s, "check the path", "the template %s is not there", s.Template)
	}
	if s.Remote() {
		return
	}
	switch c.stat(s.Context) {
	case missing:
		c.add(s, "check the path", "the context %s is not there", s.Context)
	case regular, special:
		c.add(s, "check the path", "the context %s is not a folder", s.Context)
	case folder:
	}
}

// platforms checks that each says a system and an architecture, once.
func (c *checker) platforms(s *Spec) {
	seen := map[dockerfile.Platform]bool{}
	for _, text := range s.Platforms {
		p, err := dockerfile.ParsePlatform(text, dockerfile.Platform{})
		if err == nil && p.OS != "" && p.Architecture != "" {
			_, err = dockerfile.ParsePlatform(p.OS, p)
		}
		switch {
		case err != nil || p.OS == "" || p.Architecture == "":
			c.add(s, "write os/architecture or os/architecture/variant, such as linux/arm64", "%q is no platform", text)
		case seen[p]:
			c.add(s, "", "the platform %s is there twice", text)
		}
		seen[p] = true
	}
}

// contexts checks named contexts.
func (c *checker) contexts(s *Spec) {
	for _, name := range slices.Sorted(maps.Keys(s.Contexts)) {
		value := s.Contexts[name]
		other, isTarget := strings.CutPrefix(value, "target:")
		switch {
		case isTarget && !c.names[other]:
			hint := "target:NAME is an image of the same list"
			if c.suggestions--; c.suggestions >= 0 {
				if best := nearest.Name(other, c.all); best != "" {
					hint = "is target:" + best + " meant?"
				}
			}
			c.add(s, hint, "the context %s is %s, and there is no image of that name", name, value)
		case isTarget, !isFolder(value):
		case c.stat(value) == missing:
			c.add(s, "check the path", "the context %s, %s, is not there", name, value)
		case c.stat(value) != folder:
			c.add(s, "check the path", "the context %s, %s, is not a folder", name, value)
		}
	}
}

// fileKind is what a path is.
type fileKind int

const (
	missing fileKind = iota
	folder
	regular
	special
)

func (c *checker) stat(path string) fileKind {
	kind, known := c.stats[path]
	if known {
		return kind
	}
	if fi, err := os.Stat(path); err == nil {
		switch {
		case fi.IsDir():
			kind = folder
		case fi.Mode().IsRegular():
			kind = regular
		default:
			kind = special
		}
	}
	c.stats[path] = kind
	return kind
}
