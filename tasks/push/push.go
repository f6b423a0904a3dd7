package push

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"golang.org/x/sync/singleflight"

	"github.com/gantry-build/gantry/internal/assemble"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Repository is a repository of a registry.
type Repository interface {
	oracle.Repository
	deliver.Content
}

// Deps are what the stage needs. OutputDir is the response's folder. Parallel bounds the blobs in transfer at once; 0 means 8. Records
// say which repositories have which blobs.
type Deps struct {
	Repository func(registry.Name, registry.Mode) Repository
	Store      *cas.Store
	Records    *records.Records
	Log        *slog.Logger
	Progress   progress.Progress
	OutputDir  string
	Parallel   int
	// RemakeLayers runs create-layers on the request at path, so that its blobs are in the store again.
	RemakeLayers func(ctx context.Context, path string) error
	// DownloadLayers runs download-layers on the request at path.
	DownloadLayers func(ctx context.Context, path string) error
	// Confirm says, after the documents were read and before anything is sent, whether they are still those of this build; nil means that
	// nobody else writes them.
	Confirm func() error
	// KeyWriter writes the tags of keys of the destination's images, in the repository that it is given; nil means as any tag.
	KeyWriter func(registry.Name) deliver.KeyWriter
	// BuildID names the build: what recall asked counts as asked only in the same one, and never when it is empty.
	BuildID string
	// Held are manifests and indexes that the destination has, as it said in this build.
	Held []cas.Digest
	// Answers are what tags of the destination name, as it said in this run.
	Answers map[string]registry.Descriptor
	// ReadOnly says that Repository writes nothing: each blob is asked about, and nothing is remembered.
	ReadOnly bool
	// Sent are uploads to the destination that are under way or done.
	Sent map[cas.Digest]Sent
	// To is the one destination to push to, instead of those of the request; nil means those.
	To *deliver.Destination
	// Together is set when several pushes may need the same layers at once: what is read from another registry is then fetched once for
	// all of them, into the content store, and not streamed.
	Together *singleflight.Group
	// Record notes beside an image that was pushed what it was made from; nil means nothing is noted.
	Record func(ctx context.Context, to deliver.Destination, image registry.Descriptor)
	// Outcome is told what was done, at the end, also when one of several destinations failed; nil means nobody is.
	Outcome func(outcome.Result) error
}

const defaultParallel = 8

// Run pushes the image as far as the destination does not have it. Errors are GANTRY4011 for a layer that is no longer in the store, and
// those of the registries.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	p, err := assemble.Read(assemble.Paths{
		SelectBase: req.SelectBasePath, ComputeConfig: req.ComputeConfigPath, CreateLayers: req.CreateLayersPath, DownloadLayers: req.DownloadLayersPath,
	})
	if err != nil {
		return nil, err
	}
	if d.Confirm != nil {
		if err := d.Confirm(); err != nil {
			return nil, err
		}
	}
	config, manifest, err := p.Assemble()
	if err != nil {
		return nil, err
	}
	s := &shared{Deps: d, req: req, parts: p, config: config, manifest: manifest, ctx: ctx}
	result, err := s.deliver(ctx)
	if err != nil {
		return nil, deliver.Tell(d.Outcome, result, err)
	}
	files := []assemble.File{{Path: req.ConfigPath, Document: config}, {Path: req.ManifestPath, Document: manifest}}
	outputs, err := assemble.Keep(d.Store, d.OutputDir, []deliver.Document{config, manifest}, files...) // last: they describe what was pushed
	if err != nil {
		return nil, err
	}
	if err := deliver.Tell(d.Outcome, result, nil); err != nil {
		return nil, err
	}
	return &Response{
		ResponseHeader:    tasks.ResponseHeader{Inputs: p.Inputs, Outputs: outputs},
		Registry:          req.Registry,
		Repository:        req.Repository,
		Digest:            manifest.Descriptor.Digest,
		MediaType:         manifest.Descriptor.MediaType,
		Size:              manifest.Descriptor.Size,
		ConfigDigest:      config.Descriptor.Digest,
		Platform:          p.Base.Platform,
		RuntimeIdentifier: p.Base.RuntimeIdentifier,
		Tags:              req.tags(),
		ManifestPath:      assemble.OutputPath(d.OutputDir, req.ManifestPath),
		ConfigPath:        assemble.OutputPath(d.OutputDir, req.ConfigPath),
	}, nil
}

