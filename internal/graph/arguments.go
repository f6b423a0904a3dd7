package graph

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/nearest"
	"github.com/gantry-build/gantry/internal/registry"
)

// arguments finds build arguments that the list names without a value where the Dockerfile has none either, and those that no Dockerfile
// declares of the images that they are given to. One that is declared by some of these images is no slip: lists give arguments to all.
func (v *verifier) arguments() {
	given := map[string][]*Image{}
	declared := map[string]bool{}
	for _, i := range v.Images {
		has := v.declared(i)
		if has == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(i.Spec.Args)) {
			filled, own := has[name]
			switch {
			case dockerfile.Predefined(name):
			case own || v.triggers(i, name):
				declared[name] = true
				if own && !filled && i.Spec.Args[name] == nil && !i.unset(name) {
					what := "the argument " + name + " has no value"
					v.problems.add(i.Spec, diag.New(diag.InvalidImage, what, "give it one, or a default in the Dockerfile"))
				}
			default:
				given[name] = append(given[name], i)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !declared[name] {
			v.undeclared(name, given[name])
		}
	}
}

// declared are the arguments of an image's Dockerfile; nil where they are not known.
func (v *verifier) declared(i *Image) map[string]bool {
	if i.Spec.Remote() {
		return nil
	}
	file, err := v.parse(i.Spec)
	if err != nil {
		return nil
	}
	has, known := v.arguable[file]
	if !known {
		has = file.Arguments()
		v.arguable[file] = has
	}
	return has
}

// undeclared warns of an argument that is given to images in vain.
func (v *verifier) undeclared(name string, images []*Image) {
	near := map[string]bool{}
	for _, i := range images[:min(len(images), most)] {
		maps.Copy(near, v.declared(i))
	}
	what, hint := fmt.Sprintf("no Dockerfile that is given the build argument %s has an ARG of that name", name), "add it, or leave the argument out"
	if best := nearest.Name(name, slices.Sorted(maps.Keys(near))); best != "" {
		hint = "is " + best + " meant?"
	}
	err := diag.New(diag.GraphDoubt, what, hint)
	for _, i := range images {
		v.warnings.add(i.Spec, err)
	}
}

// triggers says that an ONBUILD of a base may declare an argument.
func (v *verifier) triggers(i *Image, name string) bool {
	if i.declares(name) {
		return true
	}
	return slices.ContainsFunc(i.Parents, func(p *Image) bool { _, ok := v.declared(p)[name]; return ok })
}

// declares says that a trigger of a base declares an argument.
func (i *Image) declares(name string) bool {
	return slices.ContainsFunc(i.Variants, func(v *Variant) bool {
		return slices.ContainsFunc(v.Reach.Content, func(item *dockerfile.Item) bool { return item.Kind == "argument" && item.Name == name })
	})
}

// unset says that an argument was told to have no value, with the line that reads it.
func (i *Image) unset(name string) bool {
	return slices.ContainsFunc(i.Variants, func(v *Variant) bool {
		return slices.ContainsFunc(v.Reach.Unset, func(u dockerfile.Unset) bool { return u.Name == name })
	})
}

// near says which tag of a repository may be meant.
func near(ref registry.Reference, made []string) string {
	slices.Sort(made)
	if best := nearest.Name(ref.Tag, made); best != "" {
		return "is " + ref.Name.String() + ":" + best + " meant?"
	}
	return "add it to the list, or name a tag of it, such as " + made[0]
}
