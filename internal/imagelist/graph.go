package imagelist

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/settings"
	"github.com/gantry-build/gantry/internal/tomltext"
)

// maxImages is how many images a list may have. More are a matrix that somebody did not mean.
const maxImages = 100_000

// maxRules is how often a rule of a matrix is held against a combination, and maxText how many bytes the templates of a list
// may make, where a part of one counts eight.
const (
	maxRules = 50_000_000
	maxText  = 64 << 20
)

// graphReader reads gantry.graph.toml.
type graphReader struct {
	*problems
	dir   place
	doc   *tomltext.Document
	axes  [][]string // of each image, the names of its matrix in the order of the file; empty when that is not known
	told  map[string]bool
	text  int // bytes that were made of templates
	specs []Spec
}

func parseGraph(p *problems, dir place, data []byte) []Spec {
	d, err := tomltext.Parse(data, maxBytes)
	if err != nil {
		where, why := "", err.Error()
		if at := (*tomltext.Error)(nil); errors.As(err, &at) {
			where, why = fmt.Sprintf("line %d", at.Line), at.Text
		}
		p.invalid(where, "it cannot be read as TOML: %s", why)
		return nil
	}
	r := &graphReader{problems: p, dir: dir, doc: d, told: map[string]bool{}, axes: axisOrder(d.Keys)}
	r.root(d.Values)
	return r.specs
}

// axisOrder finds the order of the keys in each image's matrix, which maps forget.
func axisOrder(keys [][]string) [][]string {
	var all [][]string
	for _, k := range keys {
		switch {
		case len(k) == 1 && k[0] == "image":
			all = append(all, nil)
		case len(k) == 3 && k[0] == "image" && k[1] == "matrix" && len(all) > 0:
			if last := &all[len(all)-1]; !slices.Contains(*last, k[2]) {
				*last = append(*last, k[2])
			}
		}
	}
	return all
}

// where is the line of a path, or that of the nearest table around it.
func (r *graphReader) where(path string) string {
	if path == "" { // the whole list
		return ""
	}
	return fmt.Sprintf("line %d: %s", r.doc.Line(path), path)
}

// once is invalid, but tells a problem of a matrix a single time.
func (r *graphReader) once(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !r.told[path+text] {
		r.told[path+text] = true
		r.invalid(r.where(path), "%s", text)
	}
}

func (r *graphReader) root(root map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(root)) {
		if !slices.Contains(names(rootKeys, nil), k) {
			r.unknown(k, k, append(names(rootKeys, nil), names(Table, nil)...))
		}
	}
	defaults := r.table("defaults", root["defaults"])
	known := names(Table, func(k Key) bool { return k.Defaults })
	r.known("defaults", defaults, known)
	images, ok := tomltext.Tables(root["image"])
	if !ok {
		r.invalid(r.where("image"), "it has to be tables: begin each image with [[image]]")
		return
	}
	if len(images) == 0 && len(r.errs) == 0 {
		r.add(diag.InvalidImageList, "", "it names no image", "begin each image with [[image]]")
	}
	base := r.entry("defaults", defaults)
	if len(r.axes) != len(images) {
		r.axes = make([][]string, len(images))
	}
	for i, m := range images {
		r.image(fmt.Sprintf("image[%d]", i), m, base, r.axes[i])
	}
}

// known tells the keys of a table that are not known.
func (r *graphReader) known(path string, table map[string]any, known []string) {
	for _, k := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, k) {
			r.unknown(join(path, k), k, known)
		}
	}
}

func (r *graphReader) unknown(path, name string, known []string) {
	if full := setting(name); full != "" {
		r.add(diag.UnknownListKey, r.where(path), fmt.Sprintf("%q belongs to the settings, which are not in this file", name),
			fmt.Sprintf("write %s in %s", full, settings.FileName))
		return
	}
	if strings.HasPrefix(path, "defaults.") && slices.Contains(names(Table, nil), name) {
		r.add(diag.UnknownListKey, r.where(path), fmt.Sprintf("%q cannot have a default", name), "write it in [[image]]")
		return
	}
	if path == name && slices.Contains(names(Table, nil), name) {
		r.add(diag.UnknownListKey, r.where(path), fmt.Sprintf("%q stands outside of an image", name), "write it in [[image]] or [defaults]")
		return
	}
	r.add(diag.UnknownListKey, r.where(path), fmt.Sprintf("%q is not known here", name), unknownHint(name, known))
}

// table is a value that has to be a table.
func (r *graphReader) table(path string, v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		r.invalid(r.where(path), "it is %s, and has to be a table", tomlType(v))
	}
	return m
}

// entry is an image, or the defaults, before the matrix.
type entry struct {
	single map[string]template // context, file, target
	lists  map[string][]template
	tables map[string]map[string]template
}

func (r *graphReader) entry(path string, table map[string]any) *entry {
	e := &entry{single: map[string]template{}, lists: map[string][]template{}, tables: map[string]map[string]template{}}
	for _, k := range Table {
		v, ok := table[k.Name]
		if !ok {
			continue
		}
		at := join(path, k.Name)
		switch k.Kind {
		case text:
			if t, ok := r.template(at, v, false); ok {
				e.single[k.Name] = t
			}
		case texts:
			e.lists[k.Name] = r.templates(at, v)
		case values:
			e.tables[k.Name] = map[string]template{}
			for _, name := range slices.Sorted(maps.Keys(r.table(at, v))) {
				if t, ok := r.template(join(at, name), v.(map[string]any)[name], k.Name == "args"); ok {
					e.tables[k.Name][name] = t
				}
			}
		}
	}
	return e
}

func (r *graphReader) templates(path string, v any) []template {
	list, ok := v.([]any)
	if !ok {
		r.invalid(r.where(path), "it is %s, and has to be %s", tomlType(v), texts)
		return nil
	}
	out := []template{} // an empty list replaces that of the defaults
	for i, item := range list {
		if t, ok := r.template(fmt.Sprintf("%s[%d]", path, i), item, false); ok {
			out = append(out, t)
		}
	}
	return out
}

// template reads a string. Numbers and true or false are taken where scalar allows them.
func (r *graphReader) template(path string, v any, scalar bool) (template, bool) {
	s, ok := v.(string)
	if !ok && scalar {
		if s, ok = scalarText(v); !ok {
			r.invalid(r.where(path), "it is %s, of which the digits are not kept: write it in quotes", tomlType(v))
			return template{}, false
		}
	}
	if !ok {
		r.invalid(r.where(path), "it is %s, and has to be a string", tomlType(v))
		return template{}, false
	}
	t, err := parseTemplate(s)
	if err != nil {
		r.invalid(r.where(path), "%v", err)
		return template{}, false
	}
	return t, true
}

// scalarText is the text of a value that has one spelling only. 1.10 would become 1.1, so a number with a point is none.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func tomlType(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a number with a point"
	case bool:
		return "true or false"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	}
	return "a date"
}
