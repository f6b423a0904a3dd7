package dockerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// special are the characters that mean something in a word: without them it stays as it is.
const special = "$'\"\\`<"

// variables is a list of variables, the last one first, so that stages share what they inherit.
type variables struct {
	outer      *variables
	name, text string
	unknown    bool // the text is made of something that is not known
	depth      int
}

func (v *variables) with(name, text string, unknown bool) *variables {
	depth := 1
	if v != nil {
		depth += v.depth
	}
	return &variables{v, name, text, unknown, depth}
}

func (v *variables) find(name string) *variables {
	for ; v != nil; v = v.outer {
		if v.name == name {
			return v
		}
	}
	return nil
}

func (v *variables) get(name string) (string, bool) {
	if v = v.find(name); v == nil {
		return "", false
	}
	return v.text, true
}

// latest are the variables as they are now, sorted by name.
func (v *variables) latest() []*variables {
	now := map[string]*variables{}
	for ; v != nil; v = v.outer {
		if now[v.name] == nil {
			now[v.name] = v
		}
	}
	list := make([]*variables, 0, len(now))
	for _, name := range slices.Sorted(maps.Keys(now)) {
		list = append(list, now[name])
	}
	return list
}

// compact forgets what was replaced, when the list is long.
func (v *variables) compact() *variables {
	if v == nil || v.depth < 100 {
		return v
	}
	var short *variables
	for _, l := range v.latest() {
		short = short.with(l.name, l.text, l.unknown)
	}
	return short
}

func (v *variables) list() []string {
	var list []string
	for _, l := range v.latest() {
		list = append(list, l.name+"="+l.text)
	}
	return list
}

// environment is what is known at one place of a stage. It is an EnvGetter of BuildKit's shell words.
type environment struct {
	*variables
	// open is why there may be variables that are not listed: the configuration of the base is not known.
	open string
	// missed are the names that were asked for and may be among those.
	missed []string
}

// Get returns a variable.
func (e *environment) Get(name string) (string, bool) {
	v := e.find(name)
	if v == nil && e.open != "" || v != nil && v.unknown {
		e.missed = append(e.missed, name)
	}
	if v == nil {
		return "", false
	}
	return v.text, true
}

// Keys are only asked for in advice about unknown names.
func (e *environment) Keys() []string { return nil }

var _ shell.EnvGetter = (*environment)(nil)

// predefined are the arguments of the global scope that every file has (dockerfile2llb/platform.go). Build arguments of these names replace them.
func (o *Options) predefined(lastStage string) *variables {
	target := o.Target
	if target == "" {
		target = lastStage
	}
	if target == "" {
		target = "default"
	}
	b, t := o.Builder, o.Platform
	var v *variables
	for _, p := range [][2]string{
		{"BUILDPLATFORM", b.withoutVersion()},
		{"BUILDOS", b.OS},
		{"BUILDOSVERSION", b.OSVersion},
		{"BUILDARCH", b.Architecture},
		{"BUILDVARIANT", b.Variant},
		{"TARGETPLATFORM", t.String()},
		{"TARGETOS", t.OS},
		{"TARGETOSVERSION", t.OSVersion},
		{"TARGETARCH", t.Architecture},
		{"TARGETVARIANT", t.Variant},
		{"TARGETSTAGE", target},
	} {
		if given, ok := o.Args[p[0]]; ok {
			p[1] = given
		}
		v = v.with(p[0], p[1], false)
	}
	return v
}

// ofImage are the variables of an image's configuration, under which PATH is always set.
func ofImage(env []string) *variables {
	var v *variables
	for _, e := range env {
		name, text, _ := strings.Cut(e, "=")
		v = v.with(name, text, false)
	}
	if _, ok := v.get("PATH"); !ok {
		v = v.with("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", false)
	}
	return v
}
