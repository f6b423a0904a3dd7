package graphstate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// parallel is the number of images that are asked for side by side; below it each registry has a limit of its own.
const parallel = 64

// Image is a published image and its record.
type Image struct {
	// Reference is in full; Digest is what it names.
	Reference string     `json:"reference"`
	Digest    cas.Digest `json:"digest"`
	*Record
}

// Parents returns what an image was built from. An image without a record is GANTRY6041.
func (s *State) Parents(ctx context.Context, reference string) (*Image, error) {
	c := s.newChecker()
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	d, err := c.top(ctx, ref)
	if err != nil {
		return nil, err
	}
	r, err := c.record(ctx, ref, d)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, diag.New(diag.NoRecord, fmt.Sprintf("%s, which is %s, has no record of what it was built from", ref, d.Digest),
			"build and stamp it with gantry graph")
	}
	return &Image{Reference: ref.String(), Digest: d.Digest, Record: r}, nil
}

// Last returns the record of what a reference names now; nil when it names nothing or has none that can be used. It is for saying what
// changed since, and for nothing else. An outage is an error.
func (s *State) Last(ctx context.Context, reference string) (*Record, error) {
	found, err := s.Parents(ctx, reference)
	var miss *cachekey.Miss
	switch {
	case err == nil:
		return found.Record, nil
	case diag.CodeOf(err) == diag.NoRecord, diag.CodeOf(err) == diag.InvalidRecord, errors.As(cachekey.AsMiss(err, reference), &miss):
		return nil, nil
	}
	return nil, err
}

// Verdict is what is known of an image's bases.
type Verdict string

// Verdicts.
const (
	Current Verdict = "current"
	// Stale: an image that it was built from has moved, or rests on one that has.
	Stale Verdict = "stale"
	// Unknown: it has no record, or a base may not be seen. It is not proved to be current.
	Unknown Verdict = "unknown"
)

// Answer says whether an image rests on a base that has moved.
type Answer struct {
	Reference string     `json:"reference"`
	Digest    cas.Digest `json:"digest,omitempty"`
	Verdict   Verdict    `json:"verdict"`
	// Moved are the bases that have, by name, platform and stage.
	Moved []Moved `json:"moved,omitempty"`
	// Reasons say why the verdict is unknown.
	Reasons []string `json:"reasons,omitempty"`
}

// Moved is a base that is no longer what an image was built from.
type Moved struct {
	FromImage
	// Now is what its name answers for the platform; empty when it is no longer there.
	Now cas.Digest `json:"now,omitempty"`
	// Via are the images between: the image was built from the first of them, that from the second, and so on.
	Via []string `json:"via,omitempty"`
}

// Stale says of published images which of them rest on a base that has moved, by their records and the registry alone. A base's record is
// followed to the bases below it. A base that was named by digest does not move. platform limits the question to one of an index's
// platforms; empty is all. Answers are in the order of the references; an outage is an error, as no answer is better than a wrong one. Each
// tag, index and record is asked for once, however many images rest on it. told hears how many references are answered, of how many, by several
// goroutines at once; nil is nobody.
func (s *State) Stale(ctx context.Context, references []string, platform string, told func(done, total int)) ([]Answer, error) {
	if platform != "" {
		if err := checkPlatform(platform); err != nil {
			return nil, diag.Wrap(diag.BadUsage, err, "the platform", "write os/architecture or os/architecture/variant")
		}
	}
	c := s.newChecker()
	c.short = true
	var done atomic.Int64
	answers := make([]Answer, len(references))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, reference := range references {
		g.Go(func() error {
			ref, err := registry.ParseReference(reference)
			if err != nil {
				return err
			}
			found, err := c.follow(ctx, step{ref: ref, platform: platform})
			if err != nil {
				return err
			}
			answers[i] = found.answer(ref)
			if n := int(done.Add(1)); told != nil {
				told(n, len(references))
			}
			return nil
		})
	}
	return answers, g.Wait()
}

// checker looks at each image once, however many rest on it.
type checker struct {
	*State
	*resolver

	// short leaves out the lines of records, which are most of them.
	short bool

	mu      sync.Mutex
	records map[registry.Reference]func() (*Record, error)
}

func (s *State) newChecker() *checker {
	return &checker{State: s, resolver: s.newResolver(registry.Name{}), records: map[registry.Reference]func() (*Record, error){}}
}

// record reads the record of what d is: its own, or those of an index's images, which were built apart from each other, as one.
func (c *checker) record(ctx context.Context, ref registry.Reference, d registry.Descriptor) (*Record, error) {
	key := registry.Reference{Name: ref.Name, Digest: d.Digest, Tag: string(hashOf(ref.Tag))}
	c.mu.Lock()
	read, ok := c.records[key]
	if !ok {
		read = sync.OnceValues(func() (*Record, error) {
			r, err := c.read(ctx, ref, d)
			if r != nil && c.short {
				for i := range r.Variants {
					r.Variants[i].Lines = nil
				}
			}
			return r, err
		})
		c.records[key] = read
	}
	c.mu.Unlock()
	return read()
}

func (c *checker) read(ctx context.Context, ref registry.Reference, d registry.Descriptor) (*Record, error) {
	r, err := c.Read(ctx, ref.Name, d.Digest, hashOf(ref.Tag))
	if r == nil && err == nil && hashOf(ref.Tag) != "" {
		r, err = c.Read(ctx, ref.Name, d.Digest, "")
	}
	if r != nil || err != nil || !image.IsIndex(d.MediaType) {
		return r, err
	}
	return c.joined(ctx, ref.Name, d)
}

