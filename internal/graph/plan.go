package graph

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// Records tells what an image was made of when it was built last.
type Records interface {
	// Recorded returns the sealed lines of the last source hash that is recorded of an image; none where there is no record. An error ends the plan.
	Recorded(ctx context.Context, image *Image) ([]sourcehash.Line, error)
}

// PlanOptions say what is planned.
type PlanOptions struct {
	// Only are the images that are wanted: they and all that they are built from. None are all.
	Only []*Image
	// UnknownBuilt says of an image whose source hash cannot be known that it counts as built to what its first tag names, because somebody built
	// it before in the same pipeline; where it names nothing, or the plan builds a parent, it does not. Nil says so of none.
	UnknownBuilt func(*Image) bool
	// Forced are images that are built whatever the registry has, and why.
	Forced map[*Image]string
	// Built are images that were built in this run, by the digest of the image or the index.
	Built map[*Image]cas.Digest
	// Records are asked for planned images only; nil is nobody.
	Records Records
	// Progress is told how many images are decided, of how many: after each, by one goroutine at a time.
	Progress func(done, total int)
}

// Plan says what to build. It is made by Graph.Plan, and goes on with Built.
type Plan struct {
	// Steps are in the order of Graph.Images. Built changes them.
	Steps []Step

	graph    *Graph
	opt      PlanOptions
	tags     *answers
	listings map[registry.Name]*listing
	nodes    map[*Image]*node
	buffers  sync.Pool  // of lines: most are only hashed
	mu       sync.Mutex // of Built and of decided
	decided  int
}

// node is what a plan knows of an image.
type node struct {
	*Image
	step *Step
	// answer is the image that is there or was built; nil as long as there is none.
	answer *answer
	// watched says that children are in the plan's scope, which need the digest.
	watched bool
	open    atomic.Int32 // parents that are not decided
}

// Plan asks the registry what is there, and decides of each image whether it is built. An image's tag is asked for when all its parents
// are there; where only the presence of many images of a repository is wanted, its tags are listed instead. Each question is asked once, so
// many at once as Options say.
//
// An error of the registry is one of the plan: none is better than a wrong one.
func (g *Graph) Plan(ctx context.Context, opt PlanOptions) (*Plan, error) {
	if g.opt.Registry == nil {
		return nil, errors.New("a plan needs a registry")
	}
	p := &Plan{
		graph: g, opt: opt, nodes: map[*Image]*node{},
		tags: newAnswers(itself(g.opt.Registry), g.opt.Store, g.opt.Log, g.outside.asked),
	}
	p.scope()
	p.plantListings()
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	p.waves()
	return p, nil
}

// Questions is how many requests were sent for the graph and its plans.
func (p *Plan) Questions() int { return int(p.tags.asked.Load()) }

// Step returns the step of an image, or nil if it is not planned.
func (p *Plan) Step(i *Image) *Step {
	if n := p.nodes[i]; n != nil {
		return n.step
	}
	return nil
}

// scope makes the nodes of the images that are wanted and of their parents.
func (p *Plan) scope() {
	wanted := map[*Image]bool{}
	var want func(i *Image)
	want = func(i *Image) {
		if !wanted[i] {
			wanted[i] = true
			for _, parent := range i.Parents {
				want(parent)
			}
		}
	}
	list := p.opt.Only
	if len(list) == 0 {
		list = p.graph.Images
	}
	for _, i := range list {
		want(i)
	}
	p.Steps = make([]Step, 0, len(wanted))
	for _, i := range p.graph.Images {
		if !wanted[i] {
			continue
		}
		p.Steps = append(p.Steps, Step{Image: i})
		n := &node{Image: i, step: &p.Steps[len(p.Steps)-1]}
		n.open.Store(int32(len(i.Parents)))
		p.nodes[i] = n
		for _, parent := range i.Parents {
			p.nodes[parent].watched = true
		}
	}
}

// run decides all images, each when its parents are decided.
func (p *Plan) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := make(chan func() error, len(p.listings)+len(p.nodes)) // has room for all, so that nobody waits to put something in
	for _, l := range p.listings {
		ready <- func() error { return l.read(ctx) }
	}
	if len(p.nodes) == 0 {
		close(ready)
	}
	var decide func(n *node) func() error
	decide = func(n *node) func() error {
		return func() error {
			if err := p.decide(ctx, n); err != nil {
				return err
			}
			now := p.progress()
			for _, c := range n.Children {
				if child := p.nodes[c]; child != nil && child.open.Add(-1) == 0 {
					ready <- decide(child)
				}
			}
			if now == len(p.nodes) {
				close(ready)
			}
			return nil
		}
	}
	for k := range p.Steps {
		if n := p.nodes[p.Steps[k].Image]; len(n.Parents) == 0 {
			ready <- decide(n)
		}
	}
	var wg sync.WaitGroup
	for range min(p.graph.opt.Parallel, cap(ready)) {
		wg.Go(func() { work(ctx, ready, cancel) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return noPlan(context.Cause(ctx))
	}
	return nil
}

// progress counts an image that is decided, and tells of it.
func (p *Plan) progress() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decided++
	if p.opt.Progress != nil {
		p.opt.Progress(p.decided, len(p.nodes))
	}
	return p.decided
}

func work(ctx context.Context, ready <-chan func() error, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case f, ok := <-ready:
			if !ok {
				return
			}
			if err := f(); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// noPlan says that there is no plan, and why.
func noPlan(err error) error {
	var coded *diag.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return diag.Wrap(diag.Interrupted, err, "there is no plan", "run again")
	case !errors.As(err, &coded):
		return fmt.Errorf("there is no plan: %w", err)
	}
	e := *coded
	e.What = "there is no plan: " + e.What
	return &e
}

// waves numbers the steps that are built.
func (p *Plan) waves() {
	for k := range p.Steps {
		s := &p.Steps[k]
		s.Wave = 0
		for _, parent := range s.Image.Parents {
			if before := p.nodes[parent].step; before.Decision == Build {
				s.Wave = max(s.Wave, before.Wave+1)
			}
		}
	}
}

// Lines returns what an image's hash is made of, if all its parents are known now; the hash of it is Step.Hash.
func (p *Plan) Lines(ctx context.Context, i *Image) ([]sourcehash.Line, error) {
	ps, err := p.parents(ctx, i)
	if err != nil {
		return nil, err
	}
	if len(ps.planned) > 0 {
		what := "image " + i.Spec.Name + " is built from " + ps.planned[0].Spec.Name + ", which is not there yet"
		return nil, diag.New(diag.ParentMissing, what, "build that first")
	}
	return p.graph.lines(ctx, i, ps.digests, nil)
}

// Digest returns the digest of the platform's image that a parent is, as far as it is known.
func (p *Plan) Digest(ctx context.Context, parent *Parent) (cas.Digest, bool, error) {
	a, d, err := p.parent(ctx, parent)
	return d, a != nil, err
}
