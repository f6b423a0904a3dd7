//go:build !race

package graph

// underRace says whether the race detector is there.
const underRace = false
