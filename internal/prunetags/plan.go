package prunetags

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// parallel is how many questions are asked at once.
const parallel = 8

// maxConfig is the largest image config that is read for its date, in bytes.
const maxConfig = 8 << 20

// state is what is in the repository.
type state struct {
	tags     map[string]registry.Descriptor // all of them
	children map[cas.Digest][]cas.Digest    // of the indexes
	created  map[cas.Digest]time.Time       // of what keys name
	note     note
}

// Plan looks at a repository and decides. It writes nothing. Errors are those of the registry.
func Plan(ctx context.Context, repo Repository, o Options) (*Result, error) {
	s, err := look(ctx, repo)
	if err != nil {
		return nil, err
	}
	r := &Result{Repository: o.Name.String(), Tags: []*Tag{}, options: o, state: s}
	for _, name := range slices.Sorted(maps.Keys(s.tags)) {
		switch {
		case isKey(name):
			r.Tags = append(r.Tags, s.tag(name, o))
		case !isOwn(name):
			r.Others++
		}
	}
	for _, t := range r.Tags {
		if t.Seen == nil {
			r.Noted++
		}
	}
	keepLast(r.Tags, o.KeepLast)
	return r, nil
}

// look asks what all tags name.
func look(ctx context.Context, repo Repository) (*state, error) {
	names, err := repo.Tags(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{tags: map[string]registry.Descriptor{}, children: map[cas.Digest][]cas.Digest{}, created: map[cas.Digest]time.Time{}}
	if s.note, err = readNote(ctx, repo); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, name := range names {
		g.Go(func() error {
			d, err := repo.HeadManifest(gctx, name)
			if errors.Is(err, registry.ErrNotFound) {
				return nil // deleted a moment ago
			}
			mu.Lock()
			defer mu.Unlock()
			s.tags[name] = d
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return s, s.lookInside(ctx, repo)
}

// lookInside reads the indexes, and the dates of what keys name.
func (s *state) lookInside(ctx context.Context, repo Repository) error {
	dated := map[cas.Digest]bool{}
	for name, d := range s.tags {
		if !listTag.MatchString(name) && name != NoteTag {
			dated[d.Digest] = dated[d.Digest] || isKey(name)
		}
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	seen := map[cas.Digest]bool{}
	for _, d := range s.tags {
		withDate, ours := dated[d.Digest]
		isIndex := d.MediaType == registry.OCIIndex || d.MediaType == registry.DockerIndex
		if !ours || seen[d.Digest] || !withDate && !isIndex {
			continue
		}
		seen[d.Digest] = true
		g.Go(func() error {
			children, created, err := inspect(ctx, repo, string(d.Digest), withDate)
			mu.Lock()
			defer mu.Unlock()
			s.children[d.Digest] = children
			if !created.IsZero() {
				s.created[d.Digest] = created
			}
			return err
		})
	}
	return g.Wait()
}

// inspect reads a manifest: the children of an index, and with withDate when the image, or the first of an index, says that it was created.
// What is no image has no date.
func inspect(ctx context.Context, repo Repository, ref string, withDate bool) (children []cas.Digest, created time.Time, err error) {
	m, err := repo.Manifest(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, created, nil
	}
	if err != nil {
		return nil, created, err
	}
	var doc struct {
		Config struct {
			Digest cas.Digest `json:"digest"`
			Size   int64      `json:"size"`
		} `json:"config"`
		Manifests []struct {
			Digest cas.Digest `json:"digest"`
		} `json:"manifests"`
	}
	if json.Unmarshal(m.Body, &doc) != nil {
		return nil, created, nil
	}
	for _, c := range doc.Manifests {
		children = append(children, c.Digest)
	}
	if !withDate {
		return children, created, nil
	}
	if len(children) > 0 {
		_, created, err = inspectChild(ctx, repo, children[0])
		return children, created, err
	}
	if doc.Config.Size <= 0 || doc.Config.Size > maxConfig {
		return nil, created, nil
	}
	config, err := repo.ReadBlob(ctx, doc.Config.Digest, doc.Config.Size)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, created, nil
	}
	var said struct {
		Created time.Time `json:"created"`
	}
	if err == nil && json.Unmarshal(config, &said) == nil {
		created = said.Created
	}
	return nil, created, err
}

// inspectChild does not go deeper.
func inspectChild(ctx context.Context, repo Repository, child cas.Digest) ([]cas.Digest, time.Time, error) {
	d, err := repo.HeadManifest(ctx, string(child))
	if errors.Is(err, registry.ErrNotFound) || err == nil && d.MediaType != registry.OCIManifest && d.MediaType != registry.DockerManifest {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return inspect(ctx, repo, string(child), true)
}

// tag decides about one key.
func (s *state) tag(name string, o Options) *Tag {
	d := s.tags[name].Digest
	t := &Tag{Name: name, Digest: d}
	if c, ok := s.created[d]; ok {
		t.Created = &c
	}
	if seen, ok := s.note.since(name, d, o.Now); ok {
		t.Seen = &seen
	}
	if by := s.user(d); by != "" {
		t.Why = by
		return t
	}
	limit := o.Now.Add(-o.Keep)
	day := func(at *time.Time) string { return at.UTC().Format(time.DateOnly) }
	switch {
	case t.Created != nil && t.Created.After(limit):
		t.Why = "its image was created on " + day(t.Created) + ", so it is younger"
	case t.Seen != nil && !t.Seen.After(limit):
		t.Remove, t.Why = true, "unchanged since "+day(t.Seen)
	case o.ByCreated && t.Created != nil:
		t.Remove, t.Why = true, "its image was created on "+day(t.Created)
	case o.ByCreated:
		t.Why = "its image does not say when it was created"
	case t.Seen != nil:
		t.Why = "unchanged since " + day(t.Seen) + ", when it was first seen; how old it is otherwise is not known"
	default:
		t.Why = "never seen before, so its age is not known"
	}
	return t
}

// user says which tag of a person names an image, itself or in an index.
func (s *state) user(d cas.Digest) string {
	var direct, inside []string
	for name, at := range s.tags {
		if isKey(name) || isOwn(name) {
			continue
		}
		if at.Digest == d {
			direct = append(direct, name)
		}
		if slices.Contains(s.children[at.Digest], d) {
			inside = append(inside, name)
		}
	}
	slices.Sort(direct)
	slices.Sort(inside)
	switch {
	case len(direct) > 0:
		return "its image is in use: " + list(direct)
	case len(inside) > 0:
		return "its image is part of one in use: " + list(inside)
	}
	return ""
}

func list(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

// keepLast takes the newest tags off the list.
func keepLast(tags []*Tag, n int) {
	if n <= 0 {
		return
	}
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	sorted := slices.Clone(tags)
	slices.SortStableFunc(sorted, func(a, b *Tag) int {
		return cmp.Or(at(b.Created).Compare(at(a.Created)), at(b.Seen).Compare(at(a.Seen)), strings.Compare(a.Name, b.Name))
	})
	for _, t := range sorted[:min(n, len(sorted))] {
		if t.Remove {
			t.Remove, t.Why = false, fmt.Sprintf("one of the newest %d", n)
		}
	}
}
