package registriesconf

import (
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/tomltext"
)

// parse reads one file. Keys that are not known are for other programs. The error has the line.
func parse(data []byte, file string) (*Config, error) {
	d, err := tomltext.Parse(data, tomltext.Max)
	if err != nil {
		return nil, err
	}
	p := &parser{d: d, file: file}
	tables, ok := tomltext.Tables(d.Values["registry"])
	if !ok {
		return nil, p.bad("registry", "registry is not written [[registry]]")
	}
	for i, t := range tables {
		p.registry(fmt.Sprintf("registry[%d]", i), t)
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
		p.bad(key, key+" is not a list")
	}
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok || s == "" || strings.ContainsAny(s, `/\`+"\x00") {
			p.bad(key, key+" has an entry that is no name of a helper")
		}
		out = append(out, s)
	}
	return out
}

// parser collects the entries of one file and the first thing that is wrong.
type parser struct {
	d       *tomltext.Document
	file    string
	entries []entry
	err     error
}

// bad keeps what is wrong with the key at path, "registry[1].mirror[0].location", unless something was wrong before.
func (p *parser) bad(path, text string) error {
	if p.err == nil {
		p.err = &tomltext.Error{Line: p.d.Line(path), Text: text}
	}
	return p.err
}

// value reads a key of the table at path as type T; a key that is not there is the zero value.
func value[T any](p *parser, path string, table map[string]any, key string) (out T) {
	v, there := table[key]
	if !there {
		return out
	}
	out, ok := v.(T)
	if !ok {
		p.bad(path+"."+key, fmt.Sprintf("%s is not a %T", key, out))
	}
	return out
}

// location reads a place: host[:port] with a path or without.
func (p *parser) location(path string, table map[string]any, key string) string {
	out := strings.TrimRight(value[string](p, path, table, key), "/")
	if strings.Contains(out, "://") {
		p.bad(path+"."+key, fmt.Sprintf("%s %q has a scheme, which it must not", key, out))
	}
	return out
}

func (p *parser) registry(path string, t map[string]any) {
	e := entry{
		file: p.file, prefix: p.location(path, t, "prefix"), location: p.location(path, t, "location"),
		insecure: value[bool](p, path, t, "insecure"), blocked: value[bool](p, path, t, "blocked"),
		byDigestOnly: value[bool](p, path, t, "mirror-by-digest-only"),
	}
	if e.prefix == "" {
		e.prefix = e.location
	}
	wild := strings.HasPrefix(e.prefix, "*.")
	switch {
	case e.location == "" && !wild:
		p.bad(path+".location", "a registry has no location")
	case strings.Contains(e.location, "*"):
		p.bad(path+".location", fmt.Sprintf("location %q has a *", e.location))
	case strings.Contains(strings.TrimPrefix(e.prefix, "*."), "*"), wild && strings.ContainsAny(e.prefix, "/:@"), e.prefix == "*.":
		p.bad(path+".prefix", fmt.Sprintf("prefix %q is not *. and a domain", e.prefix))
	case t["pull-from-mirror"] != nil:
		p.bad(path+".pull-from-mirror", "pull-from-mirror is for a mirror")
	}
	mirrors, ok := tomltext.Tables(t["mirror"])
	if !ok {
		p.bad(path+".mirror", "mirror is not written [[registry.mirror]]")
	}
	for i, m := range mirrors {
		e.mirrors = append(e.mirrors, p.mirror(fmt.Sprintf("%s.mirror[%d]", path, i), m, e.byDigestOnly))
	}
	p.entries = append(p.entries, e)
}

func (p *parser) mirror(path string, t map[string]any, byDigestOnly bool) mirror {
	m := mirror{
		location: p.location(path, t, "location"), insecure: value[bool](p, path, t, "insecure"),
		pull: value[string](p, path, t, "pull-from-mirror"),
	}
	switch {
	case m.location == "" || strings.Contains(m.location, "*"):
		p.bad(path+".location", "a mirror has no location")
	case m.pull != "" && byDigestOnly:
		p.bad(path+".pull-from-mirror", "pull-from-mirror contradicts mirror-by-digest-only")
	case m.pull != "" && m.pull != pullAll && m.pull != pullDigest && m.pull != pullTag:
		p.bad(path+".pull-from-mirror", fmt.Sprintf("pull-from-mirror %q is not %s, %s or %s", m.pull, pullAll, pullDigest, pullTag))
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
				p.bad("registries."+name+".registries", fmt.Sprintf("registries.%s has an entry that is no registry", name))
			}
			out = append(out, s)
		}
		return out
	}
	insecure, blocked := list("insecure"), list("block")
	if hasVersion2 && len(insecure)+len(blocked) > 0 {
		p.bad("registries", "it mixes version 1, [registries.insecure] or [registries.block], with version 2")
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
			p.bad(fmt.Sprintf("registry[%d].insecure", i), fmt.Sprintf("registry %q is there twice, once insecure and once not", e.location))
		case old.blocked != e.blocked:
			p.bad(fmt.Sprintf("registry[%d].blocked", i), fmt.Sprintf("registry %q is there twice, once blocked and once not", e.location))
		}
	}
}
