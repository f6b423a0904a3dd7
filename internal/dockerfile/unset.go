package dockerfile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Unset is a variable that is read where the name of an image, a platform or a path stands, and has no value.
type Unset struct {
	Name string
	Use  Use
}

// use is a variable whose own value is put in. ${X:-y}, ${X-y}, ${X:+y} and ${X+y} say themselves what holds without one.
var use = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)[}#%/])`)

// unsetIn are the variables of a word that have no value.
func unsetIn(word string, escape rune, vars *variables) []string {
	if !strings.Contains(word, "$") {
		return nil
	}
	var names []string
	for _, at := range use.FindAllStringSubmatchIndex(word, -1) {
		if at[0] > 0 && rune(word[at[0]-1]) == escape {
			continue
		}
		name := word[max(at[2], at[4]):max(at[3], at[5])]
		if _, ok := vars.get(name); !ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// unset notes the variables of a path that have no value, where all variables are known.
func (w *walk) unset(n *node, path string, use Use) {
	if n.open != "" {
		return
	}
	for _, name := range unsetIn(path, w.escape, n.vars) {
		w.out.Unset = append(w.out.Unset, Unset{Name: name, Use: use})
	}
}

// Arguments are the names of all ARG instructions, those of triggers included, and whether one of them has a default. They are nil for a
// file of another frontend, whose arguments are not known.
func (f *File) Arguments() map[string]bool {
	if f.foreign != nil || f.syntax != "" && !isDockerfileFrontend(f.syntax) {
		return nil
	}
	all := map[string]bool{}
	note := func(c instructions.Command) {
		switch cmd := c.(type) {
		case *instructions.ArgCommand:
			for _, a := range cmd.Args {
				all[a.Key] = all[a.Key] || a.Value != nil
			}
		case *instructions.OnbuildCommand:
			if words := strings.Fields(cmd.Expression); len(words) > 1 && strings.EqualFold(words[0], "ARG") {
				for _, word := range words[1:] {
					name, _, value := strings.Cut(word, "=")
					all[name] = all[name] || value
				}
			}
		}
	}
	for _, i := range f.args {
		note(i.cmd)
	}
	for _, s := range f.stages {
		for _, i := range s.commands {
			note(i.cmd)
		}
	}
	return all
}

// Predefined says that the frontend takes a build argument of this name without an ARG: proxies, platforms, and what begins with BUILDKIT_.
func Predefined(name string) bool {
	const given = " TARGETPLATFORM TARGETOS TARGETOSVERSION TARGETARCH TARGETVARIANT TARGETSTAGE BUILDPLATFORM BUILDOS BUILDOSVERSION BUILDARCH" +
		" BUILDVARIANT SOURCE_DATE_EPOCH HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY ALL_PROXY "
	return strings.Contains(given, " "+strings.ToUpper(name)+" ") || strings.HasPrefix(name, "BUILDKIT_")
}
