package imagelist

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-build/gantry/internal/diag"
)

// composeSilent are keys of build that change no image: where a cache is, and whether one is used.
var composeSilent = []string{"cache_from", "cache_to", "no_cache", "no_cache_filter", "pull"}

// composeReader reads the build sections of a Compose file (compose-spec, build.md), whatever its profiles. One file is read as it stands, as
// docker compose -f FILE does: extends and include are an error, and files that are put over it are not read.
type composeReader struct {
	*problems
	dir place
	in  *interpolation
}

func parseCompose(p *problems, dir place, data []byte, getenv func(string) (string, bool)) []Spec {
	if getenv == nil {
		getenv = func(string) (string, bool) { return "", false }
	}
	root := parseYAML(p, data)
	if len(p.errs) > 0 {
		return nil
	}
	r := &composeReader{problems: p, dir: dir, in: &interpolation{getenv: getenv}}
	r.environment(root, getenv)
	r.overrides()
	var services *yaml.Node
	for _, f := range fields(root) {
		switch f.key {
		case "services":
			services = f.value
		case "include":
			p.add(diag.UnsupportedList, lineOf(f.line, "include"), "other Compose files are not read",
				"give Gantry what docker compose config prints")
		}
	}
	if target(services) == nil || target(services).Kind != yaml.MappingNode {
		p.invalid("services", "it is %s, and has to be a mapping", yamlKind(services))
		return nil
	}
	var specs []Spec
	for _, service := range fields(services) {
		if len(specs) >= maxImages {
			p.invalid("services", "the list has more than %d images", maxImages)
			break
		}
		if spec, ok := r.service(service); ok {
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 && len(p.errs) == 0 {
		p.invalid("services", "no service has a build section")
	}
	return specs
}

// expand replaces the variables of a text that stands at a place.
func (r *composeReader) expand(line int, at, text string) (string, error) {
	r.in.empty = func(name string) {
		r.warning(lineOf(line, at), "the variable "+name+" is not set and counts as empty: set it, or write ${"+name+":-DEFAULT}")
	}
	return r.in.expand(text)
}

func lineOf(line int, path string) string { return fmt.Sprintf("line %d: %s", line, path) }

// service reads a service. One without build is no image of ours.
func (r *composeReader) service(f field) (Spec, bool) {
	at := "services." + f.key
	var build, image, platform *field
	for _, m := range fields(f.value) {
		switch m.key {
		case "build":
			build = &m
		case "image":
			image = &m
		case "platform":
			platform = &m
		case "extends":
			r.add(diag.UnsupportedList, lineOf(m.line, at+".extends"), "extends is not read",
				"give Gantry what docker compose config prints")
			return Spec{}, false
		}
	}
	if build == nil || isNull(build.value) {
		return Spec{}, false
	}
	before := len(r.errs)
	s := Spec{Name: f.key, Origin: fmt.Sprintf("%s:%d", r.file, f.line)}
	if image != nil && !isNull(image.value) {
		if text, ok := r.text(at+".image", image.value); ok && text != "" {
			s.Tags = append(s.Tags, text)
		}
	}
	r.build(at+".build", build.value, &s)
	if platform != nil && !isNull(platform.value) {
		if text, ok := r.text(at+".platform", platform.value); ok && text != "" && !slices.Contains(s.Platforms, text) {
			if len(s.Platforms) > 0 {
				r.invalid(lineOf(platform.line, at+".platform"), "%s is not one of build.platforms", text)
			}
			s.Platforms = append(s.Platforms, text)
		}
	}
	return s, len(r.errs) == before
}

// build reads a build section: a folder, or a mapping.
func (r *composeReader) build(at string, n *yaml.Node, s *Spec) {
	if n = target(n); n.Kind == yaml.ScalarNode {
		context, _ := r.text(at, n)
		r.files(s, context, "", "")
		return
	}
	if n.Kind != yaml.MappingNode {
		r.invalid(lineOf(n.Line, at), "it is %s, and has to be a folder or a mapping", yamlKind(n))
		return
	}
	var context, file, inline string
	for _, f := range fields(n) {
		key := at + "." + f.key
		switch f.key {
		case "context":
			context, _ = r.optional(key, f.value)
		case "dockerfile":
			file, _ = r.optional(key, f.value)
		case "dockerfile_inline":
			inline, _ = r.optional(key, f.value)
		case "target":
			s.Target, _ = r.optional(key, f.value)
		case "platforms":
			s.Platforms = r.list(key, f.value)
		case "tags":
			s.Tags = append(s.Tags, r.list(key, f.value)...)
		case "args":
			r.arguments(key, f.value, s)
		case "additional_contexts":
			r.contexts(key, f.value, s)
		default:
			r.option(key, f, s)
		}
	}
	if file != "" && inline != "" {
		r.invalid(lineOf(n.Line, at), "it has both dockerfile and dockerfile_inline")
	}
	r.files(s, context, file, inline)
}

// files says where the context and the Dockerfile are.
func (r *composeReader) files(s *Spec, context, file, inline string) {
	if context == "" {
		context = "."
	}
	if rest, ok := strings.CutPrefix(context, "~/"); ok {
		if home, set := r.in.getenv("HOME"); set {
			context = filepath.Join(home, rest)
		}
	}
	s.Context = r.dir.context(context)
	if s.Inline = inline; inline == "" {
		s.Dockerfile = inContext(s.Context, file)
	}
}

// optional is text, where nothing is an empty one.
func (r *composeReader) optional(at string, n *yaml.Node) (string, bool) {
	if isNull(n) {
		return "", true
	}
	return r.text(at, n)
}

// text is a single value with its variables replaced. Numbers are written as Compose writes them: 1.10 is 1.1.
func (r *composeReader) text(at string, n *yaml.Node) (string, bool) {
	n = target(n)
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		line := 0
		if n != nil {
			line = n.Line
		}
		r.invalid(lineOf(line, at), "it is %s, and has to be a single value", yamlKind(n))
		return "", false
	}
	if tag := n.ShortTag(); tag != "!!str" {
		var v any
		if err := n.Decode(&v); err != nil {
			r.invalid(lineOf(n.Line, at), "it is no value of type %s", tag)
			return "", false
		}
		return fmt.Sprint(v), true
	}
	out, err := r.expand(n.Line, at, n.Value)
	if err != nil {
		r.invalid(lineOf(n.Line, at), "%v", err)
	}
	return out, err == nil
}

func (r *composeReader) list(at string, n *yaml.Node) []string {
	if isNull(n) {
		return nil
	}
	if n = target(n); n.Kind != yaml.SequenceNode {
		r.invalid(lineOf(n.Line, at), "it is %s, and has to be a list", yamlKind(n))
		return nil
	}
	var out []string
	for i, item := range n.Content {
		if text, ok := r.text(fmt.Sprintf("%s[%d]", at, i), item); ok {
			out = append(out, text)
		}
	}
	return out
}

// pairs reads a mapping, or a list of NAME=VALUE. A name without value is given nil.
func (r *composeReader) pairs(at string, n *yaml.Node, set func(name string, value *string)) {
	n = target(n)
	switch {
	case isNull(n):
	case n.Kind == yaml.MappingNode:
		for _, f := range fields(n) {
			if isNull(f.value) {
				set(f.key, nil)
			} else if text, ok := r.text(at+"."+f.key, f.value); ok {
				set(f.key, &text)
			}
		}
	case n.Kind == yaml.SequenceNode:
		for _, item := range r.list(at, n) {
			name, value, has := strings.Cut(item, "=")
			if has {
				set(name, &value)
			} else {
				set(name, nil)
			}
		}
	default:
		r.invalid(lineOf(n.Line, at), "it is %s, and has to be a mapping or a list of NAME=VALUE", yamlKind(n))
	}
}

// arguments are build arguments. One without value has that of the environment.
func (r *composeReader) arguments(at string, n *yaml.Node, s *Spec) {
	r.pairs(at, n, func(name string, value *string) {
		if value == nil {
			if text, ok := r.in.getenv(name); ok {
				value = &text
			}
		}
		if s.Args == nil {
			s.Args = map[string]*string{}
		}
		s.Args[name] = value
	})
}

func (r *composeReader) contexts(at string, n *yaml.Node, s *Spec) {
	r.pairs(at, n, func(name string, value *string) {
		if value == nil || *value == "" {
			r.invalid(lineOf(target(n).Line, at+"."+name), "it has no value")
			return
		}
		if s.Contexts == nil {
			s.Contexts = map[string]string{}
		}
		if service, ok := strings.CutPrefix(*value, "service:"); ok {
			s.Contexts[name] = "target:" + service
			return
		}
		s.Contexts[name] = r.dir.named(*value)
	})
}

// option keeps a key that is none of a Spec's own.
func (r *composeReader) option(at string, f field, s *Spec) {
	if slices.Contains(composeSilent, f.key) || strings.HasPrefix(f.key, "x-") {
		return
	}
	var v any
	if err := target(f.value).Decode(&v); err != nil {
		r.invalid(lineOf(f.line, at), "it cannot be read: %s", strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
		return
	}
	v, err := r.replaced(f.line, at, v)
	if err != nil {
		r.invalid(lineOf(f.line, at), "%v", err)
		return
	}
	raw := compactValue(v)
	if f.key == "secrets" || f.key == "ssh" {
		raw = secretNames([]byte(raw))
	}
	s.option(f.key, raw)
}

// replaced is a decoded value with the variables of its strings replaced, and with keys that are strings.
func (r *composeReader) replaced(line int, at string, v any) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return r.expand(line, at, v)
	case []any:
		for i := range v {
			if v[i], err = r.replaced(line, at, v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = r.replaced(line, at, v[k]); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		out := map[string]any{}
		for k, item := range v {
			if out[fmt.Sprint(k)], err = r.replaced(line, at, item); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}
