package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
	distribution "github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
	"github.com/gantry-build/gantry/internal/tools/memregistry"
)

// earlierBuilds is how many source tags each image has beside that of now.
const earlierBuilds = 2

// graphShelf puts into a registry what builds would have put there.
type graphShelf struct{ *memregistry.Registry }

// Repository makes it a graph.Registry without HTTP.
func (s graphShelf) Repository(name distribution.Name) graph.Repository {
	return s.Registry.Repository(name)
}

// outside is the image outside the graph that a system's base begins with: an index of two platforms. Another content is another image.
func (s graphShelf) outside(ctx context.Context, system, content string) error {
	repo := s.Registry.Repository(distribution.NewName(s.Host(), outsidePrefix+system))
	_, err := pushImage(ctx, repo, []string{"latest"}, content+system, "amd64", "arm64")
	return err
}

// fill builds everything: an image and its source tag, the tags of the list, those of earlier builds, and the record of what it was made of.
func (s graphShelf) fill(ctx context.Context, list string) error {
	specs, err := imagelist.Load(list, imagelist.Options{})
	if err != nil {
		return err
	}
	opt := graph.Options{Registry: s, Files: buildcontext.NewStore("")}
	g, err := graph.New(ctx, specs, opt)
	if err != nil {
		return err
	}
	p, err := g.Plan(ctx, graph.PlanOptions{})
	if err != nil {
		return err
	}
	state := graphstate.New(graphstate.Options{
		Open: func(n distribution.Name, _ distribution.Mode) graphstate.Repository { return s.Registry.Repository(n) },
	})
	for k := range p.Steps {
		if err := s.build(ctx, p, opt, &p.Steps[k], state); err != nil {
			return err
		}
	}
	return nil
}

// build puts one image there and records it. Images come after their parents.
func (s graphShelf) build(ctx context.Context, p *graph.Plan, opt graph.Options, step *graph.Step, state *graphstate.State) error {
	source, err := distribution.ParseReference(step.Tag)
	if err != nil {
		return fmt.Errorf("%s: %w", step.Image.Spec.Name, err)
	}
	repo := s.Registry.Repository(source.Name)
	tags := []string{source.Tag}
	for _, tag := range step.Image.Spec.Tags {
		ref, err := distribution.ParseReference(tag)
		if err != nil {
			return err
		}
		tags = append(tags, ref.Tag)
	}
	for k := range earlierBuilds {
		tags = append(tags, sourcehash.Tag(cas.DigestOf(fmt.Appendf(nil, "%s %d", step.Image.Spec.Name, k))))
	}
	root, err := pushImage(ctx, repo, tags, step.Image.Spec.Name, "amd64")
	if err != nil {
		return err
	}
	request, err := graphrun.StampRequest(ctx, p, opt, step.Image, nil)
	if err != nil {
		return err
	}
	if err := state.Write(ctx, source.Name, root, request.Planned); err != nil {
		return err
	}
	if len(step.Image.Children) > 0 { // nobody else waits for it
		_, err = p.Built(ctx, step.Image, root.Digest)
	}
	return err
}

type ociObject = map[string]any

// pushImage makes an index as BuildKit makes it, with an image for each architecture and an attestation, and gives it tags.
func pushImage(ctx context.Context, repo *memregistry.Repository, tags []string, content string, architectures ...string) (distribution.Descriptor, error) {
	var manifests []ociObject
	for _, architecture := range append(architectures, "unknown") {
		system := "linux"
		if architecture == "unknown" {
			system = architecture
		}
		config, body := describe("application/vnd.oci.image.config.v1+json", ociObject{
			"os": system, "architecture": architecture, "author": content,
			"config": ociObject{"Env": []string{"PATH=/usr/bin:/bin"}, "Cmd": []string{"sh"}},
		})
		repo.Keep(body)
		layer := ociObject{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": cas.DigestOf([]byte(content)), "size": 1 << 20}
		m, body := describe(distribution.OCIManifest, ociObject{
			"schemaVersion": 2, "mediaType": distribution.OCIManifest, "config": config, "layers": []ociObject{layer, layer, layer},
		})
		if err := repo.PushManifest(ctx, string(cas.DigestOf(body)), distribution.OCIManifest, body); err != nil {
			return distribution.Descriptor{}, err
		}
		m["platform"] = ociObject{"os": system, "architecture": architecture}
		manifests = append(manifests, m)
	}
	_, body := describe(distribution.OCIIndex, ociObject{"schemaVersion": 2, "mediaType": distribution.OCIIndex, "manifests": manifests})
	for _, tag := range tags {
		if err := repo.PushManifest(ctx, tag, distribution.OCIIndex, body); err != nil {
			return distribution.Descriptor{}, err
		}
	}
	return repo.HeadManifest(ctx, tags[0])
}

// describe encodes a document and returns its descriptor.
func describe(mediaType string, doc ociObject) (ociObject, []byte) {
	body, _ := json.Marshal(doc) // of maps and texts, which cannot fail
	return ociObject{"mediaType": mediaType, "digest": cas.DigestOf(body), "size": len(body)}, body
}
