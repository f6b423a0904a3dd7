// Package deliver writes the names of an image whose content is in the destination: its tags, and last of all the tag of its cache
// key. push and push-index share it, so that both decide and report alike.
//
// A tag that names the image already is never written again, as a registry with immutable tags refuses even that.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// Names is where manifests are written and read back.
type Names interface {
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
}

// KeyWriter writes the tag of a cache key on a manifest or index that its repository has the content of. What proves the key (a
// signed record) is written first, the tag last.
type KeyWriter interface {
	Write(ctx context.Context, tag, mediaType string, body []byte) error
}

// Document is a manifest or index, byte for byte.
type Document struct {
	Body       []byte
	Descriptor image.Descriptor
}

// NewDocument computes the descriptor of a body.
func NewDocument(body []byte, mediaType string) Document {
	return Document{body, image.Descriptor{MediaType: mediaType, Digest: cas.DigestOf(body), Size: int64(len(body))}}
}

// Writer writes one document under names of one repository.
type Writer struct {
	Repository Names
	Name       registry.Name
	Log        *slog.Logger
	Store      *cas.Store // remembers what tags were written to name; nil remembers nothing
	Document   Document
	Parallel   int // writes at once, at least 1
	// Skipped says that content was not sent because the registry says it has it.
	Skipped bool
	// Restore brings content that the registry turns out to miss; it is called at most once.
	Restore func(ctx context.Context, reason error) error
	// Wait pauses before a tag is read back once more; nil means in real time.
	Wait func(ctx context.Context, d time.Duration) error
}

// Names writes tags, then the cache tag, reads the tags back if asked to, and notes in result what became of each. found is what the
// destination said before.
func (w Writer) Names(ctx context.Context, result *outcome.Result, tags []string, cacheTag string, found oracle.Finding, readBack bool) (err error) {
	if result.Tags, err = w.Tags(ctx, tags, found.Tags, !found.Present); err != nil {
		return err
	}
	if result.CacheTag, err = w.CacheTag(ctx, cacheTag, tags, found.Tags); err != nil || !readBack {
		return err
	}
	return w.ReadBack(ctx, result.Tags)
}

// Tags writes those tags that do not name the document yet, and says what became of each. Without tags nothing is written but, with
// content sent, the manifest by its digest. The first is written alone, as it shows whether the registry takes the image.
func (w Writer) Tags(ctx context.Context, tags []string, found []oracle.Tag, sent bool) ([]outcome.Tag, error) {
	out := make([]outcome.Tag, len(tags))
	var stale []string
	for i, t := range tags {
		out[i] = outcome.Tag{Tag: t, State: outcome.Written}
		if i < len(found) {
			out[i].Was = found[i].Digest
		}
		switch out[i].Was {
		case w.Document.Descriptor.Digest:
			out[i].State, out[i].Was = outcome.Current, ""
		case "":
			stale = append(stale, t)
		default:
			out[i].State = outcome.Moved
			stale = append(stale, t)
		}
	}
	if len(tags) == 0 && sent {
		stale = []string{string(w.Document.Descriptor.Digest)}
	}
	return out, w.write(ctx, stale)
}

// CacheTag writes the tag that every push moves, when it does not name the document yet: nil when there is none, or when it is one of
// the tags. found is as of Tags.
func (w Writer) CacheTag(ctx context.Context, tag string, tags []string, found []oracle.Tag) (*outcome.Tag, error) {
	if tag == "" || slices.Contains(tags, tag) {
		return nil, nil
	}
	out, err := w.Tags(ctx, []string{tag}, found[min(len(tags), len(found)):], false)
	if err != nil {
		return nil, fmt.Errorf("the cache tag %s: %w", tag, err)
	}
	w.Log.Debug("cache tag", "tag", tag, "state", out[0].State)
	return &out[0], nil
}

// Asked are all tags to ask about: the image's, and behind them the cache tag unless it is one of them.
func Asked(tags []string, cacheTag string) []string {
	if cacheTag == "" || slices.Contains(tags, cacheTag) {
		return tags
	}
	return append(slices.Clone(tags), cacheTag)
}

