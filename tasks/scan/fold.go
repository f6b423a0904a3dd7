package scan

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// foldCase returns a key that is equal for names that a file system on Windows or macOS may take for one: names that differ
// in case only (Unicode's simple folding) or in how accents are composed (canonical decomposition).
func foldCase(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s) // what smallest does for ASCII, without its cost
	}
	return norm.NFD.String(strings.Map(smallest, norm.NFD.String(s)))
}

// smallest returns the smallest of the runes that r folds with.
func smallest(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
