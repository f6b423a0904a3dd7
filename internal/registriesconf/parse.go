package registriesconf

import (
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/tomltext"
)

// parse reads one file. Keys that are not known are for other programs. The error has the line.
func parse(data []byte, file string) (*Config, error) {
	d, err := tomltext.Parse(data)
	if err != nil {
		return nil, err
	}
	p := &parser{d: d, file: file}
	tables, ok := tablesOf(d.Values["registry"])
	if !ok {
		return nil, p.bad(0, "registry is not written [[registry]]", "registry")
	}
	for i, t := range tables {
		p.registry(i, t)
	}
	p.version1(len(tables) > 0 || d.Values["unqualified-search-registries"] != nil)
	p.conflicts()
	return &Config{entries: p.entries, helpers: p.helpers()}, p.err
}

// helpers reads credential-helpers.
func (p *parser) helpers() []string {
	const key = "credential-helpers"
	list, ok := p.d.Values[key].([]any)
	if !ok && p.d.Values[key] != nil {
		p.bad(0, key+" is not a list", key)
	}
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok || s == "" || strings.ContainsAny(s, `/\`+"\x00") {
			p.bad(0, key+" has an entry that is no name of a helper", key)
		}
		out = append(out, s)
	}
	return out
}

// tablesOf is an array of tables, also when it is written inline; nil is an empty one.
func tablesOf(v any) ([]map[string]any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []map[string]any:
		return v, true
	case []any:
		var out []map[string]any
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				return nil, false
			}
			out = append(out, t)
		}
		return out, true
	}
	return nil, false
}

// parser collects the entries of one file and the first thing that is wrong.
type parser struct {
	d       *tomltext.Document
	file    string
	entries []entry
	mirrors int // tables seen so far
	err     error
}

func (p *parser) bad(n int, text string, path ...string) error {
	if p.err == nil {
		p.err = &tomltext.Error{Line: p.d.Line(n, path...), Text: text}
	}
	return p.err
}

// value reads a key of a table as type T; a key that is not there is the zero value.
func value[T any](p *parser, n int, table map[string]any, path ...string) (out T) {
	key := path[len(path)-1]
	v, there := table[key]
	if !there {
		return out
	}
	out, ok := v.(T)
	if !ok {
		p.bad(n, fmt.Sprintf("%s is not a %T", key, out), path...)
	}
	return out
}

// location reads a place: host[:port] with a path or without.
func (p *parser) location(n int, table map[string]any, path ...string) string {
	out := strings.TrimRight(value[string](p, n, table, path...), "/")
	if strings.Contains(out, "://") {
		p.bad(n, fmt.Sprintf("%s %q has a scheme, which it must not", path[len(path)-1], out), path...)
	}
	return out
}

func (p *parser) registry(n int, t map[string]any) {
	e := entry{
		file: p.file, prefix: p.location(n, t, "registry", "prefix"), location: p.location(n, t, "registry", "location"),
		insecure: value[bool](p, n, t, "registry", "insecure"), blocked: value[bool](p, n, t, "registry", "blocked"),
		byDigestOnly: value[bool](p, n, t, "registry", "mirror-by-digest-only"),
	}
	if e.prefix == "" {
		e.prefix = e.location
	}
	wild := strings.HasPrefix(e.prefix, "*.")
	switch {
	case e.location == "" && !wild:
		p.bad(n, "a registry has no location", "registry", "location")
	case strings.Contains(e.location, "*"):
		p.bad(n, fmt.Sprintf("location %q has a *", e.location), "registry", "location")
	case strings.Contains(strings.TrimPrefix(e.prefix, "*."), "*"), wild && strings.ContainsAny(e.prefix, "/:@"), e.prefix == "*.":
		p.bad(n, fmt.Sprintf("prefix %q is not *. and a domain", e.prefix), "registry", "prefix")
	case t["pull-from-mirror"] != nil:
		p.bad(n, "pull-from-mirror is for a mirror", "registry", "pull-from-mirror")
	}
	mirrors, ok := tablesOf(t["mirror"])
	if !ok {
		p.bad(n, "mirror is not written [[registry.mirror]]", "registry", "mirror")
	}
	for _, m := range mirrors {
		e.mirrors = append(e.mirrors, p.mirror(m, e.byDigestOnly))
	}
	p.entries = append(p.entries, e)
}

func (p *parser) mirror(t map[string]any, byDigestOnly bool) mirror {
	n, at := p.mirrors, []string{"registry", "mirror", ""}
	key := func(name string) []string { return append(at[:2:2], name) }
	p.mirrors++
	m := mirror{
		location: p.location(n, t, key("location")...), insecure: value[bool](p, n, t, key("insecure")...),
		pull: value[string](p, n, t, key("pull-from-mirror")...),
	}
	switch {
	case m.location == "" || strings.Contains(m.location, "*"):
		p.bad(n, "a mirror has no location", key("location")...)
	case m.pull != "" && byDigestOnly:
		p.bad(n, "pull-from-mirror contradicts mirror-by-digest-only", key("pull-from-mirror")...)
	case m.pull != "" && m.pull != pullAll && m.pull != pullDigest && m.pull != pullTag:
		p.bad(n, fmt.Sprintf("pull-from-mirror %q is not %s, %s or %s", m.pull, pullAll, pullDigest, pullTag), key("pull-from-mirror")...)
	}
	return m
}

// version1 reads [registries.insecure] and [registries.block].
func (p *parser) version1(hasVersion2 bool) {
	v1, ok := p.d.Values["registries"].(map[string]any)
	if !ok {
		return
	}
	list := func(name string) (out []string) {
		t, _ := v1[name].(map[string]any)
		all, _ := t["registries"].([]any)
		for _, v := range all {
			s, ok := v.(string)
			if s = strings.TrimRight(s, "/"); !ok || s == "" || strings.Contains(s, "://") {
				p.bad(0, fmt.Sprintf("registries.%s has an entry that is no registry", name), "registries", name, "registries")
			}
			out = append(out, s)
		}
		return out
	}
	insecure, blocked := list("insecure"), list("block")
	if hasVersion2 && len(insecure)+len(blocked) > 0 {
		p.bad(0, "it mixes version 1, [registries.insecure] or [registries.block], with version 2", "registries")
	}
	seen := map[string]int{}
	at := func(s string) *entry {
		i, known := seen[s]
		if !known {
			i = len(p.entries)
			seen[s] = i
			p.entries = append(p.entries, entry{prefix: s, location: s, file: p.file})
		}
		return &p.entries[i]
	}
	for _, s := range insecure {
		at(s).insecure = true
	}
	for _, s := range blocked {
		at(s).blocked = true
	}
}

// conflicts refuses entries that say different things of one location.
func (p *parser) conflicts() {
	first := map[string]entry{}
	for i, e := range p.entries {
		old, known := first[e.location]
		switch {
		case e.location == "" || !known:
			first[e.location] = e
		case old.insecure != e.insecure:
			p.bad(i, fmt.Sprintf("registry %q is there twice, once insecure and once not", e.location), "registry", "insecure")
		case old.blocked != e.blocked:
			p.bad(i, fmt.Sprintf("registry %q is there twice, once blocked and once not", e.location), "registry", "blocked")
		}
	}
}
