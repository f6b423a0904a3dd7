package imagelist

import (
	"encoding/json"
	"fmt"
	"strings"
)

// variables are those of a manifest: $(name), and $(Repo:id) for a repository with its registry.
type variables struct {
	texts map[string]*string
	repos map[string]string
	done  map[string]string
	open  map[string]bool
	text  int // bytes that were put in place of names
}

// newVariables puts the given ones over those of the manifest. Their own references are resolved when they are asked for, so that their
// order does not matter.
func newVariables(m toolsManifest, given map[string]string) *variables {
	v := &variables{texts: map[string]*string{}, repos: map[string]string{}, done: map[string]string{}, open: map[string]bool{}}
	for _, member := range m.Variables {
		if text, ok := plainText(member.value); ok {
			v.texts[member.key] = text
		}
	}
	for name, text := range given {
		v.texts[name] = &text
	}
	for _, repo := range m.Repos {
		id := repo.ID
		if id == "" {
			id = repo.Name
		}
		v.repos[id] = m.qualified(repo)
	}
	return v
}

// plainText is a string, or a number or true, which ImageBuilder takes for its text; nil is null.
func plainText(raw json.RawMessage) (*string, bool) {
	var text *string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	plain := compact(raw)
	return &plain, plain[0] != '{' && plain[0] != '['
}

// substitute replaces each $(name), where a name has letters, digits and _ : - . | or a space. What is none stays as it is.
func (v *variables) substitute(s string) (string, error) {
	if !strings.Contains(s, "$(") {
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "$(")
		end := -1
		if i >= 0 {
			end = strings.IndexByte(s[i:], ')')
		}
		if end < 0 {
			return b.String() + s, nil
		}
		name := s[i+2 : i+end]
		if inner := strings.LastIndex(name, "$("); inner >= 0 || !isVariable(name) {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		text, err := v.value(name)
		if err != nil {
			return "", err
		}
		b.WriteString(s[:i] + text)
		if v.text += len(text); b.Len() > maxBytes/64 || v.text > maxText {
			return "", fmt.Errorf("the variable $(%s) stands for too long a text", name)
		}
		s = s[i+end+1:]
	}
}

func isVariable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c < 0x80 && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:-.| ", c)
	})
}

func (v *variables) value(name string) (string, error) {
	if kind, id, builtIn := strings.Cut(name, ":"); builtIn {
		repo, ok := v.repos[id]
		if kind != "Repo" || !ok {
			return "", fmt.Errorf("there is no value for $(%s); $(Repo:ID) is that of a repository in the manifest", name)
		}
		return repo, nil
	}
	if text, ok := v.done[name]; ok {
		return text, nil
	}
	text, ok := v.texts[name]
	if !ok || text == nil {
		return "", fmt.Errorf("there is no value for the variable $(%s)", name)
	}
	if v.open[name] {
		return "", fmt.Errorf("the variable $(%s) stands for itself", name)
	}
	v.open[name] = true
	out, err := v.substitute(*text)
	delete(v.open, name)
	if err == nil {
		v.done[name] = out
	}
	return out, err
}
