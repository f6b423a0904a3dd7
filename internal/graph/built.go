package graph

import (
	"context"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// Built tells the plan that an image was built and is in its repository with a digest, that of the image or of the index. The hash of a
// child whose parents are all known now is computed and its tag asked for: where that is there, the child is skipped, and the same goes on
// with its children. Built returns the steps that it looked at again, in the order of the graph; those that are Build can be built now.
// Nobody may read Steps meanwhile.
func (p *Plan) Built(ctx context.Context, i *Image, digest cas.Digest) ([]*Step, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[i]
	if err := p.built(ctx, n, digest); err != nil {
		return nil, err
	}
	var again []*Step
	settled := map[*Image]bool{i: true}
	for k := range p.Steps {
		child := p.nodes[p.Steps[k].Image]
		if child.answer != nil || child.step.Decision != Build || !p.follows(child, settled) {
			continue
		}
		if err := p.decide(ctx, child); err != nil {
			return nil, err
		}
		again = append(again, child.step)
		if child.answer != nil {
			settled[child.Image] = true
		}
	}
	return again, nil
}

// follows says whether a parent of the node is among those whose digest became known, and no parent is left that is not.
func (p *Plan) follows(n *node, settled map[*Image]bool) bool {
	follows := false
	for _, parent := range n.Parents {
		if p.nodes[parent].answer == nil {
			return false
		}
		follows = follows || settled[parent]
	}
	return follows
}

// built makes a node one whose digest is known.
func (p *Plan) built(ctx context.Context, n *node, digest cas.Digest) error {
	n.answer = &answer{name: n.home, digest: digest}
	// Without a tag nobody can be asked what it is made of, so that it counts as one image; without children nobody wants to know.
	if n.home.Registry != "" && n.watched {
		var err error
		if n.answer, err = p.tags.of(ctx, registry.Reference{Name: n.home, Digest: digest}); err != nil {
			return named(err, n.Spec)
		}
	}
	n.step.Digest, n.step.Decision = digest, Skip
	n.step.Reasons = append(n.step.Reasons, Reason{Kind: "built", Text: "it was built in this run"})
	return nil
}
