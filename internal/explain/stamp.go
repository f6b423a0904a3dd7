package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Sentences that are compared.
const (
	noEarlier = "there is no earlier result to compare with"
	isEqual   = "everything that it reads is equal to what it read last"
)

// stamped explains a stage that is skipped while the text that it reads is equal to its stamp.
func (e *explainer) stamped(name string) Stage {
	file := filepath.ToSlash(filepath.Join(stampDir, name))
	s := Stage{Name: name, State: e.states[name], ComparedWith: file}
	if s.State == Skipped {
		s.Because = isEqual
		return s
	}
	s.ComparedWith = file + beforeSuffix
	was, err := os.ReadFile(filepath.Join(e.dir, stampDir, name+beforeSuffix))
	if err != nil || strings.TrimSpace(string(was)) == "none" {
		s.Because, s.ComparedWith = noEarlier, ""
		return s
	}
	now, err := os.ReadFile(filepath.Join(e.dir, stampDir, name))
	if err != nil {
		s.Because = "its stamp cannot be read"
		return s
	}
	a, b := parseStamp(name, was), parseStamp(name, now)
	s.Differences = compareStamps(a, b)
	if len(s.Differences) == 0 {
		s.Because = "the text of what it reads differs, though no field of it does"
		return s
	}
	s.Because = headline(s.Differences)
	return s
}

// stamp is the text that a stage read: a line with the tool's identity, then documents, one after the other.
type stamp struct {
	tool tool
	docs []document
}

type document struct {
	name  string
	value any
}

// settingsName is the first document of a stamp: the settings of gantry that decide what the stage makes, where they are not the default.
const settingsName = "settings"

// inputs are the documents that each stage reads, in the order of its stamp (Gantry.Stages.targets).
func inputs(stage string) []string {
	switch stage {
	case "select-base":
		return []string{"select-base.request.json", resolveBaseName}
	case "compute-config":
		return []string{"compute-config.request.json", "compute-config.shared.json", selectBaseName}
	case "create-layers":
		return []string{"create-layers.request.json", selectBaseName, scanName, extraName} // the last for projects with ContainerLayer items
	}
	return nil
}

// parseStamp reads as much as can be read: documents that are missing are nil.
func parseStamp(stage string, text []byte) stamp {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	s := stamp{tool: parseTool(strings.TrimSpace(string(first)))}
	// the targets write the backslashes of JSON as U+0001, which JSON cannot have
	rest = bytes.ReplaceAll(rest, []byte{1}, []byte{'\\'})
	d := json.NewDecoder(bytes.NewReader(rest))
	d.UseNumber()
	s.docs = []document{{settingsName, map[string]any{}}}
	if bytes.HasPrefix(rest, []byte(`{"`+settingsName+`": `)) {
		var set map[string]any
		if d.Decode(&set) == nil {
			s.docs[0].value = set[settingsName]
		}
	}
	for i, name := range inputs(stage) {
		var v any
		if err := d.Decode(&v); err != nil {
			if err != io.EOF {
				s.docs = append(s.docs, document{name, fmt.Sprintf("unreadable from document %d on", i+1)})
			}
			break
		}
		s.docs = append(s.docs, document{name, decode(v)})
	}
	return s
}

// decode undoes the percent-encoding of a request that MSBuild wrote.
func decode(v any) any {
	m, ok := v.(map[string]any)
	if !ok || m["encoding"] != "percent" {
		return v
	}
	return eachString(v, unescape)
}

func eachString(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []any:
		for i := range v {
			v[i] = eachString(v[i], f)
		}
	case map[string]any:
		for k := range v {
			v[k] = eachString(v[k], f)
		}
	}
	return v
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// tool is the identity of the binary: version of the package, path, digest of the content.
type tool struct{ version, path, digest string }

func parseTool(line string) tool {
	version, rest, _ := strings.Cut(line, " ")
	i := strings.LastIndexByte(rest, ' ')
	if i < 0 {
		return tool{version: version, path: rest}
	}
	return tool{version, rest[:i], rest[i+1:]}
}

// difference between the tools of two stamps; nil when they are one.
func (t tool) difference(now tool) *Difference {
	d := Difference{Input: "the tool", Change: Changed}
	switch {
	case t == now:
		return nil
	case t.version != now.version:
		d.Field, d.Was, d.Now = "version", t.version, now.version
	case t.path != now.path:
		d.Field, d.Was, d.Now = "path", t.path, now.path
	default:
		d.Field, d.Was, d.Now = "content", t.digest, now.digest
	}
	return &d
}
