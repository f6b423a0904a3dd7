package createlayers

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// readExtras reads the response of resolve-layers, with absolute paths.
func readExtras(file string) ([]tasks.ExtraLayer, tasks.FileDigest, error) {
	var doc tasks.ExtraLayers
	read, err := tasks.ReadResponse(file, "resolve-layers", &doc)
	if err != nil {
		return nil, read, err
	}
	absolute := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(filepath.Dir(file), filepath.FromSlash(p))
	}
	for i := range doc.Layers {
		l := &doc.Layers[i]
		if why := extraProblem(l); why != "" {
			return nil, read, diag.New(diag.InvalidValue, fmt.Sprintf("%s: layers[%d] %s", file, i, why), "make it with gantry resolve-layers")
		}
		if l.Blob != nil {
			l.Blob.BlobPath = absolute(l.Blob.BlobPath)
			continue
		}
		for j := range l.Files.Files {
			l.Files.Files[j].SourcePath = absolute(l.Files.Files[j].SourcePath)
		}
	}
	return doc.Layers, read, nil
}

// addExtras puts the layers of ContainerLayer items below and above those of the app.
func (s *scene) addExtras(app []*group, extras []tasks.ExtraLayer) ([]*group, error) {
	var below, above []*group
	var errs []error
	for i := range extras {
		e := &extras[i]
		g, err := s.extra(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if e.Order == tasks.OrderAfterApp {
			above = append(above, g)
		} else {
			below = append(below, g)
		}
	}
	return append(append(below, app...), above...), errors.Join(errs...)
}

// extra is the layer of one item.
func (s *scene) extra(e *tasks.ExtraLayer) (*group, error) {
	g := &group{name: e.Name, extra: true, createdBy: cmp.Or(e.Description, "gantry resolve-layers: "+historyName(e))}
	if e.Blob == nil {
		return g, s.filesLayer(g, e.Files)
	}
	mediaType, err := image.LayerType(e.Blob.Descriptor.MediaType, s.in.base.Format)
	switch {
	case diag.CodeOf(err) == diag.ZstdUnderDocker:
		return nil, diag.New(diag.ZstdImage,
			fmt.Sprintf("the layer %q is compressed with zstd, and the image is in Docker format, which does not know that", e.Name),
			"set ContainerImageFormat to OCI, or name a layer with gzip")
	case err != nil:
		return nil, diag.New(diag.NotALayer, fmt.Sprintf("%q has the media type %q, which is none of a layer", e.Name, e.Blob.Descriptor.MediaType),
			"name the digest of a layer, as the manifest lists it")
	case image.IsForeign(mediaType):
		return nil, diag.New(diag.ForeignLayer, fmt.Sprintf("the layer %q is foreign: its content is elsewhere, and is not fetched from there", e.Name),
			"name a layer that the repository has itself")
	}
	g.blob, g.key, g.mediaType = e.Blob, e.Blob.Key, mediaType
	return g, nil
}

// filesLayer plans a layer of files. Its time is that of package layers, as nothing of it is the app's own; but a file that the app serves
// has the time that its content gives it, as those in the app's layer do.
func (s *scene) filesLayer(g *group, f *tasks.ExtraFiles) error {
	g.mediaType = s.mediaType
	g.spec = layer.Spec{
		WorkingDirectory: f.TargetDirectory, Windows: s.in.base.Windows(), Time: layer.DefaultTime, Compression: s.compression,
	}
	if !g.spec.Windows {
		g.spec.UID, g.spec.GID = f.UID, f.GID
		g.spec.Mode, _ = strconv.ParseInt(f.Mode, 8, 64) // filesProblem has read it; an empty one is 0, the default
	}
	root := layer.ContainerPath(f.TargetDirectory, g.spec.Windows)
	served := path.Join(layer.ContainerPath(s.req.WorkingDirectory, g.spec.Windows), layer.StaticFolder) + "/"
	for _, file := range f.Files {
		entry := layer.File{Path: file.Path, SourcePath: file.SourcePath, Size: file.Size, Digest: file.Digest, Time: layer.DefaultTime}
		if strings.HasPrefix(path.Join(root, file.Path), served) {
			entry.Time = layer.StaticTime(s.t0, file.Digest)
		}
		g.spec.Files = append(g.spec.Files, entry)
	}
	var err error
	g.key, err = layer.Key(&g.spec, g.mediaType)
	return err
}

// historyName is what the image's history calls a layer: nothing that differs from machine to machine, as the folder of a tarball may.
func historyName(e *tasks.ExtraLayer) string {
	name := strings.ReplaceAll(e.Name, `\`, "/")
	drive := len(name) > 2 && name[1] == ':' && name[2] == '/'
	if e.Blob != nil && e.Blob.BlobPath != "" || strings.HasPrefix(name, "/") || drive {
		return path.Base(name)
	}
	return e.Name
}
