package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Repository is a repository of a registry.
type Repository interface {
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
}

// Deps are what the stage needs. OutputDir is the response's folder. Parallel bounds the blobs in transfer at once; 0 means 8.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Log        *slog.Logger
	Progress   progress.Progress
	OutputDir  string
	Parallel   int
	// RemakeLayers runs create-layers on the request at path, so that its blobs are in the store again.
	RemakeLayers func(ctx context.Context, path string) error
}

const defaultParallel = 8

// Run pushes the image. Errors are GANTRY4011 for a layer that is no longer in the store, and those of the registries.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	p, err := readParts(req)
	if err != nil {
		return nil, err
	}
	config, manifest, err := p.assemble()
	if err != nil {
		return nil, err
	}
	if err := d.checkStore(ctx, p, req); err != nil {
		return nil, err
	}
	dst := registry.NewName(req.Registry, req.Repository)
	repo := d.Repository(dst, registry.ModePush)
	blobs := p.blobs(d, dst, config)
	err = d.pushBlobs(ctx, repo, blobs)
	if diag.CodeOf(err) == diag.StoreCorrupt && d.checkStore(ctx, p, req) == nil {
		err = d.pushBlobs(ctx, repo, blobs) // the store drops what it finds damaged, so the layer was made again
	}
	if err != nil {
		return nil, err
	}
	if err := d.pushImage(ctx, repo, req.tags(), manifest, blobs); err != nil {
		return nil, err
	}
	outputs, err := keep(d.Store, d.OutputDir, req, config, manifest) // files last: they describe what was pushed
	if err != nil {
		return nil, err
	}
	return &Response{
		ResponseHeader:    tasks.ResponseHeader{Inputs: p.inputs, Outputs: outputs},
		Registry:          req.Registry,
		Repository:        req.Repository,
		Digest:            manifest.desc.Digest,
		MediaType:         manifest.desc.MediaType,
		Size:              manifest.desc.Size,
		ConfigDigest:      config.desc.Digest,
		Platform:          p.base.Platform,
		RuntimeIdentifier: p.base.RuntimeIdentifier,
		Tags:              req.tags(),
		ManifestPath:      outputPath(d.OutputDir, req.ManifestPath),
		ConfigPath:        outputPath(d.OutputDir, req.ConfigPath),
	}, nil
}

// checkStore makes sure, before anything is sent, that the store has the app's layers: what it lost is made again.
func (d Deps) checkStore(ctx context.Context, p *parts, req *Request) error {
	err := p.inStore(d.Store)
	if err == nil || req.CreateLayersRequestPath == "" || d.RemakeLayers == nil {
		return err
	}
	d.Log.Info("layers are made again", "reason", err.Error())
	if err := d.RemakeLayers(ctx, req.CreateLayersRequestPath); err != nil {
		return err
	}
	return p.inStore(d.Store) // other bytes than before: the publish folder is not what create-layers saw
}

// blobs are all blobs of the image that the destination must have, each once. Those that cannot be mounted from the base are asked
// for as a mount from the destination itself: a registry that has the blob says so, one that has not has opened the upload.
func (p *parts) blobs(d Deps, dst registry.Name, config document) []registry.BlobSource {
	src := registry.NewName(p.base.Registry, p.base.Repository)
	mode, from := registry.ModePull, dst.Repository
	if dst.SameRegistry(src) {
		mode, from = registry.ModePullFromOutput, src.Repository
	}
	origin := d.Repository(src, mode)
	var out []registry.BlobSource
	seen := map[cas.Digest]bool{}
	add := func(desc tasks.Descriptor, mountFrom string, open func(context.Context) (io.ReadCloser, error)) {
		if !seen[desc.Digest] && !image.IsForeign(desc.MediaType) {
			seen[desc.Digest] = true
			out = append(out, registry.BlobSource{Digest: desc.Digest, Size: desc.Size, MountFrom: mountFrom, Open: open})
		}
	}
	for _, l := range p.base.Layers {
		add(l, from, func(ctx context.Context) (io.ReadCloser, error) {
			if pull.Has(d.Store, l) {
				return d.Store.Open(l.Digest)
			}
			return origin.Blob(ctx, l.Digest, l.Size)
		})
	}
	for _, l := range p.layers {
		add(l.Descriptor, dst.Repository, func(context.Context) (io.ReadCloser, error) { return d.Store.Open(l.Descriptor.Digest) })
	}
	add(config.desc, dst.Repository, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(config.body)), nil
	})
	return out
}

// pushBlobs sends the blobs side by side; the first failure ends the others.
func (d Deps) pushBlobs(ctx context.Context, repo Repository, blobs []registry.BlobSource) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.limit())
	for _, b := range blobs {
		group.Go(func() error {
			outcome, err := repo.PushBlob(ctx, b, d.Progress)
			if err == nil {
				d.Log.Debug(string(outcome), "digest", b.Digest, "bytes", b.Size)
			}
			return err
		})
	}
	return group.Wait()
}

// pushImage writes the manifest under the first tag, and only when that stands under the others. A registry that said of a blob that it
// was there, and misses it now (its cache outlived the blob: seen with distribution 2.8), gets all blobs again, sent and not mounted.
func (d Deps) pushImage(ctx context.Context, repo Repository, tags []string, m document, blobs []registry.BlobSource) error {
	if len(tags) == 0 {
		tags = []string{string(m.desc.Digest)}
	}
	put := func(ctx context.Context, tag string) error {
		err := repo.PushManifest(ctx, tag, m.desc.MediaType, m.body)
		if err == nil {
			d.Log.Debug("pushed", "ref", tag, "digest", m.desc.Digest)
		}
		return err
	}
	err := put(ctx, tags[0])
	if errors.Is(err, registry.ErrBlobUnknown) {
		d.Log.Info("the registry misses blobs that it said it has; they are sent again", "reason", err.Error())
		again := slices.Clone(blobs)
		for i := range again {
			again[i].MountFrom = ""
		}
		if err := d.pushBlobs(ctx, repo, again); err != nil {
			return err
		}
		err = put(ctx, tags[0])
	}
	if err != nil {
		return err
	}
	group := errgroup.Group{}
	group.SetLimit(d.limit())
	errs := make([]error, len(tags))
	for i, tag := range tags[1:] {
		group.Go(func() error {
			errs[i] = put(ctx, tag) // one refused tag does not keep the others back
			return nil
		})
	}
	_ = group.Wait() // never fails: each tag's error is in errs
	return errors.Join(errs...)
}

func (d Deps) limit() int {
	if d.Parallel > 0 {
		return d.Parallel
	}
	return defaultParallel
}
