package imagelist

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/tomltext"
)

// value is one value of a matrix: a text, or a table of texts.
type value struct {
	text  string
	table map[string]string
}

// matches says whether have is what want says of it: the same text, or a table that has want's keys with their texts.
func (want value) matches(have value) bool {
	if want.table == nil || have.table == nil {
		return want.table == nil && have.table == nil && want.text == have.text
	}
	for k, v := range want.table {
		if got, ok := have.table[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// axis is a name of a matrix with its values.
type axis struct {
	name   string
	values []value
}

// combination is one image of a matrix: the value of each axis, and what includes add.
type combination struct {
	values []value
	extra  map[string]value
}

// matrix is what an image has under the key of that name.
type matrix struct {
	axes             []axis
	include, exclude []map[string]value
}

// matrix reads a matrix; order are the names as the file has them.
func (r *graphReader) matrix(path string, v any, order []string) *matrix {
	table := r.table(path, v)
	if order == nil || len(order) != len(table) {
		order = slices.Sorted(maps.Keys(table))
	}
	m := &matrix{}
	for _, name := range order {
		at := join(path, name)
		switch name {
		case includeKey:
			m.include = r.rules(at, table[name])
		case excludeKey:
			m.exclude = r.rules(at, table[name])
		default:
			if a, ok := r.axis(at, name, table[name]); ok {
				m.axes = append(m.axes, a)
			}
		}
	}
	for i, rule := range m.exclude {
		for _, name := range slices.Sorted(maps.Keys(rule)) {
			if !slices.ContainsFunc(m.axes, func(a axis) bool { return a.name == name }) {
				r.invalid(r.where(fmt.Sprintf("%s.%s[%d].%s", path, excludeKey, i, name)), "the matrix has no list of that name, so nothing is left out")
			}
		}
	}
	return m
}

func (r *graphReader) axis(path, name string, v any) (axis, bool) {
	items, ok := v.([]any)
	if !ok {
		if list, isTables := tomltext.Tables(v); isTables {
			for _, t := range list {
				items = append(items, t)
			}
			ok = v != nil
		}
	}
	if !ok {
		r.invalid(r.where(path), "it is %s, and has to be a list of values", tomlType(v))
		return axis{}, false
	}
	if !isName(name) {
		r.invalid(r.where(path), "%q cannot stand in ${...}: use letters, digits, _ and -", name)
		return axis{}, false
	}
	a := axis{name: name}
	for i, item := range items {
		if val, ok := r.value(fmt.Sprintf("%s[%d]", path, i), item); ok {
			a.values = append(a.values, val)
		}
	}
	return a, true
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// value reads a value of an axis or of a rule.
func (r *graphReader) value(path string, v any) (value, bool) {
	table, isTable := v.(map[string]any)
	if !isTable {
		s, ok := scalarText(v)
		if !ok {
			r.invalid(r.where(path), "it is %s, and has to be a string: write it in quotes", tomlType(v))
		}
		return value{text: s}, ok
	}
	out := value{table: map[string]string{}}
	for _, k := range slices.Sorted(maps.Keys(table)) {
		s, ok := scalarText(table[k])
		switch {
		case !ok:
			r.invalid(r.where(join(path, k)), "it is %s, and has to be a string: write it in quotes", tomlType(table[k]))
		case !isName(k):
			r.invalid(r.where(join(path, k)), "%q cannot stand in ${...}: use letters, digits, _ and -", k)
		}
		out.table[k] = s
	}
	return out, true
}

// rules reads include or exclude.
func (r *graphReader) rules(path string, v any) []map[string]value {
	list, ok := tomltext.Tables(v)
	if !ok {
		r.invalid(r.where(path), "it is %s, and has to be tables of values", tomlType(v))
		return nil
	}
	var out []map[string]value
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		rule := map[string]value{}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if val, ok := r.value(join(at, name), t[name]); ok {
				rule[name] = val
			}
			if !isName(name) {
				r.invalid(r.where(join(at, name)), "%q cannot stand in ${...}: use letters, digits, _ and -", name)
			}
		}
		if len(rule) == 0 {
			r.invalid(r.where(at), "it names no value")
			continue
		}
		out = append(out, rule)
	}
	return out
}

// size is how many combinations there are before include and exclude, and more than maxImages when they are too many to count.
func (m *matrix) size() int {
	n := 1
	if len(m.axes) == 0 {
		n = 0
	}
	for _, a := range m.axes {
		if n *= len(a.values); n > maxImages {
			return n
		}
	}
	return n
}

// combinations spans the matrix, the last axis fastest, by the rules of GitHub's workflows: what an exclude matches is left out; then each
// include adds its values to the combinations of which it changes no value, and is a combination of its own where there is none.
func (m *matrix) combinations() []combination {
	n := m.size()
	all := make([]combination, 0, n+len(m.include))
	room := make([]value, n*len(m.axes))
	for i := range n {
		row := room[i*len(m.axes) : (i+1)*len(m.axes) : (i+1)*len(m.axes)]
		rest := i
		for j := len(m.axes) - 1; j >= 0; j-- {
			row[j] = m.axes[j].values[rest%len(m.axes[j].values)]
			rest /= len(m.axes[j].values)
		}
		if !slices.ContainsFunc(m.exclude, func(rule map[string]value) bool { return m.excludes(rule, row) }) {
			all = append(all, combination{values: row})
		}
	}
	spanned := len(all)
	for _, rule := range m.include {
		added := false
		for i := range all[:spanned] {
			added = m.extend(&all[i], rule) || added
		}
		if !added {
			all = append(all, m.own(rule))
		}
	}
	return all
}

func (m *matrix) excludes(rule map[string]value, row []value) bool {
	for j, a := range m.axes {
		if want, ok := rule[a.name]; ok && !want.matches(row[j]) {
			return false
		}
	}
	return true
}

// extend adds a rule's values to a combination, unless that changed a value of an axis.
func (m *matrix) extend(c *combination, rule map[string]value) bool {
	for j, a := range m.axes {
		if want, ok := rule[a.name]; ok && !want.matches(c.values[j]) {
			return false
		}
	}
	for name, v := range rule {
		if slices.ContainsFunc(m.axes, func(a axis) bool { return a.name == name }) {
			continue
		}
		if c.extra == nil {
			c.extra = map[string]value{}
		}
		c.extra[name] = v
	}
	return true
}

// own is the combination that a rule is itself. It may lack values of axes.
func (m *matrix) own(rule map[string]value) combination { return combination{extra: rule} }

// replacements fills values with what ${...} stands for in a combination.
func (m *matrix) replacements(c combination, out map[string]string) {
	clear(out)
	set := func(name string, v value) {
		if v.table == nil {
			out[name] = v.text
		}
		for k, text := range v.table {
			out[name+"."+k] = text
		}
	}
	for j, v := range c.values {
		set(m.axes[j].name, v)
	}
	for name, v := range c.extra {
		set(name, v)
	}
}

// suffix is what is put behind a name that has no ${...}: the values of the axes. A value that is a table has no text to be put there.
func (m *matrix) suffix(c combination) (string, bool) {
	var b strings.Builder
	for j, a := range m.axes {
		v, ok := c.extra[a.name]
		if c.values != nil {
			v, ok = c.values[j], true
		}
		if v.table != nil {
			return "", false
		}
		if ok {
			b.WriteString("-" + v.text)
		}
	}
	if len(m.axes) == 0 || c.values == nil { // an include of its own is told apart by its other values too
		for _, name := range slices.Sorted(maps.Keys(c.extra)) {
			if slices.ContainsFunc(m.axes, func(a axis) bool { return a.name == name }) {
				continue
			}
			if c.extra[name].table != nil {
				return "", false
			}
			b.WriteString("-" + c.extra[name].text)
		}
	}
	return b.String(), true
}
