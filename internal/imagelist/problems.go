package imagelist

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// maxProblems is how many problems of one list are told. More are of one cause, or the file is of another kind.
const maxProblems = 50

// problems collects what is wrong with a list.
type problems struct {
	file  string
	lines map[string]int // of the paths of a JSON document, behind "FILE: " those of an included one
	errs  []error
	warn  func(text string) // nil is nobody
	told  map[string]bool   // warnings
}

// warning tells of what is likely a slip, once.
func (p *problems) warning(where, text string) {
	if where != "" {
		text = where + ": " + text
	}
	if p.warn == nil || p.told[text] || len(p.told) >= maxProblems {
		return
	}
	if p.told == nil {
		p.told = map[string]bool{}
	}
	p.told[text] = true
	p.warn(p.file + ": " + text)
}

// add tells one problem: where is the line or the key.
func (p *problems) add(code diag.Code, where, what, hint string) {
	if len(p.errs) >= maxProblems {
		return
	}
	if where != "" {
		what = p.located(where) + ": " + what
	}
	p.errs = append(p.errs, diag.New(code, p.file+": "+what, hint))
}

// located is a path with its line, where that is known.
func (p *problems) located(path string) string {
	line, file := p.line(path)
	if line == 0 {
		return path
	}
	return fmt.Sprintf("%sline %d: %s", file, line, strings.TrimPrefix(path, file))
}

// origin is where a list has an image.
func (p *problems) origin(path string) string {
	line, file := p.line(path)
	if file = strings.TrimSuffix(file, ": "); file == "" {
		file = p.file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// line is that of a path, or of the nearest value around it; file is its beginning when it is in an included one.
func (p *problems) line(path string) (line int, file string) {
	if name, _, ok := strings.Cut(path, ": "); ok {
		file = name + ": "
	}
	for at := path; at != ""; at = outer(at) {
		if line, ok := p.lines[at]; ok {
			return line, file
		}
	}
	return 0, ""
}

// full says that no more is told.
func (p *problems) full() bool { return len(p.errs) >= maxProblems }

func (p *problems) invalid(where, format string, args ...any) {
	p.add(diag.InvalidImageList, where, fmt.Sprintf(format, args...), "")
}

func (p *problems) err() error { return errors.Join(p.errs...) }

// one is an error that ends the reading.
func (p *problems) one(where, what, hint string) error {
	p.add(diag.InvalidImageList, where, what, hint)
	return p.err()
}

// join is the path of a key in what path stands for.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// outer is the path of what a path stands in.
func outer(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }
