package graphstate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// key is a parent for one platform.
type key struct{ name, platform string }

// comparison is of what a builder used with what the parents' tags answer now.
type comparison struct {
	*resolver
	image registry.Name
	*claims
	// matched are those of claims.used that are a parent.
	matched []bool
}

// compare returns what the parents' tags answer now: what the builder used.
func (s *State) compare(ctx context.Context, q *Request, c *claims) (map[key]cas.Digest, error) {
	m := &comparison{resolver: s.newResolver(q.Image), image: q.Image, claims: c, matched: make([]bool, len(c.used))}
	now := map[key]cas.Digest{}
	for i := range q.Parents {
		p := &q.Parents[i]
		ref, err := parseFull(p.Name)
		if err == nil {
			err = checkPlatform(p.Platform)
		}
		if err != nil {
			return nil, diag.Wrap(diag.Internal, err, "the parent "+p.Name, "please report it")
		}
		digest, err := m.now(ctx, p)
		if err != nil {
			return nil, err
		}
		if err := m.parent(ctx, p, ref, digest); err != nil {
			return nil, err
		}
		now[key{p.Name, p.Platform}] = digest
	}
	for i, u := range c.used {
		if !m.matched[i] {
			return nil, diag.New(diag.StampParentsDiffer, fmt.Sprintf("the builder of %s read %s, which the Dockerfile does not reach by the plan",
				q.Image, u.Reference), "plan and build again; if it stays, please report it with the Dockerfile")
		}
	}
	return now, nil
}

// now is the digest that the parent's tag answers.
func (m *comparison) now(ctx context.Context, p *Parent) (cas.Digest, error) {
	asked := p.Name
	if p.Tag != "" {
		asked = p.Tag
	}
	ref, err := registry.ParseReference(asked)
	if err != nil {
		return "", err
	}
	digest, err := m.digest(ctx, ref, parsePlatform(p.Platform))
	switch {
	case errors.Is(err, registry.ErrNotFound) && p.Tag != "":
		what := fmt.Sprintf("%s was built before its parent %s, which is not stamped", m.image, p.Name)
		return "", diag.Wrap(diag.StampParentMissing, err, what, "build and stamp the parent first, then build this image again")
	case errors.Is(err, registry.ErrNotFound), errors.Is(err, errNoPlatform):
		what := fmt.Sprintf("the parent %s of %s is not there for %s", p.Name, m.image, p.Platform)
		return "", diag.Wrap(diag.StampParentMissing, err, what, "check the parent's name, and build this image again")
	}
	return digest, err
}

// parent finds what the builder used for a parent, and proves that its digest for the platform is the one of now.
func (m *comparison) parent(ctx context.Context, p *Parent, ref registry.Reference, now cas.Digest) error {
	candidates, marks := m.candidates(p, ref)
	if !m.known {
		pin, err := p.pin(m, ref)
		if err != nil {
			return err
		}
		candidates = []registry.Reference{pin}
	}
	found := false
	var others []string
	for i, candidate := range candidates {
		digest, err := m.used(ctx, p, candidate)
		switch {
		case err != nil:
			return err
		case digest != now:
			others = append(others, string(digest))
			continue
		}
		found = true
		if m.known {
			m.matched[marks[i]] = true
		}
	}
	switch {
	case found:
		return nil
	case len(others) == 0:
		return diag.New(diag.StampParentsDiffer, fmt.Sprintf("the builder of %s did not read %s for %s, which the Dockerfile reaches",
			m.image, p.Name, p.Platform), "plan and build again")
	}
	return diag.New(diag.StampParentMoved, fmt.Sprintf("%s was built from %s at %s, and the parent's tag answers %s now",
		m.image, p.Name, strings.Join(others, " and "), now), "build the image again")
}

// candidates are the images of the builder's metadata that may be a parent, and where they are in claims.used. A pin is of the repository that
// has the source tag, where the Dockerfile may name a tag in another one.
func (m *comparison) candidates(p *Parent, ref registry.Reference) (list []registry.Reference, marks []int) {
	names := []registry.Reference{ref}
	if tag, err := registry.ParseReference(p.Tag); p.Tag != "" && err == nil {
		names = append(names, tag)
	}
	for i := range m.claims.used {
		u := &m.claims.used[i]
		if slices.ContainsFunc(names, func(n registry.Reference) bool { return u.fits(n, p.Platform) || p.Asked != "" && u.fits(n, p.Asked) }) {
			list, marks = append(list, u.Reference), append(marks, i)
		}
	}
	return list, marks
}

// pin is the reference by digest that the builder was given, or that the Dockerfile has.
func (p *Parent) pin(m *comparison, ref registry.Reference) (registry.Reference, error) {
	switch {
	case p.Pin == "" && ref.Digest != "":
		return ref, nil
	case p.Pin == "" && m.file:
		return ref, diag.New(diag.InvalidBuilderFile, "the builder's metadata file does not say which parents were used: it has no "+provenanceKey,
			"build with BUILDX_METADATA_PROVENANCE=max in the environment, or give the pins of the plan that the builder was given")
	case p.Pin == "":
		what := fmt.Sprintf("nothing says which digest of %s for %s the builder of %s used", p.Name, p.Platform, m.image)
		return ref, diag.New(diag.InvalidBuilderFile, what, "give the builder's metadata file, or the pins of the plan that the builder was given")
	}
	pin, err := registry.ParseReference(p.Pin)
	if err == nil && pin.Digest == "" {
		err = errors.New("it has no digest")
	}
	if err == nil && pin.Name != ref.Name && !p.isTagged(pin.Name) {
		err = errors.New("it is in another repository")
	}
	if err != nil {
		return ref, diag.Wrap(diag.InvalidBuilderFile, err, fmt.Sprintf("the pin %q of %s", p.Pin, p.Name), "use the pins as the plan has them")
	}
	return pin, nil
}

// isTagged says whether Tag is in a repository.
func (p *Parent) isTagged(name registry.Name) bool {
	ref, err := registry.ParseReference(p.Tag)
	return p.Tag != "" && err == nil && ref.Name == name
}

// used is the digest of the platform's image behind what a builder used. What is not there any more is no longer what a tag answers.
func (m *comparison) used(ctx context.Context, p *Parent, ref registry.Reference) (cas.Digest, error) {
	digest, err := m.digest(ctx, registry.Reference{Name: ref.Name, Digest: ref.Digest}, parsePlatform(p.Platform))
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, errNoPlatform) {
		return ref.Digest, nil
	}
	return digest, err
}

// fits says whether what a builder read may be a parent: BuildKit names what it was given by digest without a tag.
func (u *used) fits(ref registry.Reference, platform string) bool {
	if u.Name != ref.Name {
		return false
	}
	if u.platform != nil {
		p := parsePlatform(platform)
		p.OSVersion = ""
		if *u.platform != p {
			return false
		}
	}
	return u.Tag == "" || u.Tag == ref.Tag || ref.Digest == u.Digest
}
