package createlayers

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/gantry-build/gantry/internal/diag"
)

// OwnLayer is a layer of the user's own, a GantryLayer item. One that matches no file is no error, as such items are shared by projects
// that do not all have such files: it is left out, and the log says so.
type OwnLayer struct {
	// Name is none of the names of the other layers.
	Name string `json:"name"`
	// Files are doublestar globs of paths relative to the publish folder, with slashes (a backslash counts as one), case-sensitive:
	// "models/**".
	Files []string `json:"files"`
	// Except are globs of files that are in Files and not in this layer.
	Except []string `json:"except,omitempty"`
}

// maxOwnName is the length of a name in bytes; it is in the image's history.
const maxOwnName = 100

func (r *Request) owns(name string) bool {
	return slices.ContainsFunc(r.OwnLayers, func(o OwnLayer) bool { return o.Name == name })
}

// checkOwnLayers returns all that is wrong with the own layers, each GANTRY4013.
func (r *Request) checkOwnLayers() (errs []error) {
	bad := func(what, hint string) { errs = append(errs, diag.New(diag.InvalidLayer, what, hint)) }
	reserved := groupNames(nil)
	seen := map[string]bool{}
	for i, o := range r.OwnLayers {
		at := fmt.Sprintf("ownLayers[%d]", i)
		switch {
		case o.Name == "":
			bad(at+" has no name", "name it in Include")
		case len(o.Name) > maxOwnName || !utf8.ValidString(o.Name) || strings.ContainsFunc(o.Name, unicode.IsControl):
			bad(fmt.Sprintf("%s: the name %q is longer than %d bytes, has a control character or is not UTF-8", at, o.Name, maxOwnName), "choose another name")
		case slices.Contains(reserved, o.Name):
			bad(fmt.Sprintf("%s: %q is the name of a layer of Gantry's", at, o.Name), "choose a name that is none of "+strings.Join(reserved, ", "))
		case seen[o.Name]:
			bad(fmt.Sprintf("%s: the name %q is there already", at, o.Name), "give each layer a name of its own")
		}
		seen[o.Name] = true
		if len(o.Files) == 0 {
			bad(fmt.Sprintf("%s: layer %q names no files", at, o.Name), `write globs in Files, for example "models/**"`)
		}
		for _, list := range [][]string{o.Files, o.Except} {
			for _, glob := range list {
				if why := badGlob(slashed(glob)); why != "" {
					bad(fmt.Sprintf("%s: the glob %q of layer %q %s", at, glob, o.Name, why), `write for example "models/**", relative to the publish folder`)
				}
			}
		}
	}
	return errs
}

// badGlob says what is wrong with a glob; empty when nothing is.
func badGlob(glob string) string {
	switch {
	case glob == "":
		return "is empty"
	case !utf8.ValidString(glob) || !doublestar.ValidatePattern(glob):
		return "is not well formed"
	}
	for element := range strings.SplitSeq(glob, "/") {
		if element == "" || element == "." || element == ".." {
			return "can match no path of the publish folder, as none has an empty element, . or .."
		}
	}
	return ""
}

// slashed is a glob with slashes: MSBuild on Unix makes them of backslashes, so a backslash is none of the escapes of doublestar.
func slashed(glob string) string { return strings.ReplaceAll(glob, `\`, "/") }

// globs are own layers ready for matching.
type globs []OwnLayer

func ownGlobs(layers []OwnLayer) globs {
	var g globs
	for _, o := range layers {
		c := OwnLayer{Name: o.Name}
		for _, glob := range o.Files {
			c.Files = append(c.Files, slashed(glob))
		}
		for _, glob := range o.Except {
			c.Except = append(c.Except, slashed(glob))
		}
		g = append(g, c)
	}
	return g
}

// layer names the own layer of the file at path.
func (g globs) layer(path string) (name string, ok bool) {
	matches := func(glob string) bool { return doublestar.MatchUnvalidated(glob, path) }
	for _, o := range g {
		if slices.ContainsFunc(o.Files, matches) && !slices.ContainsFunc(o.Except, matches) {
			return o.Name, true
		}
	}
	return "", false
}
