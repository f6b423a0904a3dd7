package graphrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// Options are what a run works with.
type Options struct {
	Plan *graph.Plan
	// Graph is what the plan's graph was made with. Each image is read anew with it before it is stamped.
	Graph   graph.Options
	State   *graphstate.State
	Builder Builder
	// Parallel is the number of builds at once; 0 is 1.
	Parallel int
	// Dir is an empty folder for the files of the builds. They are removed with each build.
	Dir string
	// Logs is a folder for all that the builds print, a file for each image; empty keeps nothing.
	Logs string
	// Watch is told of each event, by one goroutine at a time; nil is nobody.
	Watch func(Event)
}

// Outcome is what became of an image.
type Outcome string

// Outcomes.
const (
	Started Outcome = "started" // only in events
	Built   Outcome = "built"
	// Cut was planned, and is there after all: its parents were built to what they were before, or another run built it meanwhile.
	Cut    Outcome = "cut"
	Failed Outcome = "failed"
	// Waiting was not built, as an image that it is built from failed, or as the run was interrupted.
	Waiting Outcome = "waiting"
)

// Result is what became of a planned image.
type Result struct {
	Image   string     `json:"image"`
	Outcome Outcome    `json:"outcome"`
	Digest  cas.Digest `json:"digest,omitempty"`
	// Tag is its src-<hash> in full; absent for one that cannot be stamped, as its hash is not known.
	Tag string `json:"tag,omitempty"`
	// Error is why it failed, or what it waits for.
	Error string `json:"error,omitempty"`
	// Log is the file that has all that the build printed, where Options.Logs keeps it.
	Log string `json:"log,omitempty"`
}

// Event is what happened last. Of Total planned images Done are built, cut, failed or waiting.
type Event struct {
	Result
	Done, Total int
}

// run is one Run. All but the builds themselves happen in the goroutine that called it.
type run struct {
	Options
	results map[*graph.Image]*Result
	order   []*graph.Image // those that the plan builds
	open    int            // builds under way
	done    chan finished
	unknown map[*graph.Image]cas.Digest // built images that have no source tag to be asked for
	events  int
	final   bool // a build failed for another reason than that of a registry which may answer later
}

// finished is the end of a build.
type finished struct {
	image  *graph.Image
	digest cas.Digest
	tag    string
	cut    bool // by another run
	log    string
	err    error
}

// Run builds what a plan says. The results are in the order of the plan, also when there is an error: GANTRY6060 says that images failed. One
// of the registry while the plan goes on ends the run, as no plan is better than a wrong one; builds under way are ended.
func Run(ctx context.Context, o Options) ([]Result, error) {
	r := &run{Options: o, results: map[*graph.Image]*Result{}, unknown: map[*graph.Image]cas.Digest{}}
	for i := range o.Plan.Steps {
		if s := &o.Plan.Steps[i]; s.Decision == graph.Build {
			r.order = append(r.order, s.Image)
		}
	}
	r.done = make(chan finished, len(r.order)) // has room for all, so that no build waits to be heard
	if err := r.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := r.start(ctx)
	for r.open > 0 {
		f := <-r.done
		r.open--
		if next := r.settle(ctx, f); next != nil && err == nil {
			err = next
			cancel()
		}
		if err == nil {
			err = r.start(ctx)
		}
	}
	return r.end(ctx, err)
}

// check refuses images that cannot be pushed before anything is built.
func (r *run) check() error {
	var all []error
	for _, i := range r.order {
		if len(i.Spec.Tags) == 0 {
			all = append(all, diag.New(diag.InvalidImage, "image "+i.Spec.Name+" ("+i.Spec.Origin+") has no tag, so that it cannot be pushed",
				"give it one; for discovered Dockerfiles use --repository"))
		}
	}
	return errors.Join(all...)
}

// start begins the builds that can be: those whose parents in the graph are all there.
func (r *run) start(ctx context.Context) error {
	for _, i := range r.order {
		if ctx.Err() != nil || r.open >= max(1, r.Parallel) {
			return nil
		}
		if r.results[i] != nil || r.Plan.Step(i).Decision != graph.Build || !r.ready(i) {
			continue
		}
		r.results[i] = &Result{Image: i.Spec.Name, Outcome: Started}
		job, err := r.job(ctx, i)
		if err != nil {
			return err
		}
		r.tell(i)
		r.open++
		go func() {
			f := r.build(ctx, job)
			f.image = i
			r.done <- f
		}()
	}
	return nil
}

// ready says whether all parents in the graph have a digest, and marks an image as waiting of which one will not get any.
func (r *run) ready(i *graph.Image) bool {
	ready := true
	for _, parent := range i.Parents {
		if s := r.Plan.Step(parent); s.Decision != graph.Build {
			continue
		}
		ready = false
		if p := r.results[parent]; p != nil && (p.Outcome == Failed || p.Outcome == Waiting) {
			r.results[i] = &Result{Image: i.Spec.Name, Outcome: Waiting, Error: "it is built from " + parent.Spec.Name + ", which " + failure(p)}
			r.tell(i)
			return false
		}
	}
	return ready
}

func failure(p *Result) string {
	if p.Outcome == Failed {
		return "failed"
	}
	return "is not built"
}

