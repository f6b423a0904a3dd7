package dockerfile

import (
	"slices"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/gantry-build/gantry/internal/registry"
)

// shared is what the answers of one file have in common: lists of one build argument are mostly those of another, and thousands of answers
// are kept at once. It is safe for concurrent use.
type shared struct {
	desks sync.Pool

	mu     sync.Mutex
	sizes  sizes
	images []Image
	files  []Pattern
	stages []Stage
	items  map[Item]*Item
	names  map[string]name
}

// desk is what a walk works with and the next one can use.
type desk struct {
	lex     *shell.Lex
	content []Item
}

// name is a parsed reference, and its full form.
type name struct {
	registry.Reference
	full string
}

// sizes are how long the lists of the last answer were.
type sizes struct{ nodes, images int }

// desk returns one that nobody else uses until it is given back.
func (s *shared) desk(escape rune) *desk {
	if d, ok := s.desks.Get().(*desk); ok {
		d.content = d.content[:0]
		return d
	}
	return &desk{lex: shell.NewLex(escape)}
}

// reference parses the name of a base, each once.
func (s *shared) reference(base string) (ref registry.Reference, full string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.names[base]
	if !ok {
		if n.Reference, err = registry.ParseReference(base); err != nil {
			return ref, "", err
		}
		n.full = n.Reference.String()
		if s.names == nil {
			s.names = map[string]name{}
		}
		s.names[base] = n
	}
	return n.Reference, n.full, nil
}

func (s *shared) expected() sizes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sizes
}

// share makes the content of an answer, and replaces lists by those of another answer that are equal. Nobody changes a list of an answer.
func (s *shared) share(w *walk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = sizes{len(w.nodes), len(w.out.Images)}
	w.out.Content = make([]*Item, len(w.desk.content))
	for i, item := range w.desk.content {
		one := s.items[item]
		if one == nil {
			one = &item
			if s.items == nil {
				s.items = map[Item]*Item{}
			}
			s.items[item] = one
		}
		w.out.Content[i] = one
	}
	for i, image := range w.out.Images {
		if i < len(s.images) && slices.Equal(s.images[i].Uses, image.Uses) {
			w.out.Images[i].Uses = s.images[i].Uses
		}
	}
	s.images = w.out.Images
	if slices.EqualFunc(s.files, w.out.Files, samePattern) {
		w.out.Files = s.files
	}
	if slices.Equal(s.stages, w.out.Stages) {
		w.out.Stages = s.stages
	}
	s.files, s.stages = w.out.Files, w.out.Stages
}

func samePattern(a, b Pattern) bool {
	return a.Context == b.Context && a.Use == b.Use && a.Path == b.Path && a.Literal == b.Literal && a.Parents == b.Parents &&
		a.Where == b.Where && slices.Equal(a.Exclude, b.Exclude)
}
