// Package createlayers is the stage that writes the app's layers: it reads the files of a file list, groups them into layers by
// where they come from, and puts each layer's blob into the content store. The bytes of a layer are those of package
// internal/layer.
//
// With layers "auto" there are up to four, lowest first: the .NET runtime of a self-contained app, packages, referenced
// projects, and the app, which is always there. What changes least lies lowest and keeps its digest. The static web files
// (wwwroot) are all in the app layer, wherever they come from: their times count from the epoch or the base image's creation,
// and a package layer must change with neither. With "single" there is one layer, as the SDK has it.
//
// Each layer has the working directory and the folders that its files are in; folders without files are in the app layer. No
// file is in two layers.
package createlayers

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
	"golang.org/x/sync/errgroup"
)

// Stage is the stage's name.
const Stage = "create-layers"

// Policies of Request.Layers.
const (
	LayersAuto   = "auto"
	LayersSingle = "single"
)

// Request is the stage's request.
type Request struct {
	tasks.RequestHeader
	// SelectBasePath is the response of select-base: the image's format, system and creation time are read from it.
	SelectBasePath string `json:"selectBasePath"`
	// FileListPath is the response of scan.
	FileListPath string `json:"fileListPath"`
	// WorkingDirectory is where the files go, as ContainerWorkingDirectory has it.
	WorkingDirectory string `json:"workingDirectory"`
	// Layers is LayersAuto or LayersSingle; empty is LayersAuto.
	Layers string `json:"layers,omitempty"`
	// CompressionLevel is that of the gzip, 1 to 9; left out it is layer.DefaultLevel.
	CompressionLevel *int `json:"compressionLevel,omitempty"`
	// SourceDateEpoch is the value of SOURCE_DATE_EPOCH, empty for none: decimal digits alone, else GANTRY3001. The SDK 11 takes
	// the clock without a word where the value is anything else; Gantry is strict.
	SourceDateEpoch string `json:"sourceDateEpoch,omitempty"`
	// User is ContainerUser. A number owns the files (the SDK 10 does so too); anything else leaves them to root. Windows
	// layers have no owner.
	User string `json:"user,omitempty"`
}

// Response is the stage's response.
type Response struct {
	tasks.ResponseHeader
	// Layers are the layers, lowest first.
	Layers []tasks.Layer `json:"layers"`
}

// Store takes the layers' blobs.
type Store interface {
	// Create begins a blob.
	Create() (*cas.Writer, error)
}

// Deps are what the stage needs from outside.
type Deps struct {
	Store Store
	// Log may be nil.
	Log *slog.Logger
}

// Run writes the layers. Codes: GANTRY1005 to 1010 (request and documents), GANTRY3001 (epoch), GANTRY4002 to 4004 (files),
// GANTRY4009 (store).
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	in, err := readInputs(req)
	if err != nil {
		return nil, err
	}
	folder, err := layer.OpenFolder(in.folderPath)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	groups, err := plan(ctx, d, folder, req, in)
	if err != nil {
		return nil, err
	}
	layers, err := writeAll(ctx, d, folder, in, groups)
	if err != nil {
		return nil, err
	}
	resp := &Response{
		ResponseHeader: tasks.ResponseHeader{SchemaVersion: tasks.SchemaVersion, Stage: Stage, Inputs: in.digests, Outputs: []tasks.Output{}},
		Layers:         layers,
	}
	for _, l := range layers {
		resp.Outputs = append(resp.Outputs, tasks.Output{Digest: l.Descriptor.Digest, Size: l.Descriptor.Size})
	}
	return resp, nil
}

// writeAll writes the layers side by side. The error is that of the lowest layer that has one of its own.
func writeAll(ctx context.Context, d Deps, folder *layer.Folder, in *inputs, groups []*group) ([]tasks.Layer, error) {
	layers := make([]tasks.Layer, len(groups))
	errs := make([]error, len(groups))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, group := range groups {
		g.Go(func() error {
			layers[i], errs[i] = writeLayer(gctx, d, folder, in, group)
			return errs[i]
		})
	}
	if err := g.Wait(); err != nil {
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }); i >= 0 {
			return nil, errs[i]
		}
		return nil, err
	}
	return layers, nil
}

func writeLayer(ctx context.Context, d Deps, folder *layer.Folder, in *inputs, g *group) (tasks.Layer, error) {
	w, err := d.Store.Create()
	if err != nil {
		return tasks.Layer{}, err
	}
	defer w.Discard()
	made, err := layer.Write(ctx, w, folder, &g.spec)
	if err != nil {
		return tasks.Layer{}, err
	}
	size := w.Size()
	digest, err := w.Commit()
	if err != nil {
		return tasks.Layer{}, err
	}
	if d.Log != nil {
		d.Log.Info("made layer "+g.name, "stage", Stage, "digest", string(digest), "bytes", size, "tarBytes", made.TarSize, "files", len(g.spec.Files))
	}
	return tasks.Layer{
		Name:       g.name,
		Descriptor: tasks.Descriptor{MediaType: mediaType(in.base.Format), Digest: digest, Size: size},
		DiffID:     made.DiffID,
		Files:      len(g.spec.Files),
		CreatedBy:  "gantry " + Stage + ": " + g.name,
	}, nil
}

// mediaType is that of a gzip layer in a format (Docker image manifest version 2, schema 2; OCI image-spec, layer.md).
func mediaType(format string) string {
	if format == tasks.FormatOCI {
		return image.OCILayerGzip
	}
	return image.DockerLayerGzip
}
