package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is the kind of a difference.
type Change string

// Kinds of a difference.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
	Moved   Change = "reordered"
)

// Difference is one input that differs from what was read before. Field is a path in the document Input (labels[x].value), or a
// file of the file list. Was and Now are shown values: a value that may be a secret is the beginning of its digest.
type Difference struct {
	Input  string `json:"input"`
	Field  string `json:"field"`
	Change Change `json:"change"`
	Was    string `json:"was,omitempty"`
	Now    string `json:"now,omitempty"`
}

// String is one line.
func (d Difference) String() string {
	text := d.Field
	if d.Input != "" {
		text += " of " + d.Input
	}
	switch {
	case d.Was != "" && d.Now != "":
		return fmt.Sprintf("%s: %s → %s", text, d.Was, d.Now)
	case d.Was+d.Now != "":
		return fmt.Sprintf("%s %s: %s", text, d.Change, d.Was+d.Now)
	}
	return text + " " + string(d.Change)
}

// headline is the reason in words: the first difference, and how many more there are.
func headline(list []Difference) string {
	text := list[0].String()
	if n := len(list) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text
}

// compareStamps lists the differences of what a stage read.
func compareStamps(was, now stamp) []Difference {
	var out []Difference
	if d := was.tool.difference(now.tool); d != nil {
		out = append(out, *d)
	}
	for i := range max(len(was.docs), len(now.docs)) {
		switch {
		case i >= len(was.docs):
			out = append(out, Difference{Input: now.docs[i].name, Field: "document", Change: Added})
		case i >= len(now.docs):
			out = append(out, Difference{Input: was.docs[i].name, Field: "document", Change: Removed})
		default:
			c := comparer{input: now.docs[i].name}
			c.compare("", was.docs[i].value, now.docs[i].value)
			slices.SortStableFunc(c.list, func(a, b Difference) int { return cmp.Compare(weight(a.Field), weight(b.Field)) })
			out = append(out, c.list...)
		}
	}
	return out
}

// weight puts first what the others follow from: the digest that a base's reference has.
func weight(field string) int {
	switch field {
	case "digest", "base.digest":
		return 0
	case "base.manifest.digest":
		return 1
	}
	return 2
}

// comparer collects the differences of one document.
type comparer struct {
	input string
	list  []Difference
}

func (c *comparer) add(field string, change Change, was, now any) {
	d := Difference{Input: c.input, Field: field, Change: change}
	if change != Added {
		d.Was = show(c.input, field, was)
	}
	if change != Removed {
		d.Now = show(c.input, field, now)
	}
	c.list = append(c.list, d)
}

func (c *comparer) compare(field string, was, now any) {
	switch w := was.(type) {
	case map[string]any:
		if n, ok := now.(map[string]any); ok {
			c.objects(field, w, n)
			return
		}
	case []any:
		if n, ok := now.([]any); ok {
			c.lists(field, w, n)
			return
		}
	}
	if !equal(was, now) {
		c.add(field, Changed, was, now)
	}
}

// objects leaves out what follows from the rest: the digests of inputs and outputs that a response lists, and the size and type of
// content whose digest differs.
func (c *comparer) objects(field string, was, now map[string]any) {
	keys := maps.Clone(was)
	maps.Copy(keys, now)
	moved := was["digest"] != now["digest"]
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if field == "" && (k == "inputs" || k == "outputs") || moved && (k == "size" || k == "mediaType") {
			continue
		}
		path := k
		if field != "" {
			path = field + "." + k
		}
		w, inWas := was[k]
		n, inNow := now[k]
		switch {
		case !inWas:
			c.add(path, Added, nil, n)
		case !inNow:
			c.add(path, Removed, w, nil)
		default:
			c.compare(path, w, n)
		}
	}
}

// lists compares elements that have a name or a path by that, others by their place.
func (c *comparer) lists(field string, was, now []any) {
	w, wKeys, ok1 := keyed(was)
	n, nKeys, ok2 := keyed(now)
	if !ok1 || !ok2 {
		for i := range max(len(was), len(now)) {
			path := fmt.Sprintf("%s[%d]", field, i)
			switch {
			case i >= len(was):
				c.add(path, Added, nil, now[i])
			case i >= len(now):
				c.add(path, Removed, was[i], nil)
			default:
				c.compare(path, was[i], now[i])
			}
		}
		return
	}
	before := len(c.list)
	all := slices.Concat(wKeys, nKeys)
	slices.Sort(all)
	for _, k := range slices.Compact(all) {
		c.element(field, k, w[k], n[k])
	}
	if len(c.list) == before && !slices.Equal(wKeys, nKeys) {
		c.add(field, Moved, nil, nil)
	}
}

// element compares what two lists have under one key; nil is none.
func (c *comparer) element(field, key string, was, now map[string]any) {
	path := field + "[" + key + "]"
	if c.input == scanName && field == "files" {
		c.file(key, was, now)
		return
	}
	switch {
	case was == nil:
		c.add(path, Added, nil, any(now))
	case now == nil:
		c.add(path, Removed, any(was), nil)
	default:
		c.compare(path, was, now)
	}
}

// file compares two entries of the file list, in one line a file.
func (c *comparer) file(path string, was, now map[string]any) {
	d := Difference{Input: c.input, Field: path}
	switch {
	case was == nil:
		d.Change, d.Now = Added, origin(now)
	case now == nil:
		d.Change, d.Was = Removed, origin(was)
	default:
		d.Change = Changed
		var a, b []string
		for _, k := range []struct{ key, text string }{{"type", "type"}, {"size", "size"}, {"digest", "content"}} {
			if !equal(was[k.key], now[k.key]) {
				a, b = append(a, k.text+" "+brief(was[k.key])), append(b, k.text+" "+brief(now[k.key]))
			}
		}
		if o, p := origin(was), origin(now); o != p {
			a, b = append(a, "origin "+o), append(b, "origin "+p)
		}
		if len(a) == 0 {
			return
		}
		d.Was, d.Now = strings.Join(a, ", "), strings.Join(b, ", ")
	}
	c.list = append(c.list, d)
}

// brief is a value as text, of a digest the beginning: that it differs is what matters.
func brief(v any) string {
	const enough = len("sha256:") + 8
	text := scalar(v)
	if strings.HasPrefix(text, "sha256:") && len(text) > enough {
		return text[:enough] + "…"
	}
	return text
}

// origin says where a file comes from.
func origin(file map[string]any) string {
	var parts []string
	for _, k := range []string{"origin", "originName", "originVersion"} {
		if s, _ := file[k].(string); s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return "app"
	}
	return strings.Join(parts, " ")
}

// keyed is a list by the names or paths of its elements, and these in order. The second element with a name is "name (2)".
func keyed(list []any) (byKey map[string]map[string]any, keys []string, ok bool) {
	byKey = map[string]map[string]any{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		key, ok := m["name"].(string)
		if !ok {
			if key, ok = m["path"].(string); !ok {
				return nil, nil, false
			}
		}
		name := key
		for i := 2; byKey[name] != nil; i++ {
			name = key + " (" + strconv.Itoa(i) + ")"
		}
		byKey[name] = m
		keys = append(keys, name)
	}
	return byKey, keys, true
}

// equal compares decoded JSON.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
