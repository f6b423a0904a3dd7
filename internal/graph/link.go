package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
)

// link makes the edges.
func (b *builder) link() {
	for _, i := range b.Images {
		for _, v := range i.Variants {
			v.Parents = make([]Parent, len(v.Reach.Images))
			for k, image := range v.Reach.Images {
				p := &v.Parents[k]
				*p = Parent{Reference: image.Reference, Platform: image.Platform, Uses: image.Uses}
				if image.Target != "" {
					p.Reference = "target:" + image.Target
				}
				p.Image, p.Variant = b.find(image)
				b.check(i, image, p)
				all := b.equals(image, p)
				for _, parent := range all {
					if !slices.Contains(i.Parents, parent) {
						i.Parents = append(i.Parents, parent)
						parent.Children = append(parent.Children, i)
					}
				}
				if len(all) > 1 {
					text := fmt.Sprintf("%s is %s and %s for %s: which one a builder takes is not known", p.Reference, all[0].Spec.Name, all[1].Spec.Name, p.Platform)
					i.Unknown = append(i.Unknown, dockerfile.Reason{Line: image.Uses[0].Line, Text: text})
				}
			}
		}
	}
}

// equals are the images that a parent may be: that which was found, and others that share its tag for the same platform, as docker-tools has
// them for versions of Windows.
func (b *builder) equals(image dockerfile.Image, p *Parent) []*Image {
	if p.Image == nil {
		return nil
	}
	all := []*Image{p.Image}
	if p.Variant == nil || image.Target != "" {
		return all
	}
	for _, other := range b.tags[image.Reference] {
		if other != p.Image && slices.ContainsFunc(other.Variants, func(v *Variant) bool { return v.Platform == p.Variant.Platform }) {
			all = append(all, other)
		}
	}
	return all
}

func (b *builder) check(i *Image, image dockerfile.Image, p *Parent) {
	switch {
	case p.Image == nil && image.Target != "" && b.verifies: // was told of the list
	case p.Image == nil && image.Target != "":
		b.problems.addAt(i.Spec, i.where(image.Uses), diag.New(diag.ParentMissing, p.Reference+" is not in the list", "add it, or correct the named context"))
	case p.Image != nil && p.Variant == nil:
		var has []string
		for _, v := range p.Image.Variants {
			has = append(has, v.Platform.String())
		}
		b.problems.addAt(i.Spec, i.where(image.Uses), diag.New(diag.ParentPlatform,
			fmt.Sprintf("it needs %s for %s, and %s is only for %s", p.Reference, p.Platform, p.Image.Spec.Name, strings.Join(has, ", ")),
			"add the platform there, or take it away here"))
	}
}

// sort brings the images into an order in which each comes after its parents, and otherwise that of the list.
func (b *builder) sort() {
	const open, closed = 1, 2
	state := make(map[*Image]int, len(b.Images))
	sorted := make([]*Image, 0, len(b.Images))
	var path []*Image
	var visit func(i *Image)
	visit = func(i *Image) {
		switch state[i] {
		case closed:
			return
		case open:
			b.cycle(append(path[slices.Index(path, i):], i))
			return
		}
		state[i] = open
		path = append(path, i)
		for _, p := range i.Parents {
			visit(p)
		}
		path = path[:len(path)-1]
		state[i] = closed
		sorted = append(sorted, i)
	}
	for _, i := range b.Images {
		visit(i)
	}
	b.Images = sorted
}

// cycle tells of images that need each other; path begins and ends with one.
func (b *builder) cycle(path []*Image) {
	names := make([]string, len(path))
	places := make([]string, len(path)-1)
	for k, i := range path {
		names[k] = i.Spec.Name
		if k > 0 {
			places[k-1] = path[k-1].whereOf(i)
		}
	}
	what := "it needs itself: " + strings.Join(names, " needs ") + " (" + strings.Join(places, ", ") + ")"
	b.problems.add(path[0].Spec, diag.New(diag.GraphCycle, what, "break the cycle"))
}

// whereOf is the file and line at which an image names a parent.
func (i *Image) whereOf(parent *Image) string {
	for _, v := range i.Variants {
		for k := range v.Parents {
			if v.Parents[k].Image == parent {
				return i.where(v.Parents[k].Uses)
			}
		}
	}
	return i.where(nil)
}

// where is the file and line of the first of uses.
func (i *Image) where(uses []dockerfile.Use) string {
	file := i.Spec.Dockerfile
	if i.Spec.Inline != "" {
		file = i.Spec.Origin
	}
	if len(uses) > 0 && uses[0].Line > 0 {
		return fmt.Sprintf("%s:%d", file, uses[0].Line)
	}
	return file
}
