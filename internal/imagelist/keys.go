package imagelist

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/nearest"
	"github.com/gantry-build/gantry/internal/settings"
)

// Kind is what the value of a key is.
type Kind string

const (
	text   Kind = "a string"
	texts  Kind = "a list of strings"
	values Kind = "a table of strings"
	tables Kind = "a table"
)

// Key is a key of gantry.graph.toml.
type Key struct {
	Name     string
	Kind     Kind
	Meaning  string
	Defaults bool // may stand in [defaults], too
}

// Table are the keys of [[image]]. The reader, the schema and the README are made of it.
var Table = []Key{
	{"name", text, "unique name of the image; with a matrix, the values of a combination are put behind it unless it has ${...} itself", false},
	{"context", text, "folder of the build context, from the folder of this file, or a URL; \".\" where it is not set", true},
	{"file", text, "Dockerfile, from the context; \"Dockerfile\" where it is not set", true},
	{"target", text, "stage of the Dockerfile; the last where it is not set", true},
	{"args", values, "build arguments; those of [defaults] that the image does not have itself are added", true},
	{"platforms", texts, "platforms that are built, such as linux/arm64; that of the machine where it is not set", true},
	{"tags", texts, "references that the image is pushed to; its source tag goes to the first one's repository", true},
	{"contexts", values, "named contexts as docker buildx build --build-context takes them; target:NAME is another image of this file", true},
	{"matrix", tables, "lists of values by name; the image is made once for each combination of them", false},
}

var rootKeys = []Key{
	{"defaults", tables, "what holds for all images that do not say otherwise", false},
	{"image", tables, "an image, or the images of a matrix", false},
}

// The keys of a matrix that are no list of values.
const (
	includeKey = "include"
	excludeKey = "exclude"
)

// setting is the full name of a setting of gantry.toml, or nothing. A table is told by its name alone, and a key that stands without its
// table by the first table that has it.
func setting(name string) string {
	for _, s := range settings.Table {
		switch table, key, _ := strings.Cut(s.Name, "."); name {
		case table:
			return "[" + table + "]"
		case key:
			return s.Name
		}
	}
	return ""
}

func names(keys []Key, keep func(Key) bool) []string {
	var list []string
	for _, k := range keys {
		if keep == nil || keep(k) {
			list = append(list, k.Name)
		}
	}
	return list
}

// otherNames are what other tools call a key of an image.
var otherNames = map[string]string{
	"dockerfile": "file", "build-args": "args", "build_args": "args", "additional_contexts": "contexts", "image": "tags",
	includeKey: "matrix." + includeKey, excludeKey: "matrix." + excludeKey,
}

// unknownHint says what may have been meant by a key that is not known.
func unknownHint(name string, known []string) string {
	if other, ok := otherNames[name]; ok && slices.Contains(known, "name") {
		return fmt.Sprintf("it is called %s here", other)
	}
	if best := nearest.Name(name, known); best != "" {
		return fmt.Sprintf("is %s meant?", best)
	}
	return "known are " + strings.Join(known, ", ")
}
