package settings

import (
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/nearest"
)

// secretNames are parts of names that nobody should write into a file.
var secretNames = []string{"secret", "password", "token", "pword"}

// unknown is the error for a key or table that is not known.
func unknown(where, name string) error {
	for _, s := range secretNames {
		if strings.Contains(strings.ToLower(name), s) {
			return diag.New(diag.UnknownSetting, fmt.Sprintf("%s: %q is no setting", where, name),
				"secrets are never read from this file: set GANTRY_KEY_SECRET in the environment, and log in to registries with docker login")
		}
	}
	var names []string
	for _, t := range Table {
		table, key, _ := strings.Cut(t.Name, ".")
		names = append(names, t.Name, table, key)
	}
	hint := "gantry settings lists all"
	if best := nearest.Name(name, names); best != "" {
		hint = fmt.Sprintf("%s is meant?", fullName(best))
	}
	return diag.New(diag.UnknownSetting, fmt.Sprintf("%s: %q is no setting", where, name), hint)
}

// fullName writes a table in its brackets, and a key with its table.
func fullName(best string) string {
	if isTable(best) {
		return "[" + best + "]"
	}
	for _, t := range Table {
		if strings.HasSuffix(t.Name, "."+best) {
			return t.Name
		}
	}
	return best
}
