// Package graphtag makes the tags of a list's images name what their source tags src-<hash> name: tags of one image, and shared tags, each an
// index over the images that share it.
//
// # What is written
//
// A tag is asked for first, and one that names the right image is never written, as a registry with immutable tags refuses even that. So a
// second Run writes nothing. An image that is not built leaves its own tags and the shared tags that it takes part in as they are. Whatever
// becomes of one tag, the others are looked at.
//
// Manifests and indexes are taken byte for byte; the index of a shared tag has the entries of its images sorted by platform, and behind them
// those of other kinds, such as attestations, so that the same images always make the same index.
package graphtag

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
)

// Image is an image of a list.
type Image struct {
	// Name is the image's in its list.
	Name string
	// Source is its source tag in full, or the first of Tags where it has no source hash: then none of these is written. It is the zero value for an
	// image that is not built; Why says so, in words that go on behind the name: "is not built yet".
	Source registry.Reference
	Why    string
	// Tags are its own, Shared those of an index in which it is one of several.
	Tags, Shared []registry.Reference
}

// State is what became of a tag.
type State string

// States.
const (
	Tagged  State = "tagged"  // written; of a dry run: would be
	Current State = "current" // it named the right image already
	Left    State = "left"    // as it was, as an image is not built
	Failed  State = "failed"
)

// Result is what became of one tag.
type Result struct {
	// Tag is in full.
	Tag   string `json:"tag"`
	State State  `json:"state"`
	// Images are those that the tag is of: more than one share it.
	Images []string `json:"images"`
	// Digest is what the tag names, or would; Was what it named before, if anything.
	Digest cas.Digest `json:"digest,omitempty"`
	Was    cas.Digest `json:"was,omitempty"`
	// Reason says why it was left or failed.
	Reason string `json:"reason,omitempty"`

	// Err is that of a failure, with its code.
	Err error `json:"-"`
}

// Options are what a Run works with.
type Options struct {
	// Repository returns one for a use.
	Repository func(registry.Name, registry.Mode) content.Repository
	// Store keeps manifests and configurations by digest.
	Store    *cas.Store
	Records  *records.Records
	Log      *slog.Logger
	Progress progress.Progress
	// Parallel is the number of images and shared tags at once, at least 1.
	Parallel int
	// DryRun asks, and writes nothing.
	DryRun bool
	// Watch is told how many images and shared tags are done, of how many, by several goroutines at once; nil is nobody.
	Watch func(done, total int)
}

// run is one Run.
type run struct {
	Options
	sources map[string]func() (*source, error)

	mu    sync.Mutex
	done  int
	total int
}

// Run looks at all tags of the images. The results are in their order: own tags first, then the shared ones in the order in which they are
// first named. The error is that of ctx; those of tags are in the results.
func Run(ctx context.Context, images []Image, o Options) ([]Result, error) {
	r := &run{Options: o, sources: map[string]func() (*source, error){}}
	var tasks []func() []Result
	for i := range images {
		im := &images[i]
		r.sources[im.Name] = sync.OnceValues(func() (*source, error) { return r.look(ctx, im) })
		if len(im.Tags) > 0 {
			tasks = append(tasks, func() []Result { return r.own(ctx, im) })
		}
	}
	own := map[string]string{}
	for i := range images {
		for _, t := range images[i].Tags {
			own[t.String()] = images[i].Name
		}
	}
	alone := len(tasks)
	for _, s := range shared(images) {
		tasks = append(tasks, func() []Result { return []Result{r.shared(ctx, s, own[s.tag.String()])} })
	}
	r.total = len(tasks)
	// Shared tags come after all others: a registry may not see a manifest while it is written to a tag, and refuse an index that has it.
	results := append(r.each(ctx, tasks[:alone]), r.each(ctx, tasks[alone:])...)
	if err := context.Cause(ctx); err != nil {
		return nil, diag.Wrap(diag.Interrupted, err, "the tags were not all looked at", "run again")
	}
	return slices.Concat(results...), nil
}

// each does tasks side by side.
func (r *run) each(ctx context.Context, tasks []func() []Result) [][]Result {
	results := make([][]Result, len(tasks))
	var group errgroup.Group
	group.SetLimit(max(r.Parallel, 1))
	for i, task := range tasks {
		group.Go(func() error {
			if ctx.Err() == nil {
				results[i] = task()
			}
			r.tell()
			return nil
		})
	}
	_ = group.Wait() // never fails: errors are those of tags
	return results
}

func (r *run) tell() {
	r.mu.Lock()
	r.done++
	done := r.done
	r.mu.Unlock()
	if r.Watch != nil {
		r.Watch(done, r.total)
	}
}

// Err is a join of the errors of failed tags, each of which names its tag; what is wrong with many tags in one way is told once.
func Err(results []Result) error {
	var all []error
	seen := map[string]bool{}
	for _, r := range results {
		if r.Err != nil && !seen[r.Err.Error()] {
			seen[r.Err.Error()] = true
			all = append(all, r.Err)
		}
	}
	return errors.Join(all...)
}

// Count is how many results have a state.
func Count(results []Result, s State) (n int) {
	for i := range results {
		if results[i].State == s {
			n++
		}
	}
	return n
}
