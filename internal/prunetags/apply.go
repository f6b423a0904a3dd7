package prunetags

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/provenance"
	"github.com/gantry-build/gantry/internal/registry"
)

// Apply does what is planned, and notes what is left. A publish at the same time is seen: each tag is asked for again just before it is
// removed, and all tags before images are. Between that and the removal there is a moment left, so a repository is better pruned when
// nothing is published to it. Fails with GANTRY5013 when the registry does not delete.
func (r *Result) Apply(ctx context.Context, repo Repository) error {
	refused, err := r.removeTags(ctx, repo)
	if err == nil && r.options.DeleteManifests {
		refused, err = r.removeImages(ctx, repo)
	}
	if err != nil {
		return err
	}
	if err := r.writeNote(ctx, repo); err != nil || refused == nil {
		return err
	}
	r.Refused = refused.Error()
	hint := "allow deletes in the registry's configuration (distribution: storage.delete.enabled), or use its own retention rules for the tags content-* and src-*"
	if !r.options.DeleteManifests {
		hint = "it may delete whole images, also for those who name them by digest: --delete-manifests; else " + hint
	}
	return diag.Wrap(diag.DeleteRefused, refused, "the registry deletes no tags", hint)
}

// removeTags deletes one tag after the other. refused is what the registry says when it deletes none.
func (r *Result) removeTags(ctx context.Context, repo Repository) (refused, err error) {
	checked := false
	for _, t := range r.Tags {
		if !t.Remove {
			continue
		}
		same, err := r.same(ctx, repo, t)
		if err != nil {
			return nil, err
		}
		if !same {
			continue
		}
		if err := repo.DeleteManifest(ctx, t.Name); errors.Is(err, registry.ErrCannotDelete) {
			return reason(err), nil
		} else if err != nil {
			return nil, err
		}
		if !checked { // some registries answer as if
			checked = true
			if after, err := repo.HeadManifest(ctx, t.Name); err == nil && after.Digest == t.Digest {
				return fmt.Errorf("it says that %s is deleted, and still has it", t.Name), nil
			}
		}
		t.Removed = true
		if err := r.dropRecords(ctx, repo, t, false); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// reason is what the registry answered.
func reason(err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) && coded.Err != nil {
		return coded.Err
	}
	return err
}

// same says whether a tag still names what it did.
func (r *Result) same(ctx context.Context, repo Repository, t *Tag) (bool, error) {
	now, err := repo.HeadManifest(ctx, t.Name)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		t.Removed = true
		return false, nil
	case err != nil:
		return false, err
	case now.Digest != t.Digest:
		t.Remove, t.Why = false, "it was moved while this ran"
	}
	return t.Remove, nil
}

// removeImages deletes the images that nothing names any more but tags that go as well.
func (r *Result) removeImages(ctx context.Context, repo Repository) (refused, err error) {
	fresh, err := look(ctx, repo)
	if err != nil {
		return nil, err
	}
	done := map[cas.Digest]bool{}
	for _, t := range r.Tags {
		if !t.Remove || done[t.Digest] {
			continue
		}
		done[t.Digest] = true
		if by := r.named(fresh, t.Digest); by != "" {
			if !t.Removed {
				t.Remove, t.Why = false, "the registry deletes no tags, and the image has another name: "+by
			}
			continue
		}
		if err := r.removeImage(ctx, repo, t, fresh); errors.Is(err, registry.ErrCannotDelete) {
			return reason(err), nil
		} else if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// removeImage deletes an image with all its tags, and with an index the images in it that are in no other.
func (r *Result) removeImage(ctx context.Context, repo Repository, t *Tag, fresh *state) error {
	if err := r.dropRecords(ctx, repo, t, true); err != nil {
		return err
	}
	if err := repo.DeleteManifest(ctx, string(t.Digest)); err != nil {
		return err
	}
	r.Manifests++
	for _, other := range r.Tags {
		if other.Digest == t.Digest {
			other.Removed = true
		}
	}
	for _, child := range r.state.children[t.Digest] {
		if r.named(fresh, child) != "" || inOther(fresh, child, t.Digest) {
			continue
		}
		if err := repo.DeleteManifest(ctx, string(child)); err != nil {
			return err
		}
		r.Manifests++
	}
	return nil
}

// named is a tag that stays and names an image, itself or in an index.
func (r *Result) named(s *state, d cas.Digest) string {
	for name, at := range s.tags {
		doomed := slices.ContainsFunc(r.Tags, func(t *Tag) bool { return t.Name == name && t.Remove && t.Digest == at.Digest })
		if !doomed && name != NoteTag && (at.Digest == d || slices.Contains(s.children[at.Digest], d)) {
			return name
		}
	}
	return ""
}

// inOther says whether another index has a child.
func inOther(s *state, child, index cas.Digest) bool {
	for d, children := range s.children {
		if d != index && slices.Contains(children, child) {
			return true
		}
	}
	return false
}

// dropRecords deletes the records of a key, or with all every record that Gantry has beside the image. Where manifests cannot be deleted
// they stay: they say nothing without the key.
func (r *Result) dropRecords(ctx context.Context, repo Repository, t *Tag, all bool) error {
	types := []string{cachekey.RecordType}
	if all {
		types = append(types, provenance.ArtifactType)
	}
	var gone []cas.Digest
	for _, kind := range types {
		records, err := repo.Referrers(ctx, t.Digest, kind)
		if err != nil {
			return err
		}
		for _, rec := range records {
			if !all && recordTag(ctx, repo, rec) != t.Name {
				continue
			}
			err := repo.DeleteManifest(ctx, string(rec.Digest))
			if errors.Is(err, registry.ErrCannotDelete) {
				return nil
			}
			if err != nil {
				return err
			}
			gone = append(gone, rec.Digest)
		}
	}
	r.Records += len(gone)
	if len(gone) == 0 {
		return nil
	}
	return repo.DropReferrers(ctx, t.Digest, gone)
}

// recordTag is the key's tag that a record is for; registries need not list annotations.
func recordTag(ctx context.Context, repo Repository, rec registry.Referrer) string {
	if tag := rec.Annotations[cachekey.AnnotationTag]; tag != "" {
		return tag
	}
	m, err := repo.Manifest(ctx, string(rec.Digest))
	if err != nil {
		return ""
	}
	var doc struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(m.Body, &doc) != nil {
		return ""
	}
	return doc.Annotations[cachekey.AnnotationTag]
}