// deliver asks, sends what is not there, and writes the names: tags, then the key's.
func (r *run) deliver(ctx context.Context) error {
	r.recalled = r.recall()
	r.blobs = r.sources()
	found, err := r.ask(ctx)
	if err != nil {
		return err
	}
	r.Log.Debug("asked the destination", "digest", r.manifest.Descriptor.Digest, "present", found.Present, "reason", found.Reason)
	r.result.Reason = found.Reason
	if found.Present && r.req.Verifies(tasks.VerifyBlobs) {
		if err := r.repair(ctx); err != nil {
			return err
		}
	}
	if !found.Present {
		r.result.Pushed = true
		if err := r.send(ctx, r.leaveOut(found)); err != nil {
			return err
		}
	}
	if err := r.names(ctx, found); err != nil || r.to.Other {
		return err
	}
	where, tag := r.req.Key(r.dst)
	key := deliver.Key{
		Tag: tag, Reason: r.req.NoKeyReason, At: where, From: r.dst, Target: r.Repository(where, registry.ModePush), Source: r.repo,
		Progress: r.Progress, Log: r.Log, Parallel: r.limit(), Document: r.manifest,
	}
	if r.KeyWriter != nil {
		key.Writer = r.KeyWriter(where)
	}
	r.result.Key, err = key.Write(ctx)
	return err
}

// ask finds out what the destination has, unless the request wants everything sent.
func (r *run) ask(ctx context.Context) (oracle.Finding, error) {
	if reason := r.req.Unasked(); reason != "" {
		return oracle.Finding{Reason: reason}, nil
	}
	o := r.oracle()
	o.Answers = map[string]registry.Descriptor{}
	maps.Copy(o.Answers, r.recalled.answers)
	maps.Copy(o.Answers, r.Answers)
	tags := deliver.Asked(r.req.tags(), r.to.CacheTag(r.req.CacheTag))
	o.Changed = deliver.Changed(r.Store, r.dst, r.manifest.Descriptor.Digest, r.req.tags(), r.Log)
	return o.Look(ctx, r.manifest.Descriptor, tags)
}

func (r *run) oracle() oracle.Oracle {
	return oracle.Oracle{Repository: r.repo, Name: r.dst, Log: r.Log, Parallel: r.limit()}
}

// names writes the tags that do not name the image yet. A registry that said of a blob, or of the whole image, that it was there, and
// misses it now (its cache outlived the blob: seen with distribution 2.8), gets all blobs again, sent and not mounted.
func (r *run) names(ctx context.Context, found oracle.Finding) error {
	w := deliver.Writer{
		Repository: r.repo, Name: r.dst, Log: r.Log, Store: r.Store, Document: r.manifest, Parallel: r.limit(),
		Skipped: found.Present || r.leftOut > 0,
		Restore: func(ctx context.Context, reason error) error {
			r.Log.Info("the registry misses blobs that it said it has; they are sent again", "reason", reason.Error())
			r.result.Pushed, r.result.Reason = true, "the destination said it has blobs that it misses"
			r.result.Blobs = outcome.Blobs{}
			return r.send(ctx, unmounted(r.blobs))
		},
	}
	if r.ReadOnly {
		w.Store = nil
	}
	return w.Names(ctx, &r.result, r.req.tags(), r.to.CacheTag(r.req.CacheTag), found, r.req.Verifies(tasks.VerifyTags))
}

func (d Deps) limit() int {
	if d.Parallel > 0 {
		return d.Parallel
	}
	return defaultParallel
}

// content are the descriptors of all blobs of the image.
func (r *run) content() []image.Descriptor {
	out := slices.Clone(r.parts.Base.Layers)
	for _, l := range r.parts.Layers {
		out = append(out, l.Descriptor)
	}
	return append(out, r.config.Descriptor)
}
