package imagelist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// bakeTarget is what of a target is told to the builder (docker/buildx, bake/bake.go, type Target).
type bakeTarget struct {
	Context          *string            `json:"context"`
	Contexts         map[string]string  `json:"contexts"`
	Dockerfile       *string            `json:"dockerfile"`
	DockerfileInline *string            `json:"dockerfile-inline"`
	Args             map[string]*string `json:"args"`
	Tags             []string           `json:"tags"`
	Target           *string            `json:"target"`
	Platforms        []string           `json:"platforms"`
}

// bakeRead are the keys of bakeTarget, and bakeSilent those that change no image: where it goes, what is taken from a cache, notes.
var (
	bakeRead = []string{
		"context", "contexts", "dockerfile", "dockerfile-inline", "args", "tags", "target", "platforms",
	}
	bakeSilent = []string{"description", "inherits", "cache-from", "cache-to", "output", "pull", "no-cache", "no-cache-filter", "call"}
	// bakeEscaped have values in which --print writes ${ as $${, so that bake can read them again (Target.MarshalJSON).
	bakeEscaped = []string{"annotations", "labels", "extra-hosts"}
	// bakeSource are keys of a bake file that was not printed: their values are expressions, or stand for something else.
	bakeSource = []string{"variable", "function"}
)

func parseBake(p *problems, dir place, data []byte) []Spec {
	top, err := parseObject(data)
	if err != nil {
		p.invalid(jsonPlace(data, err), "it is not JSON: %s", jsonText(err))
		return nil
	}
	p.lines = jsonLines(data, 2)
	const printed = "give Gantry what docker buildx bake --print prints"
	for _, key := range bakeSource {
		if _, ok := top.get(key); ok {
			p.add(diag.UnsupportedList, key, "a bake file with its own variables and functions is read by buildx alone", printed)
			return nil
		}
	}
	var targets object
	if raw, ok := top.get("target"); ok {
		p.into("target", raw, &targets, "an object")
	}
	if len(targets) == 0 && len(p.errs) == 0 {
		p.invalid("target", "it names no target")
	}
	plain := bakePlain
	if !bakeEscapes(targets) {
		plain = func(s string) string { return s }
	}
	var specs []Spec
	for _, t := range targets {
		var members object
		at := join("target", t.key)
		if !p.into(at, t.value, &members, "an object") {
			continue
		}
		if _, ok := members.get("matrix"); ok {
			p.add(diag.UnsupportedList, join(at, "matrix"), "a bake file with a matrix is read by buildx alone", printed)
			continue
		}
		if raw, ok := members.get("inherits"); ok && compact(raw) != "[]" && compact(raw) != "null" {
			p.add(diag.UnsupportedList, join(at, "inherits"), "what the target inherits is not in it: the file was not printed by bake", printed)
			continue
		}
		if raw, ok := members.get("call"); ok && compact(raw) != "null" && compact(raw) != `""` && compact(raw) != `"build"` {
			continue // it checks the Dockerfile or prints what it has, and makes no image
		}
		if len(specs) >= maxImages {
			p.invalid("target", "the list has more than %d images", maxImages)
			break
		}
		if spec, ok := bakeSpec(p, dir, at, t, members, plain); ok {
			specs = append(specs, spec)
		}
	}
	bakeGroups(p, top, targets)
	return specs
}

// bakeGroups finds members of groups that are no targets.
func bakeGroups(p *problems, top, targets object) {
	raw, ok := top.get("group")
	if !ok {
		return
	}
	var groups object
	if !p.into("group", raw, &groups, "an object") {
		return
	}
	known := make(map[string]bool, len(targets)+len(groups))
	for _, name := range slices.Concat(keysOf(targets), keysOf(groups)) {
		known[name] = true
	}
	for _, g := range groups {
		var group struct {
			Targets []string `json:"targets"`
		}
		at := join("group", g.key)
		if !p.into(at, g.value, &group, "an object with a list of targets") {
			continue
		}
		for _, name := range group.Targets {
			if !known[name] && !p.full() {
				p.add(diag.InvalidImageList, at, fmt.Sprintf("there is no target %q", name), unknownHint(name, keysOf(targets)))
			}
		}
	}
}

func keysOf(o object) []string {
	var keys []string
	for _, m := range o {
		keys = append(keys, m.key)
	}
	return keys
}

