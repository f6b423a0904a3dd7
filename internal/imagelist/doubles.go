package imagelist

import (
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
)

// Doubles finds what two images of a list cannot both have, GANTRY6012: a name, a tag, or the place for one platform in the index behind a
// shared tag, where docker-tools also tells versions of an operating system apart. A tag that is no reference is GANTRY6008. local is the
// platform of an image that names none. kept are the images without what is another's, for who goes on with the rest; without errors they
// are specs.
func Doubles(specs []Spec, local dockerfile.Platform) (kept []Spec, errs []error) {
	d := &doubles{names: map[string]*Spec{}, tags: make(map[string]*Spec, len(specs)), shared: map[sharedPlace]*Spec{}}
	good := make([][]string, len(specs))
	for i := range specs {
		good[i] = d.own(&specs[i])
	}
	for i := range specs { // when all tags are known
		d.index(&specs[i], local)
	}
	if len(d.errs) == 0 {
		return specs, nil
	}
	for i := range specs {
		if d.names[specs[i].Name] == &specs[i] {
			s := specs[i]
			s.Tags, s.SharedTags = good[i], slices.DeleteFunc(slices.Clone(s.SharedTags), d.bad)
			kept = append(kept, s)
		}
	}
	return kept, d.errs
}

type doubles struct {
	names, tags map[string]*Spec
	shared      map[sharedPlace]*Spec
	errs        findings
}

// sharedPlace is what an index has room for once.
type sharedPlace struct {
	tag      string
	platform dockerfile.Platform
	version  string // of the operating system, in the words of docker-tools
}

// own looks at the name and the tags of an image, and returns the tags that it can have.
func (d *doubles) own(s *Spec) []string {
	if other := d.names[s.Name]; other != nil {
		d.errs.add(s, diag.DoubleTag, "give each image a name of its own", "the name is that of the image at %s, too", other.Origin)
	} else {
		d.names[s.Name] = s
	}
	good := make([]string, 0, len(s.Tags))
	for _, tag := range s.Tags {
		key, ok := d.reference(s, tag)
		if !ok {
			continue
		}
		switch other := d.tags[key]; other {
		case nil:
			d.tags[key] = s
			good = append(good, tag)
		case s:
			d.errs.add(s, diag.DoubleTag, "write it once", "the tag %s is there twice", tag)
		default:
			d.errs.add(s, diag.DoubleTag, "one of the two would replace the other: give each a tag of its own",
				"the tag %s is made twice, also by %s (%s)", tag, other.Name, other.Origin)
		}
	}
	return good
}

// index looks at the shared tags of an image.
func (d *doubles) index(s *Spec, local dockerfile.Platform) {
	platforms := s.Platforms
	if len(platforms) == 0 {
		platforms = []string{local.String()}
	}
	for _, tag := range s.SharedTags {
		key, ok := d.reference(s, tag)
		if !ok {
			continue
		}
		if other := d.tags[key]; other != nil {
			d.errs.add(s, diag.DoubleTag, "an index and an image cannot share it", "the shared tag %s is also a tag of %s (%s)",
				tag, other.Name, other.Origin)
		}
		for _, name := range platforms {
			p, err := dockerfile.ParsePlatform(name, local)
			if err != nil {
				continue // Check and the graph say so
			}
			place := sharedPlace{tag: key, platform: p}
			if s.Info != nil {
				place.version = s.Info.OSVersion
			}
			if other := d.shared[place]; other == nil {
				d.shared[place] = s
			} else if other != s {
				d.errs.add(s, diag.DoubleTag, "an index has one image for each platform", "the shared tag %s has two images for %s, the other is %s (%s)",
					tag, name, other.Name, other.Origin)
			}
		}
	}
}

// reference is a tag in full.
func (d *doubles) reference(s *Spec, tag string) (string, bool) {
	ref, err := registry.ParseReference(tag)
	switch {
	case err != nil:
		d.errs.add(s, diag.InvalidImage, "write registry/repository:tag", "the tag %q is no reference of an image", tag)
		return "", false
	case ref.Digest != "":
		d.errs.add(s, diag.InvalidImage, "leave the digest out: it is known when the image is built", "the tag %q has a digest", tag)
		return "", false
	}
	return ref.String(), true
}

// bad says that a shared tag cannot be looked up.
func (d *doubles) bad(tag string) bool {
	ref, err := registry.ParseReference(tag)
	return err != nil || ref.Digest != "" || d.tags[ref.String()] != nil
}

// findings are what is wrong with images.
type findings []error

// maxFindings is how much is told of one list. More has one cause.
const maxFindings = 1000

func (f *findings) add(s *Spec, code diag.Code, hint, format string, args ...any) {
	if len(*f) < maxFindings {
		*f = append(*f, diag.New(code, s.Place()+": "+fmt.Sprintf(format, args...), hint))
	}
}

// Place says where the list has an image, and what it is called.
func (s *Spec) Place() string {
	if s.Name == "" {
		return s.Origin
	}
	return s.Origin + ": image " + s.Name
}