// settle notes the end of a build and goes on with the plan.
func (r *run) settle(ctx context.Context, f finished) error {
	result := r.results[f.image]
	result.Log = f.log
	if f.err != nil {
		result.Outcome, result.Error = Failed, f.err.Error()
		if ctx.Err() != nil {
			result.Outcome, result.Error = Waiting, "the run was interrupted"
		}
		r.final = r.final || diag.ExitCode(f.err) != diag.ExitRetryable
		r.tell(f.image)
		return nil
	}
	result.Outcome, result.Digest, result.Tag = Built, f.digest, f.tag
	if f.cut {
		result.Outcome = Cut
	}
	r.tell(f.image)
	if f.tag == "" {
		r.unknown[f.image] = f.digest
	}
	again, err := r.Plan.Built(ctx, f.image, f.digest)
	if err != nil {
		return err
	}
	for _, s := range again {
		if s.Decision == graph.Skip && r.results[s.Image] == nil {
			r.results[s.Image] = &Result{Image: s.Image.Spec.Name, Outcome: Cut, Digest: s.Digest, Tag: s.Tag}
			r.tell(s.Image)
		}
	}
	return nil
}

// build builds, pushes and stamps one image, unless another run did so since it was planned: then theirs counts, so that both go on with the
// same parents. One that is forced is built in any case.
func (r *run) build(ctx context.Context, j *Job) (f finished) {
	if theirs := r.theirs(ctx, j, ""); theirs.cut || theirs.err != nil {
		return theirs
	}
	dir, err := os.MkdirTemp(r.Dir, "build")
	if err != nil {
		return finished{err: diag.Wrap(diag.BuilderUnusable, err, "a folder for the build", "check TMPDIR")}
	}
	defer os.RemoveAll(dir)
	j.Dir = dir
	if f.log, err = j.files(r.Logs); err != nil {
		return finished{err: err}
	}
	made, err := r.Builder.Build(ctx, j)
	if j.log != nil {
		_ = j.log.Close() // what is lost of a log fails no build
	}
	if f.err = err; err != nil {
		return f
	}
	f.digest = made.Digest
	if j.stamp.Hash == "" {
		return f
	}
	if theirs := r.theirs(ctx, j, made.Digest); theirs.cut || theirs.err != nil {
		theirs.log = f.log
		return theirs
	}
	j.stamp.Digest, j.stamp.Builder = made.Digest, made.Builder
	f.tag, f.err = r.State.Stamp(ctx, j.stamp)
	return f
}

// theirs is what another run stamped meanwhile: an image with the same source hash and another digest than ours.
func (r *run) theirs(ctx context.Context, j *Job, ours cas.Digest) finished {
	if j.forced || j.stamp.Hash == "" {
		return finished{}
	}
	digest, err := r.State.Stamped(ctx, j.stamp)
	if err != nil || digest == "" || digest == ours {
		return finished{err: err}
	}
	return finished{digest: digest, tag: j.stamp.Image.String() + ":" + sourcehash.Tag(j.stamp.Hash), cut: true}
}

// job describes the build of an image whose parents are known. Builds must not look at the plan, which goes on meanwhile.
func (r *run) job(ctx context.Context, i *graph.Image) (*Job, error) {
	step := r.Plan.Step(i)
	forced := slices.ContainsFunc(step.Reasons, func(r graph.Reason) bool { return r.Kind == "forced" })
	j := &Job{Spec: i.Spec, Dockerfile: i.Spec.Dockerfile, Pins: maps.Clone(step.Pins), image: i, forced: forced}
	for _, v := range i.Variants {
		j.Platforms = append(j.Platforms, v.Platform.String())
	}
	var err error
	j.stamp, err = StampRequest(ctx, r.Plan, r.Graph, i, maps.Clone(r.unknown))
	return j, err
}

func (r *run) tell(i *graph.Image) {
	result := r.results[i]
	if result.Outcome != Started {
		r.events++
	}
	if r.Watch != nil {
		r.Watch(Event{Result: *result, Done: r.events, Total: len(r.order)})
	}
}

// end makes the answer.
func (r *run) end(ctx context.Context, err error) ([]Result, error) {
	var results []Result
	var failed []string
	built, waiting := 0, 0
	for _, i := range r.order {
		result := r.results[i]
		if result == nil || result.Outcome == Started {
			result = &Result{Image: i.Spec.Name, Outcome: Waiting, Error: "the run ended before"}
		}
		switch result.Outcome {
		case Failed:
			failed = append(failed, result.Image)
		case Waiting:
			waiting++
		case Built:
			built++
		}
		results = append(results, *result)
	}
	switch {
	case err != nil:
	case len(failed) > 0:
		what := fmt.Sprintf("%d of %d images failed: %s", len(failed), len(r.order), strings.Join(failed[:min(len(failed), 10)], ", "))
		if waiting > 0 {
			what += fmt.Sprintf("; %d that are built from them were not tried", waiting)
		}
		all := diag.New(diag.BuildFailed, what, "see what their builds say above; the next run goes on with these")
		if err = all; !r.final {
			err = all.AsRetryable()
		}
	case waiting > 0:
		err = diag.Wrap(diag.Interrupted, context.Cause(ctx), fmt.Sprintf("%d of %d images were built", built, len(r.order)), "run again: it goes on there")
	}
	return results, err
}

// home is the repository of an image's source tag.
func home(i *graph.Image) (registry.Reference, error) {
	if len(i.Spec.Tags) == 0 {
		return registry.Reference{}, diag.New(diag.InvalidImage, "image "+i.Spec.Name+" ("+i.Spec.Origin+") has no tag", "give it one")
	}
	return registry.ParseReference(i.Spec.Tags[0])
}

// ancestors are an image and all that it is built from, parents first.
func ancestors(i *graph.Image) []*graph.Image {
	var list []*graph.Image
	var add func(i *graph.Image)
	add = func(i *graph.Image) {
		if slices.Contains(list, i) {
			return
		}
		for _, p := range i.Parents {
			add(p)
		}
		list = append(list, i)
	}
	add(i)
	return list
}
