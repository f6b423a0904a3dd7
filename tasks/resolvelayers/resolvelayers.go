// Package resolvelayers is the stage resolve-layers: it finds the layers that ContainerLayer items name.
//
// An item is a layer in a repository by its digest, the upper layers of another image, a tarball, or files of this machine. The stage says
// of each layer what the image's manifest and configuration need: digest, size, media type, diff ID. It makes no layer: files are
// listed with their digests, and create-layers makes a layer of them.
//
// What a digest decides is learnt once and remembered in the content store (records.LayerBlob): from an earlier image of the destination, from
// the manifest that Reference names, or by reading the blob once. A layer named by digest so costs one HEAD the first time it is used from
// a repository, and nothing after. The tag of an Image is asked for in every build, as that of a base is.
package resolvelayers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Stage is the stage's name.
const Stage = "resolve-layers"

// Repository is where layers and images are read.
type Repository interface {
	pull.Tags
	BlobSize(ctx context.Context, digest cas.Digest) (int64, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Deps are what the stage needs.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Records    *records.Records
	Log        *slog.Logger
	OutputDir  string
	// RegistriesOnly leaves out what lies on this machine, as a cache key stands for that: an item of Files gives no layer, and one of a
	// Tarball a Blob with BlobPath alone. No layer is read for its paths then.
	RegistriesOnly bool
	// Recall says what an earlier image has; nil means none.
	Recall func(context.Context) (*tasks.Recalled, error)
}

// parallel is how many items are looked at side by side.
const parallel = 4

// resolver is the work of one call.
type resolver struct {
	Deps
	req    *Request
	policy pull.Policy
	graph  *image.Graph
	files  *fileRecord
	inputs []tasks.FileDigest
}

// Run finds the layers. Errors are GANTRY4018 to 4025, GANTRY2006 for what the policy does not let it ask for, those of files that scan has,
// and those of the registries. Of several the first item's counts.
func Run(ctx context.Context, d Deps, req *Request) (*tasks.ExtraLayers, error) {
	items, errs := req.parse()
	if len(errs) > 0 {
		return nil, errs[0]
	}
	r := &resolver{Deps: d, req: req}
	var err error
	if r.policy, err = pull.ParsePolicy(req.PullPolicy); err != nil {
		return nil, err
	}
	if r.graph, r.inputs, err = tasks.ReadGraph(req.RidGraphPath); err != nil {
		return nil, err
	}
	for _, it := range items {
		if err := it.knownPlatforms(r.graph, req.RuntimeIdentifier); err != nil {
			return nil, err
		}
	}
	items = slices.DeleteFunc(items, func(it *item) bool { return !r.wanted(it) })
	r.files = openFileRecord(d, req)
	layers, err := r.all(ctx, items)
	if err != nil {
		return nil, err
	}
	if !d.RegistriesOnly { // it has seen no file
		r.files.keep(d.Log)
	}
	resp := &tasks.ExtraLayers{Layers: layers}
	resp.Inputs = r.inputs
	for i := range layers {
		if b := layers[i].Blob; b != nil && b.BlobPath != "" {
			resp.Inputs = append(resp.Inputs, tasks.FileDigest{Path: b.BlobPath, Digest: b.Descriptor.Digest})
		}
	}
	slices.SortFunc(resp.Inputs, func(a, b tasks.FileDigest) int { return strings.Compare(a.Path, b.Path) })
	resp.Inputs = slices.Compact(resp.Inputs)
	return resp, nil
}

func (r *resolver) wanted(it *item) bool {
	if it.serves(r.graph, r.req.RuntimeIdentifier) {
		return true
	}
	r.Log.Info("the layer is left out: it is for another platform", "stage", Stage, "layer", it.name, "platform",
		it.Platform, "runtimeIdentifier", r.req.RuntimeIdentifier)
	return false
}

// all finds the layers of the items, side by side. Items of one layer of files are one.
func (r *resolver) all(ctx context.Context, items []*item) ([]tasks.ExtraLayer, error) {
	groups := grouped(items)
	found := make([][]tasks.ExtraLayer, len(groups))
	errs := make([]error, len(groups))
	var group errgroup.Group
	group.SetLimit(parallel)
	for n, g := range groups {
		group.Go(func() error {
			layers, err := r.layers(ctx, g)
			found[n], errs[n] = layers, g[0].named(err)
			return nil
		})
	}
	_ = group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(append([][]tasks.ExtraLayer{{}}, found...)...), nil
}

// grouped puts items of one layer of files together, at the place of the first.
func grouped(items []*item) (groups [][]*item) {
	at := map[string]int{}
	for _, it := range items {
		if it.kind == typeFiles {
			if n, ok := at[it.name]; ok {
				groups[n] = append(groups[n], it)
				continue
			}
			at[it.name] = len(groups)
		}
		groups = append(groups, []*item{it})
	}
	return groups
}

// layers finds those of one item, or the one of several items of files.
func (r *resolver) layers(ctx context.Context, items []*item) ([]tasks.ExtraLayer, error) {
	it := items[0]
	switch it.kind {
	case typeImage:
		return r.image(ctx, it)
	case typeFiles:
		if r.RegistriesOnly {
			return nil, nil
		}
		files, err := r.filesOf(ctx, items)
		return []tasks.ExtraLayer{it.layer(nil, files)}, err
	case typeTarball:
		if r.RegistriesOnly {
			return []tasks.ExtraLayer{it.layer(&tasks.ExtraBlob{BlobPath: it.Include}, nil)}, nil
		}
		blob, err := r.tarball(ctx, it)
		return []tasks.ExtraLayer{it.layer(blob, nil)}, err
	}
	blob, err := r.digest(ctx, it)
	return []tasks.ExtraLayer{it.layer(blob, nil)}, err
}

// named says in an error which item it is about.
func (i *item) named(err error) error {
	var coded *diag.Error
	if !errors.As(err, &coded) || strings.Contains(err.Error(), "ContainerLayer ") {
		return err
	}
	out := *coded
	out.What = i.label() + ": " + out.What
	return &out
}

func (i *item) layer(blob *tasks.ExtraBlob, files *tasks.ExtraFiles) tasks.ExtraLayer {
	return tasks.ExtraLayer{Name: i.name, Order: i.order, Description: i.Description, Blob: blob, Files: files}
}

// repository is one that items name, as far as the policy lets it be asked.
func (r *resolver) repository(n registry.Name) Repository {
	if r.policy == pull.Never {
		return pull.Offline{Name: n}
	}
	return r.Repository(n, registry.PullMode(n.Registry, r.req.OutputRegistry))
}

// trusts says whether what an earlier image says counts.
func (r *resolver) trusts() bool { return r.req.TrustLayerKeys == nil || *r.req.TrustLayerKeys }
