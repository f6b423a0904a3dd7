package graph

import (
	"errors"
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// maxProblems is how many different problems of a graph a person is told of who asked for something else.
const maxProblems = 20

// problems collects what is wrong with images; what is wrong with many in one way is told once.
type problems struct {
	images map[string][]*imagelist.Spec
	errs   map[string]error
	places map[string]string // in a Dockerfile, of the first
	order  []string
}

func (p *problems) add(image *imagelist.Spec, err error) {
	where, err := placeOf(err)
	p.addAt(image, where, err)
}

func (p *problems) addAt(image *imagelist.Spec, where string, err error) {
	if p.errs == nil {
		p.images, p.errs, p.places = map[string][]*imagelist.Spec{}, map[string]error{}, map[string]string{}
	}
	text := err.Error()
	if p.errs[text] == nil {
		p.errs[text], p.places[text] = err, where
		p.order = append(p.order, text)
	}
	if list := p.images[text]; len(list) == 0 || list[len(list)-1] != image {
		p.images[text] = append(list, image)
	}
}

// err is a join of coded errors.
func (p *problems) err() error { return errors.Join(p.list(maxProblems)...) }

// list are at most so many coded errors, each with the first image that it is about, and how many are left.
func (p *problems) list(most int) []error {
	var all []error
	for _, text := range p.order {
		if len(all) == most {
			more := fmt.Sprintf("and %d more problems", len(p.order)-most)
			return append(all, diag.New(diag.CodeOf(p.errs[text]), more, "repair these first"))
		}
		all = append(all, namedAt(p.places[text], p.errs[text], p.images[text]...))
	}
	return all
}

// named says which images an error is about, and where the list has the first.
func named(err error, images ...*imagelist.Spec) error { return namedAt("", err, images...) }

func namedAt(where string, err error, images ...*imagelist.Spec) error {
	who := images[0].Place()
	if n := len(images) - 1; n > 0 {
		who = fmt.Sprintf("%s and %d more", who, n)
	}
	if where != "" {
		who += ": " + where
	}
	var coded *diag.Error
	if !errors.As(err, &coded) {
		return fmt.Errorf("%s: %w", who, err)
	}
	e := *coded
	e.What = who + ": " + e.What
	return &e
}