// written is what a tag that was written is remembered by: not as a base's reference, of which the memory may be used as an answer.
func written(name registry.Name, tag string) string { return "written " + name.String() + ":" + tag }

// Changed says that the tags, as this machine wrote them last, name other images than this one.
func Changed(store *cas.Store, name registry.Name, d cas.Digest, tags []string, log *slog.Logger) bool {
	changed := false
	for _, t := range tags {
		if m := pull.Remembered(store, written(name, t), log); m != nil {
			if m.Digest == d {
				return false
			}
			changed = true
		}
	}
	return changed
}

func (w Writer) write(ctx context.Context, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	err := w.put(ctx, refs[0])
	if w.Restore != nil && w.isLoss(err) {
		if err := w.Restore(ctx, err); err != nil {
			return err
		}
		err = w.put(ctx, refs[0])
	}
	if err != nil {
		return err
	}
	group := errgroup.Group{}
	group.SetLimit(max(w.Parallel, 1))
	errs := make([]error, len(refs))
	for i, ref := range refs[1:] {
		group.Go(func() error {
			errs[i] = w.put(ctx, ref) // one refused tag does not keep the others back
			return nil
		})
	}
	_ = group.Wait() // never fails: each tag's error is in errs
	return errors.Join(errs...)
}

// isLoss says that the registry misses content of the document. Where content was left out because the registry said that it has it,
// a 400 about the manifest as a whole is taken for that: zot has no code of its own for it. A tag that may not move is another matter.
func (w Writer) isLoss(err error) bool {
	var status *registry.StatusError
	if errors.Is(err, registry.ErrBlobUnknown) {
		return true
	}
	return w.Skipped && diag.CodeOf(err) != diag.TagRefused && errors.As(err, &status) && status.StatusCode == http.StatusBadRequest &&
		(len(status.Codes) == 0 || slices.Contains(status.Codes, "MANIFEST_INVALID"))
}

func (w Writer) put(ctx context.Context, ref string) error {
	d := w.Document.Descriptor
	err := w.Repository.PushManifest(ctx, ref, d.MediaType, w.Document.Body)
	if err == nil {
		w.Log.Debug("pushed", "ref", ref, "digest", d.Digest)
		if w.Store != nil && ref != string(d.Digest) {
			pull.Remember(w.Store, written(w.Name, ref), &registry.Manifest{MediaType: d.MediaType, Digest: d.Digest, Body: w.Document.Body}, w.Log)
		}
	}
	return err
}

// readBack are the pauses between the questions after a tag: some registries answer with the old image for seconds (GHCR).
var readBack = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// ReadBack asks what the tags name that were written. One that names something else for longer than some seconds is a message
// (GANTRY5007) and no error, as the write itself was proved.
func (w Writer) ReadBack(ctx context.Context, tags []outcome.Tag) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(w.Parallel, 1))
	for _, t := range tags {
		if t.State != outcome.Current {
			group.Go(func() error { return w.readBack(ctx, t.Tag) })
		}
	}
	return group.Wait()
}

func (w Writer) readBack(ctx context.Context, tag string) error {
	want := w.Document.Descriptor.Digest
	for n := 0; ; n++ {
		d, err := w.Repository.HeadManifest(ctx, tag)
		if err == nil && d.Digest == want {
			w.Log.Debug("read back", "ref", tag, "digest", want)
			return nil
		}
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		if n == len(readBack) {
			says := "does not know the tag"
			if err == nil {
				says = "says it names " + string(d.Digest)
			}
			w.Log.Info(diag.MessageLine(diag.TagStale, fmt.Sprintf("%s:%s was written to name %s and the registry %s", w.Name, tag, want, says)))
			return nil
		}
		if err := w.wait(ctx, readBack[n]); err != nil {
			return err
		}
	}
}

func (w Writer) wait(ctx context.Context, d time.Duration) error {
	if w.Wait != nil {
		return w.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
