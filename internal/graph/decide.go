package graph

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// parents are the digests of a node's parents as far as they are known, in the order of its variants.
type parents struct {
	digests [][]cas.Digest
	answers [][]*answer
	// planned are those of the graph that are still to be built.
	planned []*node
}

// decide fills in the step of an image whose parents are decided.
func (p *Plan) decide(ctx context.Context, n *node) error {
	if digest, ok := p.opt.Built[n.Image]; ok {
		return p.built(ctx, n, digest)
	}
	ps, err := p.parents(ctx, n.Image)
	if err != nil {
		return named(err, n.Spec)
	}
	s := n.step
	again := s.Decision == Build // a parent of it was built meanwhile, and what its tag names is from before
	s.Pins, s.Decision, s.Hash, s.Tag, s.Reasons = pins(n.Image, ps), Build, "", "", nil
	forced, isForced := p.opt.Forced[n.Image]
	if isForced {
		s.Reasons = append(s.Reasons, Reason{Kind: "forced", Text: forced})
	}
	for _, u := range n.Unknown {
		s.Reasons = append(s.Reasons, unknown(u))
	}
	for _, parent := range ps.planned {
		name := parent.Spec.Name
		s.Reasons = append(s.Reasons, Reason{Kind: "parent-planned", Name: name, Text: "its parent " + name + " is built first"})
	}
	if len(n.Unknown) > 0 {
		if p.opt.UnknownBuilt != nil && !again && !isForced && len(ps.planned) == 0 && p.opt.UnknownBuilt(n.Image) {
			return p.take(ctx, n)
		}
		return nil
	}
	buffer, ok := p.buffers.Get().(*[]sourcehash.Line)
	if !ok {
		buffer = new([]sourcehash.Line)
	}
	defer p.buffers.Put(buffer)
	lines, err := p.graph.lines(ctx, n.Image, ps.digests, (*buffer)[:0])
	if err != nil {
		return err
	}
	*buffer = lines
	if len(ps.planned) == 0 {
		s.Hash = sourcehash.Hash(lines)
		s.Tag = n.home.String() + ":" + sourcehash.Tag(s.Hash)
		if !isForced {
			there, err := p.look(ctx, n)
			if there || err != nil {
				return err
			}
		}
	}
	return p.explain(ctx, n, lines, ps)
}

// look asks whether the tag of a node is there, and makes a step that is skipped of it then.
func (p *Plan) look(ctx context.Context, n *node) (there bool, err error) {
	s := n.step
	ref := registry.Reference{Name: n.home, Tag: sourcehash.Tag(s.Hash)}
	switch {
	case n.watched:
		found, unseen, err := p.tags.existing(ctx, ref)
		if err != nil || found == nil || !covers(found, n.Image) {
			s.unseen(unseen)
			return false, err
		}
		n.answer, s.Digest = found, found.digest
	default:
		known, has, err := p.listed(ctx, n)
		if err != nil {
			return false, err
		}
		if known && !has {
			return false, nil
		}
		if !known {
			var unseen string
			if s.Digest, unseen, err = p.tags.exists(ctx, ref); err != nil || s.Digest == "" {
				s.unseen(unseen)
				return false, err
			}
		}
	}
	s.Decision, s.Reasons = Skip, []Reason{{Kind: "same", Text: "nothing of it changed: " + s.Tag + " is there"}}
	return true, nil
}

// take has a node whose hash is not known count as built to what its first tag names. Where that names nothing, it is built.
func (p *Plan) take(ctx context.Context, n *node) error {
	if n.tag == "" {
		return nil
	}
	ref := registry.Reference{Name: n.home, Tag: n.tag}
	found, unseen, err := p.tags.existing(ctx, ref)
	if err != nil || found == nil || !covers(found, n.Image) {
		n.step.unseen(unseen)
		return err
	}
	n.answer, n.step.Digest, n.step.Decision = found, found.digest, Skip
	text := fmt.Sprintf("nobody can know whether it changed, and %s counts as built before", ref)
	n.step.Reasons = []Reason{{Kind: "unknown-built", Text: text}}
	return nil
}

// unseen adds the reason that the registry did not say whether the image is there.
func (s *Step) unseen(why string) {
	if why != "" {
		s.Reasons = append(s.Reasons, Reason{Kind: "unseen", Text: why})
	}
}

// covers says whether an image is there for all platforms; if not, somebody else wrote the tag.
func covers(a *answer, i *Image) bool {
	for _, v := range i.Variants {
		if _, ok := a.platform(v.Platform); !ok {
			return false
		}
	}
	return true
}

// parents asks for the digests of all parents that can be known.
func (p *Plan) parents(ctx context.Context, i *Image) (*parents, error) {
	ps := &parents{digests: make([][]cas.Digest, len(i.Variants)), answers: make([][]*answer, len(i.Variants))}
	seen := map[*node]bool{}
	for k, v := range i.Variants {
		ps.digests[k], ps.answers[k] = make([]cas.Digest, len(v.Parents)), make([]*answer, len(v.Parents))
		for j := range v.Parents {
			parent := &v.Parents[j]
			a, d, err := p.parent(ctx, parent)
			if err != nil {
				return nil, err
			}
			if a == nil {
				d = unset
				if n := p.nodes[parent.Image]; !seen[n] {
					seen[n] = true
					ps.planned = append(ps.planned, n)
				}
			}
			ps.digests[k][j], ps.answers[k][j] = d, a
		}
	}
	return ps, nil
}

// parent returns what a parent's digest is; without an answer it is still to be built.
func (p *Plan) parent(ctx context.Context, parent *Parent) (*answer, cas.Digest, error) {
	if parent.Image == nil {
		return p.graph.outside.parent(ctx, parent.Reference, parent.Platform)
	}
	n := p.nodes[parent.Image]
	if n.answer == nil {
		return nil, "", nil
	}
	d, ok := n.answer.platform(parent.read())
	if !ok {
		what := fmt.Sprintf("%s was built without an image for %s", n.Spec.Name, parent.Variant.Platform)
		return nil, "", diag.New(diag.ParentPlatform, what, "build it for all its platforms")
	}
	return n.answer, d, nil
}

// read is the platform whose image a parent is: that of its variant where the graph makes it.
func (p *Parent) read() dockerfile.Platform {
	if p.Variant != nil {
		return p.Variant.Platform
	}
	return p.Platform
}

// pins names the known parents by digest.
func pins(i *Image, ps *parents) map[string]string {
	out := map[string]string{}
	for k, v := range i.Variants {
		for j := range v.Parents {
			parent := &v.Parents[j]
			a := ps.answers[k][j]
			if a == nil || a.name.Registry == "" {
				continue // there is nowhere to get it from
			}
			pin := a.choose(parent.read()).pin
			if was, ok := out[parent.Reference]; ok && was != pin {
				pin = a.name.String() + "@" + string(a.digest) // several platforms
			}
			out[parent.Reference] = pin
		}
	}
	return out
}
