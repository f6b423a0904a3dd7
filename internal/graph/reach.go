package graph

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/platform"
)

// parsed is a Dockerfile, parsed once.
type parsed struct {
	once sync.Once
	file *dockerfile.File
	err  error
}

func (b *builder) parse(spec *imagelist.Spec) (*dockerfile.File, error) {
	key := spec.Dockerfile
	if spec.Inline != "" {
		key = "inline\x00" + spec.Origin + "\x00" + spec.Inline
	}
	b.mu.Lock()
	p := b.files[key]
	if p == nil {
		p = &parsed{}
		b.files[key] = p
	}
	b.mu.Unlock()
	p.once.Do(func() {
		if spec.Inline != "" {
			p.file, p.err = dockerfile.Parse(spec.Origin, []byte(spec.Inline))
		} else {
			p.file, p.err = dockerfile.Read(spec.Dockerfile)
		}
	})
	return p.file, p.err
}

// reaching is a variant whose Dockerfile is asked, or was. One needs another's configuration when a stage begins with it; where they need
// each other, nobody waits: the configuration is unknown then, and sort finds the cycle.
type reaching struct {
	done    chan struct{}
	started bool
	waits   *reaching // for whose configuration it waits
	err     error
}

// reachAll asks the Dockerfiles of all variants, side by side, as registries may have to be asked meanwhile.
func (b *builder) reachAll(ctx context.Context) {
	for _, i := range b.Images {
		for _, v := range i.Variants {
			b.reaching[v] = &reaching{done: make(chan struct{})}
		}
	}
	next := make(chan *Image)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range min(b.opt.Parallel, len(b.Images)) {
		wg.Go(func() {
			for i := range next {
				for _, v := range i.Variants {
					b.reach(ctx, i, v)
				}
				if now := done.Add(1); b.opt.Progress != nil {
					b.opt.Progress(int(now), len(b.Images))
				}
			}
		})
	}
	for _, i := range b.Images {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, i := range b.Images {
		for _, v := range i.Variants {
			if err := b.reaching[v].err; err != nil {
				b.problems.add(i.Spec, err)
				continue
			}
			for _, u := range v.Reach.Unknown {
				if !slices.Contains(i.Unknown, u) {
					i.Unknown = append(i.Unknown, u)
				}
			}
		}
	}
}

// reach fills in Variant.Reach, unless somebody else does or did.
func (b *builder) reach(ctx context.Context, i *Image, v *Variant) {
	b.mu.Lock()
	r := b.reaching[v]
	if r.started {
		b.mu.Unlock()
		return
	}
	r.started = true
	b.mu.Unlock()
	defer close(r.done)
	v.Reach, r.err = b.ask(ctx, i, v, r)
}

func (b *builder) ask(ctx context.Context, i *Image, v *Variant, r *reaching) (*dockerfile.Reach, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if i.Spec.Remote() {
		return &dockerfile.Reach{}, nil
	}
	file, err := b.parse(i.Spec)
	if err != nil {
		return nil, err
	}
	args := make(map[string]string, len(i.Spec.Args))
	for name, value := range i.Spec.Args {
		if value != nil {
			args[name] = *value
		}
	}
	return file.Reach(dockerfile.Options{
		Target: i.Spec.Target, Args: args, Platform: v.Platform, Builder: b.opt.Builder, Contexts: i.Spec.Contexts,
		Config: func(image dockerfile.Image) (*dockerfile.Config, error) {
			c, err := b.config(ctx, r, image)
			if err != nil {
				err = placed{i.where(image.Uses), err}
			}
			return c, err
		},
	})
}

// config is what is known of the configuration of an image that a stage begins with.
func (b *builder) config(ctx context.Context, r *reaching, image dockerfile.Image) (*dockerfile.Config, error) {
	i, v := b.find(image)
	switch {
	case i == nil && image.Target == "" && b.outside.registry != nil:
		c, err := b.outside.config(ctx, image.Reference, image.Platform)
		if err != nil && b.verifies {
			return nil, nil // it is asked for again when all parents are
		}
		return c, err
	case v == nil || i.Spec.Remote() || !b.wait(ctx, r, i, v):
		return nil, nil
	}
	if b.reaching[v].err != nil || !v.Reach.ConfigKnown {
		return nil, nil
	}
	return &v.Reach.Config, nil
}

// wait asks v's Dockerfile, or waits until somebody has. It is false where v itself waits for r.
func (b *builder) wait(ctx context.Context, r *reaching, i *Image, v *Variant) bool {
	b.mu.Lock()
	other := b.reaching[v]
	for at := other; at != nil; at = at.waits {
		if at == r {
			b.mu.Unlock()
			return false
		}
	}
	r.waits = other
	b.mu.Unlock()
	b.reach(ctx, i, v)
	<-other.done
	b.mu.Lock()
	r.waits = nil
	b.mu.Unlock()
	return true
}

// find returns the image of the graph that a Dockerfile names, and its variant for the platform; an image that is for one platform only is
// taken for any, as BuildKit takes it. Both are nil for an image outside the graph.
func (b *builder) find(image dockerfile.Image) (*Image, *Variant) {
	var found []*Image
	if image.Target != "" {
		if i := b.names[image.Target]; i != nil {
			found = []*Image{i}
		}
	} else {
		found = b.tags[image.Reference] // one with a digest is no tag's
	}
	if len(found) == 0 {
		return nil, nil
	}
	for _, want := range b.compatible(image.Platform) {
		for _, i := range found {
			for _, v := range i.Variants {
				if platform.Matches(v.Platform, want) {
					return i, v
				}
			}
		}
	}
	if len(found) == 1 && len(found[0].Variants) == 1 {
		return found[0], found[0].Variants[0]
	}
	return found[0], nil
}

// compatible makes each list once.
func (b *builder) compatible(p dockerfile.Platform) []dockerfile.Platform {
	if list, ok := b.runs.Load(p); ok {
		return list.([]dockerfile.Platform)
	}
	list := platform.Compatible(p)
	b.runs.Store(p, list)
	return list
}
