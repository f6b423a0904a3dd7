package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// maxReasons is how many changes of an image are told one by one.
const maxReasons = 10

// explain says why a node is built: what is different from what was recorded. Of parents that are still to be built, only that is known.
func (p *Plan) explain(ctx context.Context, n *node, lines []sourcehash.Line, ps *parents) error {
	s := n.step
	var was []sourcehash.Line
	if p.opt.Records != nil && !p.neverBuilt(ctx, n) {
		var err error
		if was, err = p.opt.Records.Recorded(ctx, n.Image); err != nil {
			return err
		}
	}
	if was == nil {
		if len(s.Reasons) == 0 {
			s.Reasons = []Reason{{Kind: "new", Text: "no build of it is recorded"}}
		}
		return nil
	}
	changes := reasons(n.Image, sourcehash.Diff(known(n.Image, was, ps), known(n.Image, sourcehash.Seal(lines), ps)))
	s.Reasons = append(s.Reasons, changes...)
	if len(s.Reasons) == 0 {
		s.Reasons = []Reason{{Kind: "new", Text: "nothing of it changed since the build that is recorded, but " + s.Tag + " is not there"}}
	}
	return nil
}

// known leaves out the lines of parents whose digest is not known.
func known(i *Image, lines []sourcehash.Line, ps *parents) []sourcehash.Line {
	if len(ps.planned) == 0 {
		return lines
	}
	hidden := map[string]bool{}
	for k, v := range i.Variants {
		for j, image := range v.Reach.Images {
			if ps.answers[k][j] == nil {
				hidden[lineName(image)] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(lines), func(l sourcehash.Line) bool { return l.Kind == sourcehash.Parent && hidden[l.Name] })
}

// lineName is what package sourcehash calls a parent.
func lineName(image dockerfile.Image) string { return image.Name() + " for " + image.Platform.String() }

// reasons puts changes into words. What is the same for several platforms is told once.
func reasons(i *Image, changes []sourcehash.Change) []Reason {
	var list []Reason
	more := 0
	added, removed := newPlatforms(changes)
	for _, c := range changes {
		r := reason(i, c)
		switch {
		case c.Kind != sourcehash.Platform && (added && c.Added || removed && c.Removed):
			// it came or went with its platform
		case slices.Contains(list, r):
		case len(list) == maxReasons:
			more++
		default:
			list = append(list, r)
		}
	}
	if more > 0 {
		list = append(list, Reason{Kind: list[maxReasons-1].Kind, Text: fmt.Sprintf("and %d more changes", more)})
	}
	return list
}

// newPlatforms says whether platforms came or went.
func newPlatforms(changes []sourcehash.Change) (added, removed bool) {
	for _, c := range changes {
		added = added || c.Kind == sourcehash.Platform && c.Added
		removed = removed || c.Kind == sourcehash.Platform && c.Removed
	}
	return added, removed
}

func reason(i *Image, c sourcehash.Change) Reason {
	r := Reason{Kind: kind(i, c), Name: c.Name}
	what := r.Kind
	if c.Kind == sourcehash.Platform {
		r.Name = cmp.Or(c.Now, c.Was)
	}
	switch {
	case r.Kind == "parent" || r.Kind == "frontend":
		r.Name, _, _ = strings.Cut(c.Name, " for ")
		what += " " + c.Name
	case r.Name != "":
		what += " " + r.Name
	}
	switch {
	case c.Added:
		r.Text = what + " is new"
	case c.Removed:
		r.Text = what + " is gone"
	case c.Was == "" && c.Now == "":
		r.Text = "the order of instructions changed"
	case c.Kind != sourcehash.Platform && c.Kind != sourcehash.Parent && c.Kind != sourcehash.File:
		r.Text = what + " changed" // the values are sealed
	default:
		r.Text = what + " changed from " + shorten(c.Was) + " to " + shorten(c.Now)
	}
	return r
}

// kind is the kind of a reason for a line.
func kind(i *Image, c sourcehash.Change) string {
	switch c.Kind {
	case sourcehash.File, sourcehash.Platform, sourcehash.Source:
		return string(c.Kind)
	case "argument", option:
		return "argument"
	case sourcehash.Parent:
		for _, v := range i.Variants {
			for _, image := range v.Reach.Images {
				if lineName(image) == c.Name && image.Uses[0].Kind == dockerfile.Syntax {
					return "frontend"
				}
			}
		}
		return "parent"
	}
	return "instruction" // or a stage, or its source
}

// shorten makes a value fit into a sentence.
func shorten(s string) string {
	const most = 100
	if digest, ok := strings.CutPrefix(s, "sha256:"); ok && len(digest) > 12 {
		return "sha256:" + digest[:12]
	}
	if i := strings.Index(s, "sha256:"); i >= 0 && len(s) > i+19 {
		s = s[:i+19] + s[min(i+7+64, len(s)):]
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if s == "" {
		return "nothing"
	}
	return s
}

func unknown(u dockerfile.Reason) Reason {
	text := u.Text
	if u.Line > 0 {
		text = fmt.Sprintf("line %d: %s", u.Line, u.Text)
	}
	return Reason{Kind: "unknown", Text: text}
}
