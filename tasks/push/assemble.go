package push

import (
	"cmp"
	"errors"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// parts are what the earlier stages made.
type parts struct {
	base        *tasks.Base
	config      tasks.ImageConfig
	annotations map[string]string
	configInput cas.Digest // empty when it is not known
	layers      []tasks.Layer
	inputs      []tasks.FileDigest
}

func readParts(req *Request) (*parts, error) {
	var p parts
	var config struct {
		tasks.ResponseHeader
		Config      tasks.ImageConfig `json:"config"`
		Annotations map[string]string `json:"annotations"`
		InputDigest string            `json:"inputDigest"`
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
	if d, bad := cas.ParseDigest(config.InputDigest); bad == nil {
		p.configInput = d
	}
	return &p, err
}

// assemble makes the image's configuration and manifest, all media types in the image's format.
func (p *parts) assemble() (config, manifest deliver.Document, err error) {
	format := p.base.Format
	m := image.Manifest{MediaType: image.ManifestType(format)}
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
	body, err := image.AddLayers(p.config, p.newLayers(&m))
	if err != nil {
		return config, manifest, err
	}
	config = deliver.NewDocument(body, image.ConfigType(format))
	m.Config = config.Descriptor
	if body, err = m.Encode(); err != nil {
		return config, manifest, err
	}
	return config, deliver.NewDocument(body, m.MediaType), nil
}

// newLayers are the image's own layers with what the history says of them: how each is known again, and at the topmost how the image
// is. m is the manifest but for its configuration.
func (p *parts) newLayers(m *image.Manifest) []image.NewLayer {
	out := make([]image.NewLayer, len(p.layers))
	for i, l := range p.layers {
		out[i] = image.NewLayer{DiffID: l.DiffID, CreatedBy: cmp.Or(l.CreatedBy, "gantry: "+l.Name), Comment: l.Comment}
		if l.Key == "" {
			continue
		}
		record := image.Record{Layer: l.Key}
		if i == len(p.layers)-1 && p.configInput != "" {
			record.Image = &image.ImageRecord{
				Config: p.configInput, Seal: image.Seal(p.config, m.Annotations, m.Layers), Layers: len(p.layers), Base: p.baseRecord(),
			}
		}
		out[i].Comment = record.Comment()
	}
	return out
}

// baseRecord leaves out what descriptors may say besides naming content: it follows from how the base was found, and not from the base.
func (p *parts) baseRecord() image.BaseRecord {
	name := func(d tasks.Descriptor) tasks.Descriptor {
		return tasks.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	}
	return image.BaseRecord{Manifest: name(p.base.Manifest), Config: name(p.base.Config), Platform: p.base.Platform, Created: p.base.Created}
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
