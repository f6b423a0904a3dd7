package strictjson

import "github.com/gantry-build/gantry/internal/nearest"

// nearestField returns the field that a misspelt name most likely means, or "" when none is near: "sizee" finds "size", "colour" does not
// find "labels".
func nearestField(name string, fields []goField) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return nearest.Name(name, names)
}
