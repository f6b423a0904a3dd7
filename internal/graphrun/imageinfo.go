package graphrun

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// WriteImageInfo brings the image-info.json at path to what a plan knows after a run: the digest of each image and of all that it was built
// from, which are those of the platform's manifests. Only images of a docker-tools manifest have an entry. One whose digest is the same, or
// is not known, keeps what others wrote of it; a new one has no commit, no layers and no time, as nothing here knows them.
func WriteImageInfo(path string, p *graph.Plan) error {
	info := &imagelist.ImageInfo{}
	data, err := os.ReadFile(path)
	if err == nil {
		info, err = imagelist.ParseImageInfo(path, data)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return diag.Wrap(diag.InvalidImageList, err, "the image-info.json of earlier runs", "repair it, or name another file")
	}
	for k := range p.Steps {
		s := &p.Steps[k]
		if key := s.Image.Spec.Info; key != nil && s.Decision == graph.Skip && s.Digest != "" {
			if err := setInfo(info, s); err != nil {
				return err
			}
		}
	}
	body, err := info.Encode()
	if err != nil {
		return err
	}
	if _, err := atomicfile.WriteIfDifferent(path, body); err != nil {
		return diag.Wrap(diag.BadUsage, err, "the image-info.json cannot be written", "name another file")
	}
	return nil
}

func setInfo(info *imagelist.ImageInfo, s *graph.Step) error {
	key := s.Image.Spec.Info
	at, err := home(s.Image)
	if err != nil {
		return err
	}
	entry := imagelist.InfoPlatform{Digest: at.Name.String() + "@" + string(s.Digest)}
	if was := info.Platform(key); was != nil && was.Digest == entry.Digest {
		entry = *was
	}
	if countsAsBuilt(s) { // the parents of now need not be those that it was built from
		info.Set(key, entry)
		return nil
	}
	entry.FromImages, entry.BaseImageDigest = s.Pins, ""
	for _, v := range s.Image.Variants {
		if len(v.Reach.Stages) == 0 {
			continue
		}
		last := v.Reach.Stages[len(v.Reach.Stages)-1].Name
		for _, parent := range v.Parents {
			if slices.ContainsFunc(parent.Uses, func(u dockerfile.Use) bool { return u.Kind == dockerfile.From && u.Stage == last }) {
				entry.BaseImageDigest = s.Pins[parent.Reference]
			}
		}
	}
	info.Set(key, entry)
	return nil
}

// countsAsBuilt says of an image that cannot be known that it is taken for built before.
func countsAsBuilt(s *graph.Step) bool {
	return slices.ContainsFunc(s.Reasons, func(r graph.Reason) bool { return r.Kind == "unknown-built" })
}
