// Package oracle asks the destination what can be skipped, and says why.
//
// The rule of all its answers: an image counts as present only on a right answer (200 with the right digest and a manifest's media
// type). 404 is absent. What the account may not see (401, 403), and an answer that says nothing (a web page, another digest), is
// absent for this run, with a message: the write that follows decides. An outage is an error: it is never read as "not there".
//
// A registry can have a manifest and have lost its blobs (garbage collection, a descriptor in its cache); MissingBlobs looks deeper.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository is the destination.
type Repository interface {
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	ProbeBlob(ctx context.Context, digest cas.Digest, size int64) (bool, error)
}

// Oracle asks one repository. It is safe for concurrent use.
type Oracle struct {
	Repository Repository
	Name       registry.Name // for messages
	Log        *slog.Logger
	Parallel   int // questions at once, at least 1
	// Answers are what the repository said in this build of tags; those are not asked for again. An empty descriptor says that the tag
	// names nothing.
	Answers map[string]registry.Descriptor
	// Changed says that no tag is likely to name the image. The digest is then asked for side by side with the tags: that saves a round
	// trip, and costs a request when it is wrong.
	Changed bool
}

// Exists says what a tag or digest of the repository names: nothing (an empty digest) when it does not exist, or when that cannot be
// known, of which the user is told (GANTRY5005). Errors are those of an outage.
func (o Oracle) Exists(ctx context.Context, ref string) (registry.Descriptor, error) {
	d, err := o.Repository.HeadManifest(ctx, ref)
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, registry.ErrNotFound):
		o.Log.Debug("not in the destination", "ref", ref, "repository", o.Name.String())
		return registry.Descriptor{}, nil
	}
	reason, unknown := unknowable(err)
	if !unknown {
		return registry.Descriptor{}, err
	}
	o.tell(fmt.Sprintf("whether %s has %s is not known, so the image is pushed: %s", o.Name, ref, reason))
	return registry.Descriptor{}, nil
}

// tell is a message that is no warning: the run is right without an answer, only longer.
func (o Oracle) tell(text string) { o.Log.Info(diag.MessageLine(diag.AccessUnproved, text)) }

// unknowable tells an answer that says nothing about existence from an outage, which is an error.
func unknowable(err error) (reason string, unknown bool) {
	var coded *diag.Error
	if errors.As(err, &coded) && coded.Retryable {
		return "", false
	}
	var status *registry.StatusError
	if errors.As(err, &status) {
		s := status.StatusCode
		return fmt.Sprintf("the registry answered %d %s", s, http.StatusText(s)), s/100 == 4
	}
	switch diag.CodeOf(err) {
	case diag.CredentialsUnavailable, diag.RepositoryForbidden, // no token, so no status of the registry itself
		diag.UnknownManifest, diag.DigestMismatch, // something is there, and it is not this image
		diag.RegistryPushFailed, diag.ManifestPullFailed: // not a manifest: a web page, too large, a refused redirect
		return err.Error(), true
	}
	return "", false
}

// Tag is what a tag names. Digest is empty when it names nothing, or when that is not known.
type Tag struct {
	Name      string
	Digest    cas.Digest
	MediaType string
}

// Finding is what the destination has of an image.
type Finding struct {
	// Present says that the repository has the manifest.
	Present bool
	// Reason says in words what Present rests on.
	Reason string
	// Tags are those that were asked about, in the same order.
	Tags []Tag
}

// Look finds out whether the repository has an image, and which of its tags name it already. All tags are asked side by side; one that
// names the image proves that it is there. Only when none does is the digest asked for. So an unchanged image with one tag takes one
// request, and one that is not there two.
func (o Oracle) Look(ctx context.Context, want image.Descriptor, tags []string) (Finding, error) {
	f := Finding{Tags: make([]Tag, len(tags))}
	var digest *registry.Descriptor
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(max(o.Parallel, 1))
	for i, t := range tags {
		group.Go(func() (err error) {
			f.Tags[i], err = o.askTag(asking, t, want)
			return err
		})
	}
	if o.Changed {
		group.Go(func() error {
			d, err := o.Exists(asking, string(want.Digest))
			digest = &d
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return f, err
	}
	for _, t := range f.Tags {
		if t.Digest == want.Digest {
			f.Present, f.Reason = true, fmt.Sprintf("the tag %s names it", t.Name)
			return f, nil
		}
	}
	if digest == nil {
		d, err := o.Exists(ctx, string(want.Digest))
		if err != nil {
			return f, err
		}
		digest = &d
	}
	f.Present = digest.Digest == want.Digest && digest.MediaType == want.MediaType
	f.Reason = map[bool]string{
		true:  "the destination has the manifest",
		false: "the destination does not have the manifest",
	}[f.Present]
	return f, nil
}

// Tags finds out what tags name, side by side, for an image that is not known yet.
func (o Oracle) Tags(ctx context.Context, tags []string) ([]Tag, error) {
	out := make([]Tag, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(o.Parallel, 1))
	for i, t := range tags {
		group.Go(func() (err error) {
			out[i], err = o.askTag(ctx, t, image.Descriptor{})
			return err
		})
	}
	return out, group.Wait()
}

// askTag finds out what a tag names. A digest with another media type than the image's is not taken for the image.
func (o Oracle) askTag(ctx context.Context, tag string, want image.Descriptor) (Tag, error) {
	d, answered := o.Answers[tag]
	if !answered {
		var err error
		if d, err = o.Exists(ctx, tag); err != nil {
			return Tag{Name: tag}, err
		}
	}
	if d.Digest == want.Digest && d.MediaType != want.MediaType {
		return Tag{Name: tag}, nil
	}
	return Tag{Name: tag, Digest: d.Digest, MediaType: d.MediaType}, nil
}

// MissingBlobs are those blobs of which the registry does not give the first byte, and those that the account may not read (of which
// the user is told), each in their order. Foreign layers are elsewhere.
func (o Oracle) MissingBlobs(ctx context.Context, blobs []image.Descriptor) (missing, hidden []image.Descriptor, err error) {
	has, seen := make([]bool, len(blobs)), make([]bool, len(blobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(o.Parallel, 1))
	for i, b := range blobs {
		if image.IsForeign(b.MediaType) {
			has[i], seen[i] = true, true
			continue
		}
		group.Go(func() (err error) {
			has[i], seen[i], err = o.probe(ctx, b)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for i, b := range blobs {
		switch {
		case !seen[i]:
			hidden = append(hidden, b)
		case !has[i]:
			missing = append(missing, b)
		}
	}
	return missing, hidden, nil
}

func (o Oracle) probe(ctx context.Context, b image.Descriptor) (has, seen bool, err error) {
	has, err = o.Repository.ProbeBlob(ctx, b.Digest, b.Size)
	if err == nil {
		return has, true, nil
	}
	reason, unknown := unknowable(err)
	if !unknown {
		return false, false, err
	}
	o.tell(fmt.Sprintf("whether %s has the blob %s is not known, so it is sent: %s", o.Name, b.Digest, reason))
	return false, false, nil
}