// hashOf is the source hash in a tag src-<hash>; empty in any other. Of several records of one image, such a tag asks for its own.
func hashOf(tag string) cas.Digest {
	hex, _ := strings.CutPrefix(tag, sourcehash.TagPrefix)
	hash, err := cas.ParseDigest("sha256:" + hex)
	if err != nil || hex == tag {
		return ""
	}
	return hash
}

// joined makes one record of those of an index's images. One image without makes it none.
func (c *checker) joined(ctx context.Context, name registry.Name, d registry.Descriptor) (*Record, error) {
	x, err := c.index(ctx, name, d)
	if err != nil {
		return nil, err
	}
	var all *Record
	for _, m := range x.Manifests {
		if !image.IsManifest(m.MediaType) || m.Platform == nil || m.Platform.OS == "unknown" { // attestations have no record
			continue
		}
		r, err := c.Read(ctx, name, m.Digest, "")
		if r == nil || err != nil {
			return nil, err
		}
		if all == nil {
			all = NewRecord(r.Image, r.SourceHash, nil)
		}
		if all.SourceHash != r.SourceHash {
			all.SourceHash = ""
		}
		all.Variants = append(all.Variants, r.Variants...)
	}
	return all, nil
}

// finding is what was found of an image.
type finding struct {
	digest  cas.Digest
	moved   []Moved
	unknown []string
}

func (f *finding) answer(ref registry.Reference) Answer {
	a := Answer{Reference: ref.String(), Digest: f.digest, Verdict: Current, Moved: f.moved, Reasons: f.unknown}
	switch {
	case len(f.moved) > 0:
		a.Verdict = Stale
	case len(f.unknown) > 0:
		a.Verdict = Unknown
	}
	return a
}

// unknowable makes a reason of an error that is an answer: not there, or not for this account. An outage stays an error.
func (f *finding) unknowable(err error, what string) error {
	var miss *cachekey.Miss
	if err = cachekey.AsMiss(err, what); errors.As(err, &miss) {
		f.unknown = append(f.unknown, miss.Reason)
		return nil
	}
	return err
}

// step is an image whose record is to be looked at, for one platform or for all. via are the images above it, the nearest to the root first.
type step struct {
	ref      registry.Reference
	platform string
	via      []string
}

func (s step) key() string { return s.ref.String() + " " + s.platform }

// follow looks at an image and at all that it rests on, each once, the nearest first: records may go round.
func (c *checker) follow(ctx context.Context, root step) (*finding, error) {
	f := &finding{}
	seen := map[string]bool{root.key(): true}
	for queue := []step{root}; len(queue) > 0; queue = queue[1:] {
		lower, err := c.look(ctx, f, queue[0])
		if err != nil {
			return nil, err
		}
		for _, next := range lower {
			if !seen[next.key()] {
				seen[next.key()] = true
				queue = append(queue, next)
			}
		}
	}
	return f, nil
}

// look adds what an image's own record tells, and returns the bases that have not moved, to be looked at next.
func (c *checker) look(ctx context.Context, f *finding, at step) ([]step, error) {
	d, err := c.top(ctx, at.ref)
	if err != nil {
		return nil, f.unknowable(err, at.ref.String())
	}
	if len(at.via) == 0 {
		f.digest = d.Digest
	}
	r, err := c.record(ctx, at.ref, d)
	switch {
	case err != nil && diag.CodeOf(err) == diag.InvalidRecord:
		f.unknown = append(f.unknown, err.Error())
		return nil, nil
	case err != nil:
		return nil, f.unknowable(err, "the record of "+at.ref.String())
	case r == nil && len(at.via) == 0:
		f.unknown = append(f.unknown, at.ref.String()+" has no record of what it was built from")
		return nil, nil
	case r == nil:
		return nil, nil // so are bases outside a graph
	}
	variants := of(r, at.platform)
	if len(variants) == 0 {
		if len(at.via) == 0 {
			f.unknown = append(f.unknown, fmt.Sprintf("the record of %s says nothing of %s", at.ref, at.platform))
			return nil, nil
		}
		variants = r.Variants // a builder took the image of another platform that runs on this one
	}
	var lower []step
	for _, v := range variants {
		more, err := c.bases(ctx, f, v, at.via)
		if err != nil {
			return nil, err
		}
		lower = append(lower, more...)
	}
	return lower, nil
}

// of are a record's variants for a platform; empty is all.
func of(r *Record, platform string) []Variant {
	var list []Variant
	for _, v := range r.Variants {
		if platform == "" || parsePlatform(platform) == parsePlatform(v.Platform) {
			list = append(list, v)
		}
	}
	return list
}

// bases compares what a variant was built from with what is there now.
func (c *checker) bases(ctx context.Context, f *finding, v Variant, via []string) ([]step, error) {
	var lower []step
	for _, from := range v.FromImages {
		ref, err := registry.ParseReference(from.Name)
		if err != nil {
			return nil, err
		}
		if ref.Digest != "" {
			continue
		}
		now, err := c.digest(ctx, ref, parsePlatform(from.Platform))
		switch {
		case errors.Is(err, registry.ErrNotFound), errors.Is(err, errNoPlatform):
			now = ""
		case err != nil:
			if err := f.unknowable(err, from.Name); err != nil {
				return nil, err
			}
			continue
		}
		if now != from.Digest {
			f.moved = append(f.moved, Moved{FromImage: from, Now: now, Via: via})
			continue
		}
		lower = append(lower, step{ref: ref, platform: from.Platform, via: append(slices.Clone(via), from.Name)})
	}
	return lower, nil
}
