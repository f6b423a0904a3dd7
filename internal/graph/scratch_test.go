package graph

import (
	"os"

	"pgregory.net/rapid"
)

// scratchDir is a folder for one run of a property.
func scratchDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "graph")
	check(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