func bakeSpec(p *problems, dir place, at string, target member, members object, plain func(string) string) (Spec, bool) {
	var t bakeTarget
	if !p.into(at, target.value, &t, "a target of bake") {
		return Spec{}, false
	}
	s := Spec{Name: target.key, Origin: p.origin(at), Platforms: t.Platforms, Tags: t.Tags}
	if t.Target != nil {
		s.Target = *t.Target
	}
	context := "."
	if t.Context != nil && *t.Context != "" {
		context = *t.Context
	}
	if context == "-" || t.Dockerfile != nil && *t.Dockerfile == "-" {
		p.add(diag.UnsupportedList, at, "a context or a Dockerfile from standard input cannot be read again", "write it to a file")
		return Spec{}, false
	}
	s.Context = dir.context(context)
	switch {
	case t.DockerfileInline != nil && *t.DockerfileInline != "":
		s.Inline = plain(*t.DockerfileInline)
	case t.Dockerfile != nil && strings.HasPrefix(*t.Dockerfile, "cwd://"):
		s.Dockerfile = dir.abs(strings.TrimPrefix(*t.Dockerfile, "cwd://"))
	case t.Dockerfile != nil:
		s.Dockerfile = inContext(s.Context, *t.Dockerfile)
	default:
		s.Dockerfile = inContext(s.Context, "")
	}
	for k, v := range t.Args {
		if s.Args == nil {
			s.Args = make(map[string]*string, len(t.Args))
		}
		if v != nil {
			value := plain(*v)
			v = &value
		}
		s.Args[k] = v
	}
	for k, v := range t.Contexts {
		if v == "" {
			continue // normalize drops it
		}
		if s.Contexts == nil {
			s.Contexts = make(map[string]string, len(t.Contexts))
		}
		s.Contexts[k] = dir.named(v)
	}
	for _, m := range members {
		switch {
		case m.key == "output" && compact(m.value) != "null" && !s.output(m.value):
			p.invalid(join(at, "output"), "it is no list of exporters")
			return Spec{}, false
		case !slices.Contains(bakeRead, m.key) && !slices.Contains(bakeSilent, m.key):
			s.option(m.key, bakeOption(m, plain))
		}
	}
	return s, true
}

// option sets an option, unless its value says nothing.
func (s *Spec) option(key, value string) {
	if value == "null" || value == "[]" || value == "{}" || value == `""` {
		return
	}
	if s.Options == nil {
		s.Options = map[string]string{}
	}
	s.Options[key] = value
}

func bakeOption(m member, plain func(string) string) string {
	switch {
	case m.key == "secret" || m.key == "ssh":
		return secretNames(m.value)
	case slices.Contains(bakeEscaped, m.key):
		return plain(compact(m.value))
	}
	return compact(m.value)
}

// bakePlain undoes what --print does to values: ${ is written $${, and %{ is written %%{, as in HCL.
func bakePlain(s string) string {
	return strings.NewReplacer("$${", "${", "%%{", "%{").Replace(s)
}

// bakeEscapes says that --print escaped values. Before buildx 0.23 it did not, which a ${ shows that is none of its own.
func bakeEscapes(targets object) bool {
	for _, t := range targets {
		var members object
		if !bytes.Contains(t.value, []byte("${")) || json.Unmarshal(t.value, &members) != nil {
			continue
		}
		for _, m := range members {
			if m.key != "args" && m.key != "dockerfile-inline" && !slices.Contains(bakeEscaped, m.key) {
				continue
			}
			if rest := strings.ReplaceAll(string(m.value), "$${", ""); strings.Contains(rest, "${") {
				return false
			}
		}
	}
	return true
}

// secretNames are the names of secrets or of ssh keys: where their content is differs from machine to machine, and is nobody's business.
// Both are lists of id, id=path, id=…,src=…, or of objects with an id.
func secretNames(raw json.RawMessage) string {
	var list []json.RawMessage
	var byName object
	if json.Unmarshal(raw, &byName) == nil {
		return compactValue(slices.Sorted(slices.Values(keysOf(byName))))
	}
	if json.Unmarshal(raw, &list) != nil {
		return compact(raw)
	}
	ids := []string{}
	for _, item := range list {
		var text string
		var fields struct {
			ID     string `json:"id"`
			Source string `json:"source"` // Compose
			Target string `json:"target"`
		}
		switch {
		case json.Unmarshal(item, &text) == nil:
			ids = append(ids, secretName(text))
		case json.Unmarshal(item, &fields) == nil:
			id := fields.ID + fields.Source
			if fields.Target != "" {
				id += " as " + fields.Target
			}
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return compactValue(ids)
}

func secretName(text string) string {
	for part := range strings.SplitSeq(text, ",") {
		if id, ok := strings.CutPrefix(part, "id="); ok {
			return id
		}
	}
	id, _, _ := strings.Cut(text, "=")
	return id
}
