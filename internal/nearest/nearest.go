// Package nearest finds the name that a misspelt one most likely means.
package nearest

import "strings"

// longest is the number of bytes of a name that may be a typing error. Longer ones are near nothing, so that a hostile document costs
// nothing.
const longest = 64

// Name returns the name among names that is nearest to name, or "" when none is near: a third of the letters may differ. Of two that are
// equally near it is the first.
func Name(name string, names []string) string {
	best, bestDistance := "", max(1, len(name)/3)+1
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := Distance(strings.ToLower(n), strings.ToLower(name)); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// Distance is the number of bytes to insert, remove or replace to make a from b (Levenshtein).
func Distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
