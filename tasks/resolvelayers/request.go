package resolvelayers

import (
	"errors"

	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/tasks"
)

// Request names the items.
type Request struct {
	tasks.RequestHeader
	// Items are ContainerLayer items, in their order.
	Items []Item `json:"items"`
	// ProjectFolderPath is the folder that Files, Except and tarballs are relative to.
	ProjectFolderPath string `json:"projectFolderPath,omitempty"`
	// RuntimeIdentifier is that of the image; items of other platforms are left out.
	RuntimeIdentifier string `json:"runtimeIdentifier,omitempty"`
	// RidGraphPath is the SDK's graph of runtime identifiers; empty means the built-in one.
	RidGraphPath string `json:"ridGraphPath,omitempty"`
	// BaseRegistry is the registry of items that name none.
	BaseRegistry string `json:"baseRegistry,omitempty"`
	// OutputRegistry is the destination's: its credentials are those of a push.
	OutputRegistry string `json:"outputRegistry,omitempty"`
	// WorkingDirectory is ContainerWorkingDirectory, to which files go that have no TargetPath.
	WorkingDirectory string `json:"workingDirectory,omitempty"`
	// User is ContainerUser: a number owns the files that have no Owner, as with the app's.
	User string `json:"user,omitempty"`
	// PullPolicy is a pull.Policy.
	PullPolicy string `json:"pullPolicy,omitempty"`
	// Strict reads every layer, so that create-layers can compare their paths.
	Strict bool `json:"strict,omitempty"`
	// TrustLayerKeys set to false takes nothing from what an earlier image says.
	TrustLayerKeys *bool `json:"trustLayerKeys,omitempty"`
	// RecallRequestPath is a request of recall, for what an earlier image has; empty means that none is asked for.
	RecallRequestPath string `json:"recallRequestPath,omitempty"`
	// RecordPath is a file, relative to the response's folder, that keeps the digests of files by their stat; empty means none.
	RecordPath string `json:"recordPath,omitempty"`
}

// Item is a ContainerLayer item: its Include, and its metadata as they are written.
type Item struct {
	// Include is a digest, a file, a name or a reference, as Type says.
	Include string `json:"include"`
	// Type is Digest, Files, Tarball or Image; empty means that it follows from the rest.
	Type string `json:"type,omitempty"`
	// Registry and Repository have the layer or the image.
	Registry   string `json:"registry,omitempty"`
	Repository string `json:"repository,omitempty"`
	// MediaType is the layer's.
	MediaType string `json:"mediaType,omitempty"`
	// Size is the layer's in bytes, decimal.
	Size string `json:"size,omitempty"`
	// Reference is an image, a tag or a digest in Repository, whose manifest has the layer.
	Reference string `json:"reference,omitempty"`
	// Files and Except are globs, with semicolons between them.
	Files  string `json:"files,omitempty"`
	Except string `json:"except,omitempty"`
	// TargetDirectory is the metadata TargetPath, a folder in the image.
	TargetDirectory string `json:"targetDirectory,omitempty"`
	// Mode is octal digits, Owner is UID or UID:GID.
	Mode  string `json:"mode,omitempty"`
	Owner string `json:"owner,omitempty"`
	// From is the number of the first layer of an image that is taken, from 0; empty means the first above its base.
	From string `json:"from,omitempty"`
	// Base is the reference of the image's base, where the image does not say it.
	Base string `json:"base,omitempty"`
	// Order is BeforeApp or AfterApp.
	Order string `json:"order,omitempty"`
	// Platform is a list of RIDs, with semicolons; empty means every platform.
	Platform string `json:"platform,omitempty"`
	// Description goes to the history.
	Description string `json:"description,omitempty"`
	// Layer groups items whose Include MSBuild expanded to one file each.
	Layer string `json:"layer,omitempty"`
	// RecursiveDir is what a wildcard ** of Include matched: the path below the layer's folder that such a file gets.
	RecursiveDir string `json:"recursiveDir,omitempty"`
}

// Validate returns all problems of the request: of its items GANTRY4018, 4021 to 4023 for what their metadata says alone.
func (r *Request) Validate() error {
	_, errs := r.parse()
	if _, err := pull.ParsePolicy(r.PullPolicy); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
