package imagelist

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxAliases is how many aliases and merges deep a YAML value may be.
const maxAliases = 32

// field is a member of a YAML mapping.
type field struct {
	key   string
	line  int
	value *yaml.Node
}

// parseYAML reads the first document of a file as nodes, which know their lines. Documents behind it are an error.
func parseYAML(p *problems, data []byte) *yaml.Node {
	d := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	if err == nil {
		switch err = d.Decode(&more); {
		case err == nil:
			p.invalid(fmt.Sprintf("line %d", more.Line), "it has more than one document")
			return nil
		case errors.Is(err, io.EOF):
			err = nil
		}
	}
	if err != nil {
		p.invalid("", "it is not YAML: %s", strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	doubleKeys(p, &doc)
	return target(doc.Content[0])
}

// target is the node that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	for range maxAliases {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return &yaml.Node{}
}

// fields are the members of a mapping in their order, with those of merges (<<) that it does not have itself. A key that is not a string is
// taken as its text.
func fields(n *yaml.Node) []field {
	m := merger{}
	return m.fields(n, maxAliases)
}

// merger merges each mapping once: what comes first counts, so that it has nothing to add again, and lists of aliases that stand in one
// another would be too many.
type merger map[*yaml.Node]bool

func (m merger) fields(n *yaml.Node, depth int) []field {
	if n = target(n); n == nil || n.Kind != yaml.MappingNode || depth == 0 || m[n] {
		return nil
	}
	m[n] = true
	var own, merged []field
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.ShortTag() != "!!merge" {
			seen[k.Value] = true
			own = append(own, field{k.Value, k.Line, v})
			continue
		}
		sources := []*yaml.Node{v}
		if v = target(v); v.Kind == yaml.SequenceNode {
			sources = v.Content
		}
		for _, source := range sources {
			merged = append(merged, m.fields(source, depth-1)...)
		}
	}
	for _, f := range merged {
		if !seen[f.key] {
			seen[f.key] = true
			own = append(own, f)
		}
	}
	return own
}

// doubleKeys tells keys that a mapping has twice, which the decoder refuses and nodes do not. Aliases are not followed: what they stand for
// is looked at where it is.
func doubleKeys(p *problems, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		lines := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if first := lines[k.Value]; first > 0 && k.Kind == yaml.ScalarNode {
				p.invalid(fmt.Sprintf("line %d", k.Line), "the key %q is there twice, first in line %d", k.Value, first)
				continue
			}
			lines[k.Value] = k.Line
		}
	}
	for _, c := range n.Content {
		doubleKeys(p, c)
	}
}

// isNull says that there is no value.
func isNull(n *yaml.Node) bool {
	n = target(n)
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func yamlKind(n *yaml.Node) string {
	if n = target(n); n == nil {
		return "nothing"
	}
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if isNull(n) {
			return "nothing"
		}
		return "a single value"
	}
	return "not a value"
}
