package graphrun

import (
	"context"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphtag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Tags are images as graphtag wants them: those whose own tags are meant, with all that share a tag with one of them. plan may be nil, or one
// of some images, also after a run; those that it does not have are planned by the list as it is now.
func Tags(ctx context.Context, g *graph.Graph, plan *graph.Plan, meant []*graph.Image) ([]graphtag.Image, error) {
	own, tags := map[*graph.Image]bool{}, map[registry.Reference]bool{}
	for _, i := range meant {
		own[i] = true
		for _, t := range references(i.Spec.SharedTags) {
			tags[t] = true
		}
	}
	var wanted, unplanned []*graph.Image
	for _, i := range g.Images {
		if !own[i] && !slices.ContainsFunc(references(i.Spec.SharedTags), func(t registry.Reference) bool { return tags[t] }) {
			continue
		}
		wanted = append(wanted, i)
		if plan == nil || plan.Step(i) == nil {
			unplanned = append(unplanned, i)
		}
	}
	more := plan
	if len(unplanned) > 0 {
		var err error
		if more, err = g.Plan(ctx, graph.PlanOptions{Only: unplanned, UnknownBuilt: Before(), Built: withoutTag(plan)}); err != nil {
			return nil, err
		}
	}
	var list []graphtag.Image
	for _, i := range wanted {
		from := plan
		if plan == nil || plan.Step(i) == nil {
			from = more
		}
		im, err := tagImage(from.Step(i))
		if err != nil {
			return nil, err
		}
		im.Shared = slices.DeleteFunc(references(i.Spec.SharedTags), func(t registry.Reference) bool { return !tags[t] })
		if own[i] {
			im.Tags = references(i.Spec.Tags)
		}
		list = append(list, im)
	}
	return list, nil
}

// references reads the tags of an image, which the graph has read before.
func references(tags []string) (list []registry.Reference) {
	for _, t := range tags {
		if ref, err := registry.ParseReference(t); err == nil && !slices.Contains(list, ref) {
			list = append(list, ref)
		}
	}
	return list
}

// withoutTag are the images that a run built and that have no source tag to be asked for.
func withoutTag(plan *graph.Plan) map[*graph.Image]cas.Digest {
	built := map[*graph.Image]cas.Digest{}
	if plan == nil {
		return built
	}
	for k := range plan.Steps {
		if s := &plan.Steps[k]; s.Decision == graph.Skip && s.Tag == "" && s.Digest != "" {
			built[s.Image] = s.Digest
		}
	}
	return built
}

// tagImage is an image with its source, as far as a plan knows one.
func tagImage(s *graph.Step) (im graphtag.Image, err error) {
	im.Name = s.Image.Spec.Name
	switch {
	case s.Decision == graph.Skip && s.Tag != "":
		im.Source, err = registry.ParseReference(s.Tag)
	case s.Decision == graph.Skip && len(s.Image.Spec.Tags) > 0:
		im.Source, err = home(s.Image) // which another run may have pushed meanwhile, and what it says counts
	default:
		im.Why = "is not built yet"
	}
	return im, err
}
