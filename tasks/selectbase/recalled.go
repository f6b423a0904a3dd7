package selectbase

import (
	"context"
	"slices"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/tasks"
)

// recalled makes the answer from what an earlier image says of the same base, when the store lacks a part of the base; nil when the
// store has all, or the earlier image is on another base. What it says stands for the base's own documents, because it was read from
// them when the image was made, and because the base is named by the digest of its manifest.
func (s *selection) recalled(ctx context.Context, entry tasks.Descriptor) (*tasks.Base, error) {
	own := s.stored(entry)
	if s.Recall == nil || own != nil && pull.Has(s.Store, own.Config) {
		return nil, nil
	}
	found, err := s.Recall(ctx)
	if err != nil || found == nil || found.Base == nil {
		return nil, err
	}
	format, err := s.format(entry.MediaType)
	if err != nil {
		return nil, err
	}
	says := found.Base
	b := tasks.Base{Manifest: says.Manifest, Config: says.Config, Layers: says.Layers, Platform: says.Platform, Created: says.Created}
	switch {
	case b.Manifest.Digest != entry.Digest || b.Manifest.MediaType != entry.MediaType || entry.Size != 0 && b.Manifest.Size != entry.Size:
		s.Log.Info("the base is read: the earlier image has another", "ref", found.Reference, "digest", b.Manifest.Digest)
		return nil, nil
	case says.Format != format:
		s.Log.Info("the base is read: the earlier image is of another format", "ref", found.Reference)
		return nil, nil
	case own != nil && (b.Config.Digest != own.Config.Digest || b.Config.Size != own.Config.Size || !slices.EqualFunc(b.Layers, own.Layers, same)):
		s.Log.Info("the base is read: what the earlier image says of it is not so", "ref", found.Reference)
		return nil, nil
	}
	if own != nil {
		b.Config, b.Layers = own.Config, own.Layers
	}
	s.Log.Info("the base is known from an earlier image and not read", "ref", found.Reference, "digest", entry.Digest)
	return s.complete(&b, format), nil
}

// same compares layers by content: the media type of one may be written in the format of the image.
func same(a, b tasks.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }

// stored is the manifest of an entry when the store has it.
func (s *selection) stored(entry tasks.Descriptor) *image.Manifest {
	body, ok := pull.Stored(s.Store, entry.Digest, s.Log)
	if !ok {
		return nil
	}
	m, err := image.ParseManifest(body, entry.MediaType)
	if err != nil {
		return nil // read says what is wrong
	}
	return m
}
