package createlayers

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/tasks"
	"golang.org/x/sync/errgroup"
)

const (
	// worthAsking is the number of bytes of files that a question to the registry must save at least: below it, making the layer takes
	// less time than the answer.
	worthAsking = 4 << 20
	// sideBySide is the number of layers that are made at once. Each keeps all cores busy alone; a second one fills the gaps.
	sideBySide = 2
)

// provider takes or makes layers.
type provider struct {
	Deps
	folder *layer.Folder
	// trust says that layers are taken from a registry.
	trust bool
	// recalled is what the registry said; nil when it was not asked or has nothing.
	recalled *tasks.Recalled
}

// provide returns the layer of each group.
func (p *provider) provide(ctx context.Context, groups []*group) ([]tasks.Layer, error) {
	layers := make([]tasks.Layer, len(groups))
	missing := p.each(groups, layers, all(len(groups)), p.atHand)
	if len(missing) == 0 {
		return layers, ctx.Err()
	}
	if err := p.recall(ctx, groups, missing); err != nil {
		return nil, err
	}
	missing = p.each(groups, layers, missing, p.fromRegistry)
	return layers, p.makeAll(ctx, groups, layers, missing)
}

// each fills layers with what take has for those of groups that are named by index, and returns those that it has not.
func (p *provider) each(groups []*group, layers []tasks.Layer, which []int, take func(*group) (tasks.Layer, bool)) (missing []int) {
	for _, i := range which {
		l, ok := take(groups[i])
		if !ok {
			missing = append(missing, i)
			continue
		}
		layers[i] = l
		p.finished(l)
	}
	return missing
}

func all(n int) []int {
	which := make([]int, n)
	for i := range which {
		which[i] = i
	}
	return which
}

func (p *provider) finished(l tasks.Layer) {
	if p.Made != nil && l.Source == nil {
		p.Made(l)
	}
}

// atHand takes a layer for which nothing has to be done: it is in a repository that the user named, or in the content store.
func (p *provider) atHand(g *group) (tasks.Layer, bool) {
	if g.blob == nil || g.blob.Source == nil {
		return p.fromStore(g)
	}
	r := g.named()
	p.Log.Info("took layer "+g.name+" as its repository has it", "stage", Stage, "repository", g.blob.Source.Registry+"/"+g.blob.Source.Repository,
		"digest", string(r.Digest), "bytes", r.Size)
	return g.layer(r), true
}

// fromStore takes a layer that this machine made before. The blob's content is proved when it is read.
func (p *provider) fromStore(g *group) (tasks.Layer, bool) {
	r, ok := g.named(), true
	if g.blob == nil {
		if p.Records == nil {
			return tasks.Layer{}, false
		}
		if r, ok = p.Records.Layer(g.key); !ok {
			return tasks.Layer{}, false
		}
	}
	if size, err := p.Store.Size(r.Digest); err != nil || size != r.Size {
		return tasks.Layer{}, false
	}
	p.Log.Info("took layer "+g.name+" from the content store", "stage", Stage, "digest", string(r.Digest), "bytes", r.Size)
	return g.layer(r), true
}

// recall asks the registry for an earlier image, where that may save more than it costs. A registry that cannot be asked is no reason
// to fail here: the layers can be made.
func (p *provider) recall(ctx context.Context, groups []*group, missing []int) error {
	var content int64
	for _, i := range missing {
		content += groups[i].content()
	}
	if p.Recall == nil || p.BlobsNeeded || !p.RecallCheap && content < worthAsking {
		return nil
	}
	recalled, err := p.Recall(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.Log.Info("the layers are made here, as the registry cannot be asked for an earlier image", "stage", Stage, "reason", err.Error())
		return nil
	}
	p.recalled = recalled
	return nil
}

// fromRegistry takes a layer that an earlier image has, without its blob.
func (p *provider) fromRegistry(g *group) (tasks.Layer, bool) {
	l, ok := p.recalled.Layer(g.key)
	d := l.Descriptor
	if !ok || !p.trust || d.MediaType != g.mediaType || d.Digest == "" || d.Size <= 0 || l.DiffID == "" {
		return tasks.Layer{}, false
	}
	if r := g.named(); g.blob != nil && (r.Digest != d.Digest || r.Size != d.Size || r.DiffID != l.DiffID) {
		return tasks.Layer{}, false
	}
	p.Log.Info("took layer "+g.name+" from the registry", "stage", Stage, "ref", p.recalled.Reference, "digest", string(d.Digest),
		"bytes", d.Size)
	return g.layer(records.Layer{Key: g.key, Digest: d.Digest, DiffID: l.DiffID, Size: d.Size}), true
}

