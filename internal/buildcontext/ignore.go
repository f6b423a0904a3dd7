package buildcontext

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/gantry-build/gantry/internal/diag"
)

const separator = string(filepath.Separator)

// special are the characters that make more of a pattern than a path.
const special = `*?[]^\`

// ignore is a parsed ignore file. It is not safe for concurrent use.
type ignore struct {
	*patternmatcher.PatternMatcher
	name string
	// back are the patterns behind an exclamation mark, without a wildcard for all that is in a folder.
	back []string
}

func parseIgnore(name string, data []byte) (*ignore, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
	if err != nil {
		return nil, invalidIgnore(name, 0, err)
	}
	if len(patterns) == 0 {
		return nil, nil
	}
	m, err := patternmatcher.New(patterns)
	if err == nil {
		_, err = m.MatchesOrParentMatches("x") // patterns are compiled when they are first used
	}
	if err != nil {
		return nil, invalidIgnore(name, badLine(data), err)
	}
	i := &ignore{PatternMatcher: m, name: name}
	for _, p := range m.Patterns() {
		if p.Exclusion() {
			lead := strings.TrimSuffix(p.String(), separator+"**")
			i.back = append(i.back, strings.TrimSuffix(lead, separator+"*"))
		}
	}
	return i, nil
}

// badLine is the first line with a pattern that means nothing, or 0.
func badLine(data []byte) int {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		patterns, err := ignorefile.ReadAll(bytes.NewReader(line))
		if err != nil || len(patterns) == 0 {
			continue
		}
		m, err := patternmatcher.New(patterns)
		if err == nil {
			_, err = m.MatchesOrParentMatches("x")
		}
		if err != nil {
			return number
		}
	}
	return 0
}

func invalidIgnore(name string, line int, err error) error {
	if line > 0 {
		name = fmt.Sprintf("%s:%d", name, line)
	}
	return diag.Wrap(diag.InvalidIgnoreFile, err, name, "BuildKit would refuse it too")
}

// below says whether something in an ignored folder may be taken back: only by a pattern that leads into the folder, or by one with wildcards.
func (i *ignore) below(dir string) bool {
	dir = filepath.FromSlash(dir) + separator
	for _, p := range i.back {
		if strings.ContainsAny(p, special) || strings.HasPrefix(p+separator, dir) {
			return true
		}
	}
	return false
}
