package push

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/tasks"
)

// parts are what the earlier stages made.
type parts struct {
	base        *tasks.Base
	config      tasks.ImageConfig
	annotations map[string]string
	layers      []tasks.Layer
	inputs      []tasks.FileDigest
}

func readParts(req *Request) (*parts, error) {
	var p parts
	var config struct {
		tasks.ResponseHeader
		Config      tasks.ImageConfig `json:"config"`
		Annotations map[string]string `json:"annotations"`
	}
	var layers struct {
		tasks.ResponseHeader
		Layers []tasks.Layer `json:"layers"`
	}
	base, in, err := tasks.ReadBase(req.SelectBasePath)
	if err != nil {
		return nil, err
	}
	p.base, p.inputs = base, append(p.inputs, in)
	read := func(path, stage string, v tasks.Document) {
		in, e := tasks.ReadResponse(path, stage, v)
		p.inputs = append(p.inputs, in)
		err = errors.Join(err, e)
	}
	read(req.ComputeConfigPath, "compute-config", &config)
	read(req.CreateLayersPath, "create-layers", &layers)
	if req.DownloadLayersPath != "" {
		read(req.DownloadLayersPath, "download-layers", &tasks.ResponseHeader{})
	}
	p.config, p.annotations, p.layers = config.Config, config.Annotations, layers.Layers
	return &p, err
}

// assemble makes the image's configuration and manifest, all media types in the image's format.
func (p *parts) assemble() (config, manifest deliver.Document, err error) {
	format := p.base.Format
	body, err := image.AddLayers(p.config, p.newLayers())
	if err != nil {
		return config, manifest, err
	}
	config = deliver.NewDocument(body, image.ConfigType(format))
	m := image.Manifest{MediaType: image.ManifestType(format), Config: config.Descriptor}
	if format == tasks.FormatOCI && len(p.annotations) > 0 {
		m.Annotations = p.annotations
	}
	descs := append([]tasks.Descriptor(nil), p.base.Layers...)
	for _, l := range p.layers {
		descs = append(descs, l.Descriptor)
	}
	for _, d := range descs {
		if d.MediaType, err = image.LayerType(d.MediaType, format); err != nil {
			return config, manifest, err
		}
		if format == tasks.FormatDocker {
			d.Annotations = nil // Docker's descriptors have none
		}
		m.Layers = append(m.Layers, d)
	}
	if body, err = m.Encode(); err != nil {
		return config, manifest, err
	}
	return config, deliver.NewDocument(body, m.MediaType), nil
}

func (p *parts) newLayers() []image.NewLayer {
	out := make([]image.NewLayer, len(p.layers))
	for i, l := range p.layers {
		out[i] = image.NewLayer{DiffID: l.DiffID, CreatedBy: cmp.Or(l.CreatedBy, "gantry: "+l.Name), Comment: l.Comment}
	}
	return out
}

// inStore says GANTRY4011 of an app layer that the store does not have.
func (p *parts) inStore(store *cas.Store) error {
	for _, l := range p.layers {
		if !pull.Has(store, l.Descriptor) {
			return diag.New(diag.BlobMissing, fmt.Sprintf("the layer %s (%s) is no longer in the content store", l.Descriptor.Digest, l.Name),
				"run create-layers again")
		}
	}
	return nil
}

// keep writes the documents into the store, and to files where the request wants them.
func keep(store *cas.Store, dir string, req *Request, config, manifest deliver.Document) ([]tasks.Output, error) {
	var out []tasks.Output
	for _, doc := range []deliver.Document{config, manifest} {
		if _, err := store.PutBytes(doc.Body); err != nil {
			return nil, err
		}
		out = append(out, tasks.Output{Digest: doc.Descriptor.Digest, Size: doc.Descriptor.Size})
	}
	for _, f := range []struct {
		path string
		doc  deliver.Document
	}{{req.ConfigPath, config}, {req.ManifestPath, manifest}} {
		if f.path == "" {
			continue
		}
		if _, err := atomicfile.WriteIfDifferent(outputPath(dir, f.path), f.doc.Body); err != nil {
			return nil, diag.Wrap(diag.ResponseUnwritable, err, f.path+" cannot be written", "check the folder's rights and the free space")
		}
		out = append(out, tasks.Output{Path: outputPath(dir, f.path), Digest: f.doc.Descriptor.Digest, Size: f.doc.Descriptor.Size})
	}
	return out, nil
}

func outputPath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
