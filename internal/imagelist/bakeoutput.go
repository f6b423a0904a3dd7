package imagelist

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// outputSilent are the attributes of an exporter that say where an image goes (docs.docker.com/build/exporters). All others, such as
// compression and oci-mediatypes, change it.
var outputSilent = []string{
	"type", "dest", "push", "push-by-digest", "name", "name-canonical", "dangling-name-prefix", "registry.insecure", "unpack", "store", "tar",
}

// output takes what the exporters of a target say of the image. Each is type=image,NAME=VALUE,… or an object. Files that type=local and
// type=tar write are not the image. A name counts where the target has no tags, as buildx puts tags over it.
func (s *Spec) output(raw json.RawMessage) bool {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return false
	}
	all := map[string]bool{}
	for _, item := range list {
		attributes, ok := exporter(item)
		if !ok {
			return false
		}
		if kind := attributes["type"]; kind == "local" || kind == "tar" || kind == "cacheonly" {
			continue
		}
		if name := attributes["name"]; name != "" && len(s.Tags) == 0 {
			s.Tags = strings.Split(name, ",")
		}
		for k, v := range attributes {
			if !slices.Contains(outputSilent, k) {
				all[k+"="+v] = true
			}
		}
	}
	if len(all) > 0 {
		var names []string
		for text := range all {
			names = append(names, text)
		}
		slices.Sort(names)
		s.option("output", compactValue(names))
	}
	return true
}

// exporter are the attributes of one output.
func exporter(raw json.RawMessage) (map[string]string, bool) {
	attributes := map[string]string{}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, part := range csv(text) {
			name, value, _ := strings.Cut(part, "=")
			attributes[strings.ToLower(strings.TrimSpace(name))] = value
		}
		return attributes, true
	}
	var members map[string]any
	if json.Unmarshal(raw, &members) != nil {
		return nil, false
	}
	for name, value := range members {
		attributes[strings.ToLower(name)] = fmt.Sprint(value)
	}
	return attributes, true
}

// csv cuts a line at its commas. A field may stand in quotes, as "name=a,b" does.
func csv(line string) []string {
	var fields []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"' && quoted && strings.HasPrefix(line[i+1:], `"`):
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			fields = append(fields, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(fields, b.String())
}
