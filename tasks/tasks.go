// Package tasks holds the documents that the stages share: the header of
// requests and responses, descriptors, the file list, the selected base.
//
// A stage is a package below this one with Request, Response, Deps and
//
//	func Run(ctx context.Context, d Deps, req *Request) (*Response, error)
//
// Stages never import each other; what one hands to the next is a document
// of this package or a response file. JSON keys are camelCase; sizes are
// bytes; digests are "sha256:<hex>"; times are RFC 3339 in UTC unless a field
// says otherwise. Path fields of requests end in Path and may be relative to
// the request file's folder.
package tasks

import (
	"encoding/json"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
)

// SchemaVersion is the version of every document of this package. A change
// that an older reader would misread raises it.
const SchemaVersion = 1

// RequestHeader begins every request.
type RequestHeader struct {
	// SchemaVersion is 1.
	SchemaVersion int `json:"schemaVersion"`
	// Stage is the stage's name; it must be the stage that is called.
	Stage string `json:"stage"`
	// Encoding is "percent" when every string of the request is
	// percent-encoded, as MSBuild has to write them; empty for plain JSON.
	Encoding string `json:"encoding,omitempty"`
	// ExtendsPath names another request of the same stage whose fields hold
	// where this one has none. It is how the builds of several runtime
	// identifiers share settings.
	ExtendsPath string `json:"extendsPath,omitempty"`
}

// Header gives the runner access to the embedded header.
func (h *RequestHeader) Header() *RequestHeader { return h }

// ResponseHeader begins every response.
type ResponseHeader struct {
	SchemaVersion int    `json:"schemaVersion"`
	Stage         string `json:"stage"`
	// Inputs are the files that the stage read, in order of path.
	Inputs []FileDigest `json:"inputs"`
	// Outputs are the blobs and files that the stage made.
	Outputs []Output `json:"outputs"`
}

// ResponseOf gives the runner access to the embedded header.
func (h *ResponseHeader) ResponseOf() *ResponseHeader { return h }

// FileDigest is a file as it was read. For a folder that was walked, Path
// ends in a slash and Digest is that of its file list.
type FileDigest struct {
	Path   string     `json:"path"`
	Digest cas.Digest `json:"digest"`
}

// Output is a blob in the content store (Path empty), or a file relative to
// the response's folder.
type Output struct {
	Path   string     `json:"path,omitempty"`
	Digest cas.Digest `json:"digest"`
	Size   int64      `json:"size"`
}

// NameValue is a label or an environment variable.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Port is a port that the image exposes.
type Port struct {
	// Number is decimal digits, 0 to 65535, as the user wrote them.
	Number string `json:"number"`
	// Type is tcp or udp; empty means tcp.
	Type string `json:"type,omitempty"`
}

// Descriptor names content, Platform is that of an image; package image
// defines both.
type (
	Descriptor = image.Descriptor
	Platform   = image.Platform
)

// Image formats.
const (
	FormatDocker = image.FormatDocker
	FormatOCI    = image.FormatOCI
)

// Base is one platform of a base image, selected for a runtime identifier:
// the part of select-base's response that the later stages need.
type Base struct {
	// Reference is the base as the user wrote it, or as it was inferred.
	Reference string `json:"reference"`
	// Registry is host or host:port, without a scheme; Repository the name
	// in it.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Digest is what the reference resolved to: the index when it is one.
	// It is left out of what recall says of a base.
	Digest cas.Digest `json:"digest,omitempty"`
	// Manifest and Config are those of the platform, byte for byte in the
	// content store and in the registry.
	Manifest Descriptor `json:"manifest"`
	Config   Descriptor `json:"config"`
	// Layers are the base's layers, lowest first, as the manifest has them.
	Layers []Descriptor `json:"layers"`
	// Platform is that of the config.
	Platform Platform `json:"platform"`
	// RuntimeIdentifier is the RID that was asked for.
	RuntimeIdentifier string `json:"runtimeIdentifier"`
	// Format is that of the image to be made, FormatDocker or FormatOCI: the
	// base's own unless the request said otherwise.
	Format string `json:"format"`
	// Created is the base's creation time, RFC 3339; empty when it has none.
	Created string `json:"created,omitempty"`
}

// Windows says whether the image is one for Windows, whose layers and paths
// have another shape.
func (b *Base) Windows() bool { return b.Platform.OS == "windows" }

// File types of a FileEntry.
const (
	TypeFile      = "file"
	TypeDirectory = "directory"
)

// Origin kinds of a FileEntry: where a published file comes from. They decide
// the layer.
const (
	OriginApp     = "app"     // the project itself, and files that no item names
	OriginProject = "project" // a referenced project
	OriginPackage = "package" // a NuGet package
	OriginRuntime = "runtime" // the .NET runtime of a self-contained app
)

// FileEntry is one entry of a file list.
type FileEntry struct {
	// Path is relative to the folder, with slashes, UTF-8.
	Path string `json:"path"`
	Type string `json:"type"`
	Size int64  `json:"size"`
	// Origin is an Origin kind; OriginName and OriginVersion the package or
	// project.
	Origin        string `json:"origin,omitempty"`
	OriginName    string `json:"originName,omitempty"`
	OriginVersion string `json:"originVersion,omitempty"`
	// Digest is that of a file's content; a folder has none.
	Digest cas.Digest `json:"digest,omitempty"`
}

// Layer is a layer that was made, as create-layers reports it.
type Layer struct {
	// Name is that of the group of files: app, packages, projects, runtime.
	Name       string     `json:"name"`
	Descriptor Descriptor `json:"descriptor"`
	// DiffID is the digest of the uncompressed tar (image-spec, config.md).
	DiffID cas.Digest `json:"diffId"`
	// Files is the number of files, folders not counted.
	Files int `json:"files"`
	// Key is the digest of everything that decides a byte of the layer: two
	// layers of one key are the same bytes. Empty means that none is known.
	Key cas.Digest `json:"key,omitempty"`
	// Source is where a registry has the layer that a ContainerLayer item names; nil for a layer that was made here. A layer with a source
	// need not be in the content store.
	Source *LayerSource `json:"source,omitempty"`
	// CreatedBy and Comment go to the layer's history entry.
	CreatedBy string `json:"createdBy,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// ImageConfig is an image's configuration document without the app layers,
// kept as raw JSON so that fields that Gantry does not know survive.
type ImageConfig = json.RawMessage
