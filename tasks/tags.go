package tasks

import (
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Once is a list with each text once, where it is first.
func Once(list []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// TagProblems are those of the tags of a request: CONTAINER2007, and 2010, which the .NET SDK has for one of several, when several are true.
func TagProblems(tags []string, several bool) (errs []error) {
	for _, t := range tags {
		err := registry.ParseTag(t)
		if err != nil && several {
			err = diag.New(diag.InvalidTags, fmt.Sprintf("the tag %q is not valid", t), "use at most 128 letters, digits, _ . -, and do not begin with . or -")
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
