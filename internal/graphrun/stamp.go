package graphrun

import (
	"cmp"
	"context"
	"slices"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// StampRequest makes what graphstate.Stamp needs of an image of a plan, all of whose parents are known: everything but the digest and what the
// builder left behind. The request's Hash is empty where the plan knows none. opt is what the graph was made with, and unknown are the digests
// of parents that were built and cannot be asked for by a source tag.
func StampRequest(ctx context.Context, p *graph.Plan, opt graph.Options, i *graph.Image, unknown map[*graph.Image]cas.Digest) (*graphstate.Request, error) {
	at, err := home(i)
	if err != nil {
		return nil, err
	}
	step := p.Step(i)
	q := &graphstate.Request{Image: at.Name, Hash: step.Hash}
	if len(i.Unknown) > 0 {
		q.Hash = ""
	}
	if q.Hash == "" {
		return q, nil
	}
	if q.Planned, err = record(ctx, p, i); err != nil {
		return nil, err
	}
	for _, v := range i.Variants {
		for k := range v.Parents {
			parent := &v.Parents[k]
			name, err := parentName(parent)
			if err != nil {
				return nil, err
			}
			as := graphstate.Parent{Name: name, Platform: readPlatform(parent).String(), Pin: step.Pins[parent.Reference]}
			if parent.Image != nil {
				at, err := home(parent.Image)
				if err != nil {
					return nil, err
				}
				as.Tag = cmp.Or(p.Step(parent.Image).Tag, at.String()) // one that cannot be known is what its first tag names
			}
			if asked := parent.Platform.String(); asked != as.Platform {
				as.Asked = asked
			}
			if !slices.Contains(q.Parents, as) {
				q.Parents = append(q.Parents, as)
			}
		}
	}
	q.Rehash = func(ctx context.Context) (*graphstate.Record, error) { return Rehash(ctx, opt, i, unknown) }
	return q, nil
}

// readPlatform is the platform whose image a parent is, which that of one in the graph may be for another than is asked for.
func readPlatform(p *graph.Parent) dockerfile.Platform {
	if p.Variant != nil {
		return p.Variant.Platform
	}
	return p.Platform
}

// parentName is what a record calls a parent: the reference in full; of a named context that is an image of the list, its first tag.
func parentName(p *graph.Parent) (string, error) {
	if p.Image == nil || len(p.Reference) < 7 || p.Reference[:7] != "target:" {
		return p.Reference, nil
	}
	at, err := home(p.Image)
	return at.String(), err
}

// record makes the record of an image whose parents are known.
func record(ctx context.Context, p *graph.Plan, i *graph.Image) (*graphstate.Record, error) {
	lines, err := p.Lines(ctx, i)
	if err != nil {
		return nil, err
	}
	variants := make([]graphstate.Variant, len(i.Variants))
	at := -1
	for _, l := range sourcehash.Seal(lines) {
		if l.Kind == sourcehash.Platform { // with which the lines of each platform begin
			at++
		}
		v := &variants[max(at, 0)] // what the list says is told before
		v.Lines = append(v.Lines, l)
	}
	for k, v := range i.Variants {
		variants[k].Platform = v.Platform.String()
		for j := range v.Parents {
			parent := &v.Parents[j]
			digest, known, err := p.Digest(ctx, parent)
			if err != nil {
				return nil, err
			}
			name, err := parentName(parent)
			if err != nil {
				return nil, err
			}
			if known {
				variants[k].FromImages = append(variants[k].FromImages, graphstate.FromImages(name, readPlatform(parent), digest, parent.Uses)...)
			}
		}
	}
	return graphstate.NewRecord(i.Spec.Name, sourcehash.Hash(lines), variants), nil
}

// Rehash reads the files of an image and of all that it is built from anew, asks for its parents anew, and makes its record. built are the
// digests of images that cannot be asked for by a source tag.
func Rehash(ctx context.Context, opt graph.Options, i *graph.Image, built map[*graph.Image]cas.Digest) (*graphstate.Record, error) {
	var specs []imagelist.Spec
	for _, a := range ancestors(i) {
		specs = append(specs, *a.Spec)
	}
	opt.Files = buildcontext.NewStore("") // the graph's own remembers what it read before the build
	g, err := graph.New(ctx, specs, opt)
	if err != nil {
		return nil, err
	}
	again := g.Find(i.Spec.Name)
	plan := graph.PlanOptions{Only: []*graph.Image{again}, UnknownBuilt: Before(again), Built: map[*graph.Image]cas.Digest{}}
	for was, digest := range built {
		if now := g.Find(was.Spec.Name); now != nil {
			plan.Built[now] = digest
		}
	}
	p, err := g.Plan(ctx, plan)
	if err != nil {
		return nil, err
	}
	return record(ctx, p, again)
}

// Before is for graph.PlanOptions.UnknownBuilt where images were built before these, which they are built from.
func Before(these ...*graph.Image) func(*graph.Image) bool {
	return func(i *graph.Image) bool { return !slices.Contains(these, i) }
}

// Recorder reads what was recorded of images when they were built last: graph.Records.
type Recorder struct{ State *graphstate.State }

// Recorded is the record of what an image's first tag names.
func (r Recorder) Recorded(ctx context.Context, i *graph.Image) ([]sourcehash.Line, error) {
	at, err := home(i)
	if err != nil {
		return nil, nil // one without a tag was never recorded
	}
	last, err := r.State.Last(ctx, at.String())
	if last == nil || err != nil {
		return nil, err
	}
	var lines []sourcehash.Line
	for _, v := range last.Variants {
		lines = append(lines, v.Lines...)
	}
	return lines, nil
}
