package imagelist

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// ignoreRule is a line of a .gitignore (gitignore(5)).
type ignoreRule struct {
	base    string // folder of the file, with slashes, relative to the root; empty is the root
	glob    string // relative to base
	keep    bool   // the line began with !
	folders bool   // the line ended with /
}

// parseIgnore reads the lines of a .gitignore in the folder base. A pattern that is not valid ignores nothing, as git has it.
func parseIgnore(base string, data []byte) []ignoreRule {
	var rules []ignoreRule
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		text := strings.TrimRight(string(line), "\r\n")
		for strings.HasSuffix(text, " ") && !strings.HasSuffix(text, `\ `) {
			text = text[:len(text)-1]
		}
		if text == "" || text[0] == '#' {
			continue
		}
		r := ignoreRule{base: base}
		if r.keep = text[0] == '!'; r.keep {
			text = text[1:]
		}
		if r.folders = strings.HasSuffix(text, "/"); r.folders {
			text = strings.TrimSuffix(text, "/")
		}
		if !strings.Contains(text, "/") {
			text = "**/" + strings.ReplaceAll(text, "**", "*") // a name without a slash is one at any depth
		}
		text = strings.TrimPrefix(text, "/")
		if strings.HasSuffix(text, "/**") {
			text += "/*" // what is inside of a folder, and not itself
		}
		// The braces of doublestar are none of git's.
		r.glob = strings.NewReplacer("{", `\{`, "}", `\}`).Replace(text)
		if text != "" && doublestar.ValidatePattern(r.glob) {
			rules = append(rules, r)
		}
	}
	return rules
}

// ignored says whether the last rule that matches a path leaves it out. A path below a folder that is left out is not asked for.
func ignored(rules []ignoreRule, name string, folder bool) bool {
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		rel := name
		if r.base != "" {
			var below bool
			if rel, below = strings.CutPrefix(name, r.base+"/"); !below {
				continue
			}
		}
		if r.folders && !folder {
			continue
		}
		if doublestar.MatchUnvalidated(r.glob, rel) {
			return !r.keep
		}
	}
	return false
}

// ignoreFile reads the rules of a folder, if it has any.
func ignoreFile(root, dir string) []ignoreRule {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(dir), ".gitignore"))
	if err != nil || len(data) > 1<<20 {
		return nil
	}
	if dir = path.Clean(dir); dir == "." {
		dir = ""
	}
	return parseIgnore(dir, data)
}
