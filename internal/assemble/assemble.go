// Package assemble puts an image together from the responses of the earlier stages: its configuration and its manifest. push and save
// share it, so that an image is the same bytes wherever it goes.
package assemble

import (
	"cmp"
	"errors"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// Paths are the responses to read. DownloadLayers may be empty.
type Paths struct {
	SelectBase, ComputeConfig, CreateLayers, DownloadLayers string
}

// Parts are what the earlier stages made.
type Parts struct {
	Base        *tasks.Base
	Layers      []tasks.Layer // the image's own, lowest first
	Inputs      []tasks.FileDigest
	config      tasks.ImageConfig
	annotations map[string]string
	configInput cas.Digest // empty when it is not known
}

// Read reads the responses. Errors are those of tasks.ReadResponse.
func Read(paths Paths) (*Parts, error) {
	var p Parts
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
	base, in, err := tasks.ReadBase(paths.SelectBase)
	if err != nil {
		return nil, err
	}
	p.Base, p.Inputs = base, append(p.Inputs, in)
	read := func(path, stage string, v tasks.Document) {
		in, e := tasks.ReadResponse(path, stage, v)
		p.Inputs = append(p.Inputs, in)
		err = errors.Join(err, e)
	}
	read(paths.ComputeConfig, "compute-config", &config)
	read(paths.CreateLayers, "create-layers", &layers)
	if paths.DownloadLayers != "" {
		read(paths.DownloadLayers, "download-layers", &tasks.ResponseHeader{})
	}
	p.config, p.annotations, p.Layers = config.Config, config.Annotations, layers.Layers
	if d, bad := cas.ParseDigest(config.InputDigest); bad == nil {
		p.configInput = d
	}
	return &p, err
}

// Assemble makes the image's configuration and manifest, all media types in the image's format.
func (p *Parts) Assemble() (config, manifest deliver.Document, err error) {
	format := p.Base.Format
	m := image.Manifest{MediaType: image.ManifestType(format)}
	if format == tasks.FormatOCI && len(p.annotations) > 0 {
		m.Annotations = p.annotations
	}
	descs := append([]tasks.Descriptor(nil), p.Base.Layers...)
	for _, l := range p.Layers {
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
func (p *Parts) newLayers(m *image.Manifest) []image.NewLayer {
	out := make([]image.NewLayer, len(p.Layers))
	for i, l := range p.Layers {
		out[i] = image.NewLayer{DiffID: l.DiffID, CreatedBy: cmp.Or(l.CreatedBy, "gantry: "+l.Name), Comment: l.Comment}
		if l.Key == "" {
			continue
		}
		record := image.Record{Layer: l.Key}
		if i == len(p.Layers)-1 && p.configInput != "" {
			record.Image = &image.ImageRecord{
				Config: p.configInput, Seal: image.Seal(p.config, m.Annotations, m.Layers), Layers: len(p.Layers), Base: p.baseRecord(),
			}
		}
		out[i].Comment = record.Comment()
	}
	return out
}

// baseRecord leaves out what descriptors may say besides naming content: it follows from how the base was found, and not from the base.
func (p *Parts) baseRecord() image.BaseRecord {
	name := func(d tasks.Descriptor) tasks.Descriptor {
		return tasks.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	}
	return image.BaseRecord{Manifest: name(p.Base.Manifest), Config: name(p.Base.Config), Platform: p.Base.Platform, Created: p.Base.Created}
}
