package graph

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
)

// MaxParallel is the largest number of questions at once.
const MaxParallel = 64

// Options are what a graph is made with.
type Options struct {
	// Builder is what is built on; empty is Linux on this machine's processor. It is also the platform of an image without one.
	Builder dockerfile.Platform
	// Files reads build contexts; nil is one without a memory.
	Files *buildcontext.Store
	// Registry is asked for images outside the graph. Without it their ONBUILD triggers and environment are not known, and there is no plan.
	Registry Registry
	// Store keeps what registries said by digest; nil keeps nothing.
	Store *cas.Store
	// Parallel is the number of questions at once, at most MaxParallel, which 0 means too.
	Parallel int
	// Log is told of answers that say nothing; nil is nobody.
	Log *slog.Logger
	// Progress is told how many images' Dockerfiles New has read, of how many; it is called by several goroutines. Nil is nobody.
	Progress func(done, total int)
}

func (o *Options) defaults() {
	if o.Builder == (dockerfile.Platform{}) {
		o.Builder, _ = dockerfile.ParsePlatform("linux/"+runtime.GOARCH, dockerfile.Platform{})
	}
	if o.Files == nil {
		o.Files = buildcontext.NewStore("")
	}
	if o.Parallel <= 0 || o.Parallel > MaxParallel {
		o.Parallel = MaxParallel
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// New makes the graph of a list: each Dockerfile is parsed once, and asked once for each image and platform. Of the parents that stages
// begin with, ONBUILD triggers and the environment count: those of parents in the graph as their own Dockerfiles make them, those of others
// as the registry has them.
//
// Errors are a join of *diag.Error, of all images: of their tags (GANTRY6008, 6012), of their Dockerfiles (GANTRY6001), of the registry, and
// GANTRY6010, 6011 and 6013.
func New(ctx context.Context, specs []imagelist.Spec, opt Options) (*Graph, error) {
	opt.defaults()
	if _, errs := imagelist.Doubles(specs, opt.Builder); len(errs) > 0 {
		return nil, errors.Join(errs[:min(len(errs), maxProblems)]...)
	}
	b := newBuilder(opt)
	for i := range specs {
		b.add(&specs[i])
	}
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	b.reachAll(ctx)
	if err := ctx.Err(); err != nil {
		return nil, diag.Wrap(diag.Interrupted, err, "read the graph", "run again")
	}
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	b.link()
	b.sort()
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	return b.Graph, nil
}

// Find returns the image that has a name, or else a tag; of several that share a tag, the first. It returns nil when there is none.
func (g *Graph) Find(nameOrTag string) *Image {
	if i := g.names[nameOrTag]; i != nil {
		return i
	}
	if ref, err := registry.ParseReference(nameOrTag); err == nil && len(g.tags[ref.String()]) > 0 {
		return g.tags[ref.String()][0]
	}
	return nil
}

// builder is one New.
type builder struct {
	*Graph
	problems problems
	verifies bool // goes on where something is wrong, and has looked at named contexts

	mu       sync.Mutex
	files    map[string]*parsed
	reaching map[*Variant]*reaching
	runs     sync.Map // from a platform to those whose images run on it
}

func newBuilder(opt Options) *builder {
	g := &Graph{
		opt: opt, names: map[string]*Image{}, tags: map[string][]*Image{},
		outside: newAnswers(opt.Registry, opt.Store, opt.Log, new(atomic.Int64)), folders: newFolders(opt.Files),
	}
	return &builder{Graph: g, files: map[string]*parsed{}, reaching: map[*Variant]*reaching{}}
}

// add makes the node of a Spec.
func (b *builder) add(spec *imagelist.Spec) {
	i := &Image{Spec: spec}
	b.names[spec.Name] = i
	b.Images = append(b.Images, i)
	names := spec.Platforms
	if len(names) == 0 {
		names = []string{b.opt.Builder.String()}
	}
	for _, name := range names {
		p, err := dockerfile.ParsePlatform(name, b.opt.Builder)
		if err != nil && !b.verifies { // was told of the list
			b.problems.add(spec, diag.Wrap(diag.InvalidImage, err, "a platform", "write os/architecture, such as linux/arm64"))
		}
		if err != nil {
			continue
		}
		i.Variants = append(i.Variants, &Variant{Platform: p})
	}
	for k, tag := range slices.Concat(spec.Tags, spec.SharedTags) {
		ref, err := registry.ParseReference(tag)
		if err != nil {
			continue // there is none: imagelist.Doubles looked at all
		}
		if k == 0 && len(spec.Tags) > 0 {
			i.home, i.tag = ref.Name, ref.Tag
		}
		if key := ref.String(); !slices.Contains(b.tags[key], i) {
			b.tags[key] = append(b.tags[key], i)
		}
	}
	if len(spec.Tags) == 0 {
		i.Unknown = append(i.Unknown, dockerfile.Reason{Text: "it has no tag, so that nothing says whether it is there"})
	}
	if spec.Remote() {
		i.Unknown = append(i.Unknown, dockerfile.Reason{Text: "its build context " + spec.Context + " is not on this machine"})
	}
}
