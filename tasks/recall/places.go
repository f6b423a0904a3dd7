package recall

import (
	"cmp"
	"strings"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// place is where an image may be.
type place struct {
	registry.Reference
	mode registry.Mode
	// tag says that it is one of the tags that will be written.
	tag bool
}

// places are the references to ask, each once, in this order: the tags, cacheFrom, latest, the cache tag.
func places(req *Request) (all []place, err error) {
	dst := registry.NewName(req.Registry, req.Repository)
	seen := map[string]bool{}
	add := func(p place) {
		p.mode = registry.ModePush
		if p.Name != dst {
			p.mode = registry.PullMode(p.Registry, cmp.Or(req.OutputRegistry, req.Registry))
		}
		if id := p.Name.String() + "@" + p.TagOrDigest(); !seen[id] {
			seen[id] = true
			all = append(all, p)
		}
	}
	tag := func(t string, written bool) {
		if t != "" {
			add(place{Reference: registry.Reference{Name: dst, Tag: t}, tag: written})
		}
	}
	for _, t := range req.Tags {
		tag(t, true)
	}
	for _, s := range req.CacheFrom {
		ref, err := parseReference(s)
		if err != nil {
			return nil, err
		}
		add(place{Reference: ref})
	}
	tag("latest", false)
	tag(req.CacheTag, false)
	return all, nil
}

// fill writes down what an image says.
func fill(resp *tasks.Recalled, p place, m *registry.Manifest, parsed *image.Manifest, own *image.Own) {
	format := image.FormatOf(m.MediaType)
	resp.Reference, resp.Registry, resp.Repository = p.String(), p.Registry, p.Repository
	resp.Manifest = &tasks.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Body))}
	resp.Outputs = []tasks.Output{{Digest: m.Digest, Size: int64(len(m.Body))}, {Digest: parsed.Config.Digest, Size: parsed.Config.Size}}
	resp.ConfigInput, resp.Config, resp.Created, resp.Annotations = own.Record.Config, own.Config, own.Created, parsed.Annotations
	if base := own.Record.Base; image.FormatOf(base.Manifest.MediaType) == format { // else its layers have other types in its own manifest
		resp.Base = &tasks.RecalledBase{
			Manifest: base.Manifest, Config: base.Config, Layers: own.Base, Platform: base.Platform, Created: base.Created, Format: format,
		}
	}
	for _, l := range own.Layers {
		_, name, found := strings.Cut(l.CreatedBy, ": ") // as create-layers writes it
		if !found {
			name = l.CreatedBy // the Description of an item
		}
		resp.Layers = append(resp.Layers, tasks.Layer{Name: name, Descriptor: l.Descriptor, DiffID: l.DiffID, Key: l.Key, CreatedBy: l.CreatedBy})
	}
}
