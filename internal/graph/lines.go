package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// unset stands for the digest of a parent that is not known. No image has it.
const unset cas.Digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// option is the kind of a line for what the list tells the builder beside arguments.
const option sourcehash.Kind = "option"

// lines are what is folded into an image's hash: what the list says beside the Dockerfile, and then the lines of each platform, in the
// order of the list. digests are those of Variant.Parents of each variant. They are appended to all, which is empty.
func (g *Graph) lines(ctx context.Context, i *Image, digests [][]cas.Digest, all []sourcehash.Line) ([]sourcehash.Line, error) {
	for _, name := range slices.Sorted(maps.Keys(i.Spec.Options)) {
		all = append(all, sourcehash.Line{Kind: option, Name: name, Value: i.Spec.Options[name]})
	}
	for k, v := range i.Variants {
		files, err := g.folders.read(ctx, i.Spec, v.Reach)
		if err != nil {
			return nil, named(err, i.Spec)
		}
		if all, err = sourcehash.Append(all, v.Reach, v.Platform, digests[k], files); err != nil {
			return nil, fmt.Errorf("image %s: %w", i.Spec.Name, err)
		}
	}
	return all, nil
}