// makeAll makes the layers side by side, the largest first: what is uploaded after the last one is then little. The error is that of
// the lowest layer that has one of its own.
func (p *provider) makeAll(ctx context.Context, groups []*group, layers []tasks.Layer, which []int) error {
	slices.SortStableFunc(which, func(a, b int) int { return cmp.Compare(groups[b].content(), groups[a].content()) })
	errs := make([]error, len(groups))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for _, i := range which {
		g.Go(func() error {
			layers[i], errs[i] = p.make(gctx, groups[i])
			if errs[i] == nil {
				p.finished(layers[i])
			}
			return errs[i]
		})
	}
	err := g.Wait()
	if err == nil {
		return nil
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }); i >= 0 {
		return errs[i]
	}
	return err
}

// make makes a layer, unless another process makes it right now: then that one's is taken.
func (p *provider) make(ctx context.Context, g *group) (tasks.Layer, error) {
	write := p.write
	if g.blob != nil {
		write = p.copy
	}
	if p.Records == nil {
		l, err := write(ctx, g)
		return g.layer(l), err
	}
	unlock := p.Records.Lock(ctx, "layer-"+g.key.Hex())
	defer unlock()
	if l, ok := p.fromStore(g); ok {
		return l, nil
	}
	l, err := write(ctx, g)
	if err != nil {
		return tasks.Layer{}, err
	}
	if g.blob == nil {
		p.Records.KeepLayer(l)
	}
	return g.layer(l), nil
}

// copy puts a tarball into the content store, once it is proved to be the one that the layer was named by: GANTRY4003 when it is not.
func (p *provider) copy(ctx context.Context, g *group) (l records.Layer, err error) {
	w, err := p.Store.Create()
	if err != nil {
		return l, err
	}
	defer w.Discard()
	l = g.named()
	file := layer.File{Path: g.name, SourcePath: g.blob.BlobPath, Size: l.Size, Digest: l.Digest}
	if err := layer.ReadFile(ctx, w, nil, &file); err != nil {
		return l, err
	}
	if _, err := w.Commit(); err != nil {
		return l, err
	}
	p.Log.Info("took layer "+g.name+" from its file", "stage", Stage, "digest", string(l.Digest), "bytes", l.Size, "why", p.why(g))
	return l, nil
}

// write makes a layer's blob.
func (p *provider) write(ctx context.Context, g *group) (l records.Layer, err error) {
	w, err := p.Store.Create()
	if err != nil {
		return l, err
	}
	defer w.Discard()
	made, err := layer.Write(ctx, w, p.folder, &g.spec, runtime.GOMAXPROCS(0))
	if err != nil {
		return l, err
	}
	l = records.Layer{Key: g.key, DiffID: made.DiffID, Size: w.Size()}
	if l.Digest, err = w.Commit(); err != nil {
		return l, err
	}
	p.Log.Info("made layer "+g.name, "stage", Stage, "digest", string(l.Digest), "bytes", l.Size, "tarBytes", made.TarSize,
		"files", len(g.spec.Files), "why", p.why(g))
	if r, ok := p.recalled.Layer(g.key); ok && (r.Descriptor.Digest != l.Digest || r.DiffID != l.DiffID) {
		p.Log.Info("layer "+g.name+" of the earlier image is not what its key says", "stage", Stage, "ref", p.recalled.Reference,
			"digest", string(r.Descriptor.Digest), "made", string(l.Digest))
	}
	return l, nil
}

// why says why a layer had to be made.
func (p *provider) why(g *group) string {
	if p.Records != nil {
		if _, known := p.Records.Layer(g.key); known {
			return "made before, and the content store has lost it"
		}
	}
	switch {
	case p.recalled == nil || p.recalled.Reference == "":
		return "the content store has none of this key"
	case !p.trust:
		return "layer keys of a registry are not trusted"
	}
	return "neither the content store nor " + p.recalled.Reference + " has one of this key"
}

// layer is the group's layer, as the response has it wherever it comes from.
func (g *group) layer(r records.Layer) tasks.Layer {
	return tasks.Layer{
		Name:       g.name,
		Descriptor: tasks.Descriptor{MediaType: g.mediaType, Digest: r.Digest, Size: r.Size},
		DiffID:     r.DiffID,
		Files:      len(g.spec.Files),
		Key:        g.key,
		Source:     g.source(),
		CreatedBy:  g.createdBy,
	}
}

// named is a layer that is taken as it is; without one it is empty.
func (g *group) named() records.Layer {
	if g.blob == nil {
		return records.Layer{}
	}
	d := g.blob.Descriptor
	return records.Layer{Key: g.key, Digest: d.Digest, DiffID: g.blob.DiffID, Size: d.Size}
}

func (g *group) source() *tasks.LayerSource {
	if g.blob == nil {
		return nil
	}
	return g.blob.Source
}
