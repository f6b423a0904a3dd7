package save

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/archive"
	"github.com/gantry-build/gantry/internal/assemble"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layout"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// Deps are what the stage needs. OutputDir is the response's folder.
type Deps struct {
	// Repository is where a base's layers are read, Destination where images are pushed.
	Repository  func(registry.Name, registry.Mode) pull.Blobs
	Destination func(registry.Name, registry.Mode) content.Repository
	Store       *cas.Store
	Log         *slog.Logger
	Progress    progress.Progress
	OutputDir   string
	// Getenv is asked for DOCKER_HOST and its like.
	Getenv func(string) string
	// RemakeLayers runs create-layers on the request at path, so that its blobs are in the store again.
	RemakeLayers func(ctx context.Context, path string) error
	// LoadRequest reads a request of this stage.
	LoadRequest func(path string) (*Request, error)
	// Confirm says whether the documents of a folder still are those of this build, after all was read and before the image goes anywhere.
	Confirm func(dir string) error
	// Saved is told what was done, at the end; nil means nobody is.
	Saved func(outcome.Saved) error
}

// Run saves the image as far as the destination does not have it. Errors are GANTRY4011 for a layer that is no longer in the store,
// GANTRY5004 for images that cannot be in one index, those of the destination's package, and those of the base's registry.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	r := &run{Deps: d, req: req, blobs: &blobs{Deps: d, small: map[cas.Digest][]byte{}}}
	if err := r.assemble(); err != nil {
		return nil, err
	}
	if !req.Defer {
		if err := r.everywhere(ctx); err != nil {
			if len(r.did.AlsoPushed) > 0 && d.Saved != nil { // others may have the image
				_ = d.Saved(r.did) // the failure itself is the error
			}
			return nil, err
		}
	}
	if err := r.keep(); err != nil {
		return nil, err
	}
	if d.Saved != nil && !req.Defer {
		if err := d.Saved(r.did); err != nil {
			return nil, err
		}
	}
	return r.resp, nil
}

// run is one image on its way.
type run struct {
	Deps
	req   *Request
	blobs *blobs
	image *content.Image
	// config is that of an image of one platform.
	config *deliver.Document
	resp   *Response
	did    outcome.Saved
}

// assemble puts the image together, or the images and their index.
func (r *run) assemble() error {
	req := r.req
	r.resp = &Response{Registry: req.Registry, Repository: req.Repository, Tags: req.tags(), Manifests: nil}
	r.image = &content.Image{From: r.blobs, Prepare: r.blobs.prepare}
	if len(req.PlatformRequestPaths) == 0 {
		config, p, err := r.one(req)
		if err != nil {
			return err
		}
		r.config, r.image.Top = config, r.image.Children[0]
		r.image.Children = nil
		r.resp.ConfigDigest, r.resp.Platform, r.resp.RuntimeIdentifier = config.Descriptor.Digest, &p.Base.Platform, p.Base.RuntimeIdentifier
	} else if err := r.index(); err != nil {
		return err
	}
	d := r.image.Top.Descriptor
	r.resp.Digest, r.resp.MediaType, r.resp.Size = d.Digest, d.MediaType, d.Size
	return nil
}

// one adds the image of one platform to the children, and its blobs.
func (r *run) one(req *Request) (*deliver.Document, *assemble.Parts, error) {
	p, err := assemble.Read(assemble.Paths{SelectBase: req.SelectBasePath, ComputeConfig: req.ComputeConfigPath, CreateLayers: req.CreateLayersPath})
	if err != nil {
		return nil, nil, err
	}
	if err := r.Confirm(filepath.Dir(req.CreateLayersPath)); err != nil {
		return nil, nil, err
	}
	config, manifest, err := p.Assemble()
	if err != nil {
		return nil, nil, err
	}
	_, needed, err := image.References(manifest.Body, manifest.Descriptor.MediaType)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range needed {
		if !slices.ContainsFunc(r.image.Blobs, func(o image.Descriptor) bool { return o.Digest == b.Digest }) {
			r.image.Blobs = append(r.image.Blobs, b)
		}
	}
	r.blobs.small[config.Descriptor.Digest] = config.Body
	r.blobs.add(p, req)
	r.image.Children = append(r.image.Children, manifest)
	r.resp.Inputs = append(r.resp.Inputs, p.Inputs...)
	return &config, p, nil
}

