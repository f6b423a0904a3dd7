package imagelist

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-build/gantry/internal/nearest"
)

// image reads one [[image]] and makes its specs.
func (r *graphReader) image(path string, table map[string]any, base *entry, order []string) {
	r.known(path, table, names(Table, nil))
	e := r.entry(path, table)
	name, ok := e.single["name"]
	if _, written := table["name"]; !written {
		r.invalid(r.where(path), "the image has no name")
	}
	if !ok {
		return
	}
	e.under(base)
	all, m := []combination{{}}, &matrix{}
	if v, ok := table["matrix"]; ok {
		before := len(r.errs)
		m = r.matrix(join(path, "matrix"), v, order)
		if n := m.size() + len(m.include); n > maxImages-len(r.specs) {
			r.invalid(r.where(join(path, "matrix")), "the list has more than %d images with this matrix", maxImages)
			return
		}
		if n := (m.size() + 1) * (len(m.include) + len(m.exclude)); n > maxRules {
			r.invalid(r.where(join(path, "matrix")), "its combinations and rules are too many: %d times a rule would be looked at", n)
			return
		}
		all = m.combinations()
		if len(all) == 0 && len(r.errs) == before {
			r.invalid(r.where(join(path, "matrix")), "it has no combination")
		}
	}
	x := &expander{r: r, path: path, entry: e, matrix: m, name: name, values: map[string]string{}, shared: map[string]string{}}
	x.origin = fmt.Sprintf("%s:%d", r.file, r.doc.Line(path))
	x.keys()
	r.specs = slices.Grow(r.specs, len(all))
	for _, c := range all {
		if r.text > maxText {
			r.once("", "the images have more than %d MiB of text", maxText>>20)
			return
		}
		if spec, ok := x.spec(c); ok {
			r.specs = append(r.specs, spec)
		}
	}
}

// under puts an image's values over those of the defaults.
func (e *entry) under(base *entry) {
	for k, v := range base.single {
		if _, ok := e.single[k]; !ok {
			e.single[k] = v
		}
	}
	for k, v := range base.lists {
		if _, ok := e.lists[k]; !ok {
			e.lists[k] = v
		}
	}
	for k, v := range base.tables {
		merged := maps.Clone(v)
		maps.Copy(merged, e.tables[k])
		e.tables[k] = merged
	}
}

// expander makes the specs of one image.
type expander struct {
	r      *graphReader
	path   string
	origin string
	entry  *entry
	matrix *matrix
	name   template
	values map[string]string
	// args and contexts are the names of the tables, sorted once.
	args, contexts []string
	// shared are paths that were made absolute.
	shared map[string]string
}

func (x *expander) keys() {
	x.args = slices.Sorted(maps.Keys(x.entry.tables["args"]))
	x.contexts = slices.Sorted(maps.Keys(x.entry.tables["contexts"]))
}

// spec makes the image of one combination.
func (x *expander) spec(c combination) (Spec, bool) {
	x.matrix.replacements(c, x.values)
	s := Spec{Origin: x.origin}
	var ok bool
	if s.Name, ok = x.nameOf(c); !ok {
		return Spec{}, false
	}
	if _, taken := x.values["name"]; !taken {
		x.values["name"] = s.Name
	}
	context, ok1 := x.single("context")
	file, ok2 := x.single("file")
	target, ok3 := x.single("target")
	s.Target = target
	if context == "" {
		context = "."
	}
	s.Context = x.once("c"+context, func() string { return x.r.dir.context(context) })
	s.Dockerfile = x.once("f"+s.Context+"\x00"+file, func() string { return inContext(s.Context, file) })
	platforms, ok4 := x.list("platforms")
	tags, ok5 := x.list("tags")
	s.Platforms, s.Tags = platforms, tags
	args, ok6 := x.table("args", x.args)
	contexts, ok7 := x.table("contexts", x.contexts)
	if len(args) > 0 {
		s.Args = make(map[string]*string, len(args))
		for i, name := range x.args[:len(args)] {
			s.Args[name] = &args[i]
		}
	}
	if len(contexts) > 0 {
		s.Contexts = make(map[string]string, len(contexts))
		for i, name := range x.contexts[:len(contexts)] {
			s.Contexts[name] = x.r.dir.named(contexts[i])
		}
	}
	return s, ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7
}

// once makes a path absolute a single time for all combinations that have it.
func (x *expander) once(key string, abs func() string) string {
	path, ok := x.shared[key]
	if !ok {
		path = abs()
		x.shared[key] = path
	}
	return path
}

func (x *expander) nameOf(c combination) (string, bool) {
	name, ok := x.expand(join(x.path, "name"), x.name)
	if !ok || !x.name.plain() {
		return name, ok
	}
	suffix, ok := x.matrix.suffix(c)
	if !ok {
		x.r.once(join(x.path, "name"), "a matrix of tables does not say what its images are called: use ${...} in the name")
	}
	return name + suffix, ok
}

func (x *expander) expand(path string, t template) (string, bool) {
	s, missing := t.expand(x.values)
	if missing == "" {
		x.r.text += len(s) + 8*len(t.parts)
		return s, true
	}
	hint := "write $${ for a plain ${"
	if best := nearest.Name(missing, slices.Sorted(maps.Keys(x.values))); best != "" {
		hint = "is ${" + best + "} meant?"
	}
	if len(x.matrix.axes)+len(x.matrix.include) > 0 {
		x.r.once(path, "the matrix, or one combination of it, has no value for ${%s}; %s", missing, hint)
	} else {
		x.r.once(path, "there is no matrix that has a value for ${%s}; %s", missing, hint)
	}
	return "", false
}

func (x *expander) single(key string) (string, bool) {
	t, ok := x.entry.single[key]
	if !ok {
		return "", true
	}
	return x.expand(join(x.path, key), t)
}

func (x *expander) list(key string) ([]string, bool) {
	templates := x.entry.lists[key]
	if len(templates) == 0 {
		return nil, true
	}
	out := make([]string, 0, len(templates))
	for _, t := range templates {
		s, ok := x.expand(join(x.path, key), t)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// table expands a table's values, in the order of names.
func (x *expander) table(key string, names []string) ([]string, bool) {
	if len(names) == 0 {
		return nil, true
	}
	templates := x.entry.tables[key]
	out := make([]string, 0, len(names))
	for _, name := range names {
		s, ok := x.expand(join(join(x.path, key), name), templates[name])
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
