package graphstate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// Request is an image that was built and is to be stamped.
type Request struct {
	// Image is the repository that has it, and its tag src-<hash>.
	Image registry.Name
	// Digest is that of its manifest, or of its index when it is for several platforms.
	Digest cas.Digest
	// Hash is its source hash as the plan had it. Planned, where it is known, says what was hashed, for the message when it changed.
	Hash    cas.Digest
	Planned *Record
	// Parents are all images that it reads, each once for each platform.
	Parents []Parent
	// Builder says what the builder used.
	Builder Builder
	// Rehash computes the record anew, from the files as they are now and the parents' digests of now.
	Rehash func(ctx context.Context) (*Record, error)
}

// Parent is an image that another one reads.
type Parent struct {
	// Name is the reference in full, as the Dockerfile says it; of a parent that is a named context, target:NAME, its first tag.
	Name string
	// Platform is os/architecture/variant of the image that is read. Asked is what the build asks for, where that is another one: a parent that
	// is for one platform alone is read whatever is asked for.
	Platform, Asked string
	// Tag is what is asked for the digest that counts: of a parent in the graph its tag src-<hash>, or its first tag where it has none of
	// these; empty is Name.
	Tag string
	// Pin is what the builder was given in its place, repository@sha256:…; empty is Name itself.
	Pin string
}

// Stamp attaches the record to the image and then writes its tag src-<hash>, which it returns in full. Both only if the image is in the
// registry and for the platforms of the record, what it was built from is unchanged, and the parents that the builder used are those that
// their tags answer now. Nothing is written when one of these is not proved, and no tag when the record could not be. Refusals have the
// codes GANTRY6031 to 6039.
func (s *State) Stamp(ctx context.Context, q *Request) (string, error) {
	if _, err := cas.ParseDigest(string(q.Hash)); err != nil {
		return "", diag.Wrap(diag.StampUnknown, err, fmt.Sprintf("the source hash of %s is not known", q.Image), "see the reasons that the plan gives")
	}
	builder, err := q.Builder.read()
	if err != nil {
		return "", err
	}
	repo := s.open(q.Image, registry.ModePush)
	made, err := s.built(ctx, repo, q)
	if err != nil {
		return "", err
	}
	if err := made.named(ctx, repo, builder); err != nil {
		return "", err
	}
	now, err := s.compare(ctx, q, builder)
	if err != nil {
		return "", err
	}
	record, err := q.rehash(ctx, now)
	if err != nil {
		return "", err
	}
	if err := made.platforms(ctx, repo, record); err != nil {
		return "", err
	}
	if err := s.Write(ctx, q.Image, made.manifest.Descriptor(), record); err != nil {
		return "", err
	}
	tag := sourcehash.Tag(q.Hash)
	if err := repo.PushManifest(ctx, tag, made.manifest.MediaType, made.manifest.Body); err != nil {
		return "", err
	}
	return q.Image.String() + ":" + tag, nil
}

// Stamped is what the tag of a request's hash names now: empty when it is not there, may not be seen, or is not for the platforms of
// Planned. An outage is an error.
func (s *State) Stamped(ctx context.Context, q *Request) (cas.Digest, error) {
	repo := s.open(q.Image, registry.ModePush)
	tag := registry.Reference{Name: q.Image, Tag: sourcehash.Tag(q.Hash)}
	d, err := repo.HeadManifest(ctx, tag.Tag)
	var made *built
	if err == nil {
		made, err = s.built(ctx, repo, &Request{Image: q.Image, Digest: d.Digest})
	}
	if err == nil {
		err = made.platforms(ctx, repo, q.Planned)
	}
	var miss *cachekey.Miss
	switch code := diag.CodeOf(err); {
	case err == nil:
		return d.Digest, nil
	case code == diag.StampPlatform, code == diag.StampAbsent, errors.As(cachekey.AsMiss(err, tag.String()), &miss):
		return "", nil
	}
	return "", err
}

// rehash computes the record anew and compares its hash with the plan's, and its parents with those of now.
func (q *Request) rehash(ctx context.Context, now map[key]cas.Digest) (*Record, error) {
	r, err := q.Rehash(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, diag.Wrap(diag.StampUnknown, err, fmt.Sprintf("the source hash of %s is not known now", q.Image), "see the reasons that a plan gives")
	}
	if r.SourceHash != q.Hash {
		what := fmt.Sprintf("what %s is built from changed since the plan: %s", q.Image, q.changes(r))
		return nil, diag.New(diag.StampChanged, what, "plan and build again")
	}
	seen := map[key]bool{}
	for _, v := range r.Variants {
		for _, f := range v.FromImages {
			k := key{f.Name, f.Platform}
			digest, ok := now[k]
			switch seen[k] = true; {
			case !ok:
				return nil, diag.New(diag.StampParentsDiffer, fmt.Sprintf("%s reads %s for %s, which was not compared", q.Image, f.Name, f.Platform),
					"plan and build again")
			case digest != f.Digest:
				return nil, diag.New(diag.StampParentMoved, fmt.Sprintf("%s was hashed with %s at %s, and the parent's tag answers %s now",
					q.Image, f.Name, f.Digest, digest), "plan again")
			}
		}
	}
	for k := range now {
		if !seen[k] {
			what := fmt.Sprintf("%s is no longer built from %s for %s", q.Image, k.name, k.platform)
			return nil, diag.New(diag.StampParentsDiffer, what, "plan and build again")
		}
	}
	return r, nil
}

// maxChanges bounds what a message lists.
const maxChanges = 5

// changes says what is different in two records.
func (q *Request) changes(r *Record) string {
	var list []string
	for _, c := range Changes(q.Planned, r) {
		list = append(list, strings.TrimSpace(string(c.Kind)+" "+c.Name))
	}
	switch {
	case len(list) == 0:
		return fmt.Sprintf("its hash was %s and is %s", q.Hash, r.SourceHash)
	case len(list) > maxChanges:
		list = append(list[:maxChanges], fmt.Sprintf("%d more", len(list)-maxChanges))
	}
	return strings.Join(list, ", ")
}

// Changes says what came, went or has another value between two records: each change once, though it be in several platforms. Either may
// be nil or have no lines: nothing is known then.
func Changes(was, now *Record) []sourcehash.Change {
	if was == nil || now == nil {
		return nil
	}
	var list []sourcehash.Change
	seen := map[sourcehash.Change]bool{}
	for _, n := range now.Variants {
		for _, w := range was.Variants {
			if w.Platform != n.Platform || len(w.Lines) == 0 || len(n.Lines) == 0 {
				continue
			}
			for _, c := range sourcehash.Diff(w.Lines, n.Lines) {
				if !seen[c] {
					list, seen[c] = append(list, c), true
				}
			}
		}
	}
	return list
}
