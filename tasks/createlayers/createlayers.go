// Package createlayers is the stage that provides the app's layers: it reads a file list, groups the files into layers by where they
// come from, and takes each layer from where it is known or puts its blob into the content store. The bytes of a layer are those of
// package internal/layer.
//
// # Groups
//
// With layers "auto" the layers are, lowest first: what changes least lies lowest and keeps its digest.
//
//   - runtime: the .NET runtime of a self-contained app
//   - packages-1 to packages-4: the files of packages that publish 256 KiB or more. A package's name alone says which of the four: the
//     first byte of the SHA-256 of its lower-case id, modulo 4. So a package that is added, removed or updated moves no other.
//   - packages: the files of all smaller packages, and of those without a name
//   - projects: referenced projects
//   - the layers of Request.OwnLayers, in their order: a file is in the first whose globs match it, wherever it comes from
//   - app: the rest. This layer is always there.
//
// With "single" all of these but the own layers are the app layer, as the SDK has it.
//
// The static web files (wwwroot) are in the app layer, wherever they come from, unless an own layer has them: their times count from the
// epoch or the base image's creation, and a package layer must change with neither. The list of static web endpoints is always in the
// app layer, and agrees with these times. The epoch is the time of the app layer alone.
//
// Layers of ContainerLayer items (the response of resolve-layers) lie below all of these, or above them with the order AfterApp.
//
// Each layer has the working directory and the folders that its files are in; folders without files are in the app layer. No
// file is in two layers.
//
// # Where a layer comes from
//
// A layer that a ContainerLayer item names in a repository is left there: push has it mounted or passes it on, save fetches it.
//
// Any other layer has a key: layer.Key, which is computed from the file list alone, or for a tarball that of its digest. The layer is
// then, in this order:
//
//  1. taken from the content store, when this machine made a layer of that key before and the store still has its blob;
//  2. taken from an earlier image in a registry that says the same key, without its blob. The registry is asked when that costs nothing
//     or saves the work on 4 MiB of files;
//  3. made; a tarball is copied into the store. Each file is proved to have the content that the list says, so that a layer always is
//     what its key says.
//
// The response is the same in all three cases.
package createlayers

import (
	"context"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/tasks"
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
	// ExtraLayersPath is the response of resolve-layers; empty means that there are no such layers.
	ExtraLayersPath string `json:"extraLayersPath,omitempty"`
	// WorkingDirectory is where the files go, as ContainerWorkingDirectory has it.
	WorkingDirectory string `json:"workingDirectory"`
	// Layers is LayersAuto or LayersSingle; empty is LayersAuto.
	Layers string `json:"layers,omitempty"`
	// Compression is gzip, zstd or none; empty is gzip. zstd is for images in OCI format only.
	Compression string `json:"compression,omitempty"`
	// CompressionLevel is 1 (fast) to 9 (small) for gzip, 1 to 22 for zstd; left out it is the default of package layer. There is none for
	// none.
	CompressionLevel *int `json:"compressionLevel,omitempty"`
	// OwnLayers are layers that take their files before all others, lowest first.
	OwnLayers []OwnLayer `json:"ownLayers,omitempty"`
	// Strict makes an error of two layers that put different content at one path, GANTRY4026.
	Strict bool `json:"strict,omitempty"`
	// TrustLayerKeys set to false takes no layer from a registry: what this machine has not made is made, and compared with what is there.
	TrustLayerKeys *bool `json:"trustLayerKeys,omitempty"`
	// SourceDateEpoch is the value of SOURCE_DATE_EPOCH, empty for none: decimal digits alone, else GANTRY3001. The SDK 11 takes
	// the clock without a word where the value is anything else; Gantry is strict.
	SourceDateEpoch string `json:"sourceDateEpoch,omitempty"`
	// User is ContainerUser. A number owns the files (the SDK 10 does so too); anything else leaves them to root. Windows
	// layers have no owner.
	User string `json:"user,omitempty"`
	// RecallRequestPath is a request of recall, for what an earlier image has; empty means that none is asked for.
	RecallRequestPath string `json:"recallRequestPath,omitempty"`
}

// Response is the stage's response.
type Response struct {
	tasks.ResponseHeader
	// Layers are the layers, lowest first.
	Layers []tasks.Layer `json:"layers"`
}

// Store has the layers' blobs.
type Store interface {
	// Size is the size in bytes of a blob; an error says that the store does not have it.
	Size(cas.Digest) (int64, error)
	// ReadAll reads a small blob.
	ReadAll(cas.Digest) ([]byte, error)
	// Create begins a blob.
	Create() (*cas.Writer, error)
}

// Deps are what the stage needs from outside.
type Deps struct {
	Store Store
	// Records say which layer a key stands for; nil means none.
	Records *records.Records
	// Log may be nil.
	Log *slog.Logger
	// Recall says what an earlier image has; nil means none. RecallCheap says that it was asked in this build already.
	Recall      func(context.Context) (*tasks.Recalled, error)
	RecallCheap bool
	// BlobsNeeded says that the store is to have the blob of every layer that is made here at the end, whatever a registry has.
	BlobsNeeded bool
	// Made is told of each layer as soon as it is taken or made, in any order and from several goroutines at once; may be nil. It is not
	// told of layers with a source.
	Made func(tasks.Layer)
}

// Run provides the layers. Codes: GANTRY1005 to 1010 (request and documents), GANTRY3001 (epoch), GANTRY4002 to 4004 (files),
// GANTRY4009 (store), GANTRY4013 (own layers), GANTRY4014 (zstd in Docker format), GANTRY4021, 4023
// and 4026 (layers of items).
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
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
	s, err := newScene(d, folder, req, in)
	if err != nil {
		return nil, err
	}
	groups, err := plan(ctx, s)
	if err != nil {
		return nil, err
	}
	p := provider{Deps: d, folder: folder, trust: req.TrustLayerKeys == nil || *req.TrustLayerKeys}
	layers, err := p.provide(ctx, groups)
	if err != nil {
		return nil, err
	}
	resp := &Response{
		ResponseHeader: tasks.ResponseHeader{SchemaVersion: tasks.SchemaVersion, Stage: Stage, Inputs: in.digests, Outputs: []tasks.Output{}},
		Layers:         layers,
	}
	for _, l := range layers {
		if l.Source == nil {
			resp.Outputs = append(resp.Outputs, tasks.Output{Digest: l.Descriptor.Digest, Size: l.Descriptor.Size})
		}
	}
	return resp, nil
}