// index puts the images of several platforms under one index.
func (r *run) index() error {
	var entries []image.Descriptor
	format := ""
	for _, path := range r.req.PlatformRequestPaths {
		req, err := r.LoadRequest(path)
		if err != nil {
			return err
		}
		_, p, err := r.one(req)
		if err != nil {
			return err
		}
		d := r.image.Children[len(r.image.Children)-1].Descriptor
		if format != "" && p.Base.Format != format {
			return diag.New(diag.IndexMismatch, fmt.Sprintf("some images have Docker's format and some OCI's: %s is a %s", d.Digest, d.MediaType),
				"set ContainerImageFormat, so that all have the same")
		}
		format = p.Base.Format
		platform := p.Base.Platform
		d.Platform = &platform
		entries = append(entries, d)
	}
	if err := r.Confirm(r.OutputDir); err != nil {
		return err
	}
	x, err := image.NewIndex(format, entries)
	if err != nil {
		return err
	}
	body, err := x.Encode()
	if err != nil {
		return err
	}
	r.image.Top = deliver.NewDocument(body, x.MediaType)
	r.resp.Manifests = x.Manifests
	return nil
}

// deliver brings the image to its destination.
func (r *run) deliver(ctx context.Context) error {
	r.did = outcome.Saved{Kind: r.req.Destination, Digest: r.image.Top.Descriptor.Digest, Name: r.req.Repository}
	switch r.req.Destination {
	case DestinationArchive:
		return r.toArchive(ctx)
	case DestinationLayout:
		return r.toLayout(ctx)
	}
	return r.toEngine(ctx)
}

func (r *run) names(of func(host, repository, tag string) content.Name) []content.Name {
	var out []content.Name
	for _, t := range r.req.tags() {
		out = append(out, of(r.req.Registry, r.req.Repository, t))
	}
	if len(out) > 0 {
		r.did.Name = r.req.Repository + ":" + strings.Join(r.req.tags(), ", ") // as push and the .NET SDK write it
	}
	return out
}

func (r *run) toArchive(ctx context.Context) error {
	plan := archive.NewOCI
	if r.req.ArchiveFormat == ArchiveDocker || r.req.ArchiveFormat == "" && !r.image.IsIndex() && image.FormatOf(r.image.Top.Descriptor.MediaType) == image.FormatDocker {
		plan = archive.NewDocker
	}
	a, err := plan(r.image, r.names(content.NameOf))
	if err != nil {
		return err
	}
	path := archive.Path(r.req.ArchivePath, r.req.Repository)
	r.did.Where, r.resp.ArchivePath = path, path
	if r.did.Written, err = a.Save(ctx, path); err == nil {
		r.did.Count(a.Blobs())
	}
	return err
}

// toLayout calls the image by its full name, so that images of several repositories may be in one layout.
func (r *run) toLayout(ctx context.Context) error {
	names := r.names(func(host, repository, tag string) content.Name {
		n := content.NameOf(host, repository, tag)
		n.Ref = n.RepoTag
		return n
	})
	added, err := layout.Add(ctx, r.req.LayoutPath, r.image, names)
	r.did.Where, r.resp.LayoutPath = r.req.LayoutPath, r.req.LayoutPath
	r.did.Written, r.did.Blobs = added.Changed, added.Blobs
	return err
}

func (r *run) toEngine(ctx context.Context) error {
	kind, err := engine.ParseKind(r.req.Daemon)
	if err != nil {
		return err
	}
	e, err := engine.Find(ctx, engine.Options{Getenv: r.Getenv, Log: r.Log}, kind)
	if err != nil {
		return err
	}
	r.did.Kind, r.resp.Daemon = string(e.Kind), string(e.Kind)
	img, err := r.held(ctx, e)
	if err != nil {
		return err
	}
	loaded, err := e.Load(ctx, img, r.names(e.NameOf))
	r.did.Written, r.did.Tags, r.did.Blobs = loaded.Sent, loaded.Tags, loaded.Blobs
	r.Log.Debug("asked the engine", "engine", e.Kind, "sent", loaded.Sent, "reason", loaded.Reason)
	return err
}

// keep writes the documents into the store, and to files where the request wants them.
func (r *run) keep() (err error) {
	docs := append(slices.Clone(r.image.Children), r.image.Top)
	files := []assemble.File{{Path: r.req.ManifestPath, Document: r.image.Top}}
	r.resp.ManifestPath = assemble.OutputPath(r.OutputDir, r.req.ManifestPath)
	if r.config != nil {
		docs = append(docs, *r.config)
		files = append(files, assemble.File{Path: r.req.ConfigPath, Document: *r.config})
		r.resp.ConfigPath = assemble.OutputPath(r.OutputDir, r.req.ConfigPath)
	}
	r.resp.Outputs, err = assemble.Keep(r.Store, r.OutputDir, docs, files...)
	return err
}
