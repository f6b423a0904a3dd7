package strictjson

import "strings"

// nearest returns the field that a misspelt name most likely means, or "" when none is near. A third of the letters may
// differ: "sizee" finds "size", "colour" does not find "labels".
func nearest(name string, fields []goField) string {
	best, bestDistance := "", max(1, len(name)/3)+1
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return f.name
		}
		if d := distance(strings.ToLower(f.name), strings.ToLower(name)); d < bestDistance {
			best, bestDistance = f.name, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to make a from b (Levenshtein). Long names are no typing
// errors and count as far away, so that a hostile document costs nothing.
func distance(a, b string) int {
	const longest = 64
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
