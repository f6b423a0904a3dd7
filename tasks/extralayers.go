package tasks

import "github.com/gantry-build/gantry/internal/cas"

// Places of an extra layer.
const (
	OrderBeforeApp = "BeforeApp"
	OrderAfterApp  = "AfterApp"
)

// LayerSource is a repository that has a layer.
type LayerSource struct {
	// Registry is host or host:port, Repository the name in it.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
}

// ExtraLayers is the response of resolve-layers: the layers that ContainerLayer items bring, for one platform.
type ExtraLayers struct {
	ResponseHeader
	// Layers are in the order of the items; those of OrderBeforeApp lie below the app's layers and the others above them.
	Layers []ExtraLayer `json:"layers"`
}

// ExtraLayer is one of them: a finished blob, or files of which create-layers makes a layer. Exactly one of Blob and Files is set.
type ExtraLayer struct {
	// Name is the item's Include, or its Layer metadata; for an image its reference and the layer's number.
	Name string `json:"name"`
	// Order is OrderBeforeApp or OrderAfterApp.
	Order string `json:"order"`
	// Description goes to the layer's entry of history; empty means that create-layers words it.
	Description string      `json:"description,omitempty"`
	Blob        *ExtraBlob  `json:"blob,omitempty"`
	Files       *ExtraFiles `json:"files,omitempty"`
}

// ExtraBlob is a layer that is taken as it is.
type ExtraBlob struct {
	Descriptor Descriptor `json:"descriptor"`
	// DiffID is the digest of the uncompressed tar.
	DiffID cas.Digest `json:"diffId"`
	// Key is that of the layer in the image's record: BlobKey of the digest.
	Key cas.Digest `json:"key"`
	// Source is the repository that has it; nil for a tarball.
	Source *LayerSource `json:"source,omitempty"`
	// BlobPath is a tarball's file, absolute. Its content has Descriptor's digest.
	BlobPath string `json:"blobPath,omitempty"`
	// Contents is the blob in the content store that lists the layer's paths (package layertoc); empty when the layer was not read.
	Contents cas.Digest `json:"contents,omitempty"`
}

// ExtraFiles are the files of a layer that create-layers makes.
type ExtraFiles struct {
	// TargetDirectory is the folder in the image that the paths are relative to.
	TargetDirectory string `json:"targetDirectory"`
	// UID and GID own the entries.
	UID int64 `json:"uid"`
	GID int64 `json:"gid"`
	// Mode is that of files, octal digits; empty means 0755, as the app's files have.
	Mode  string      `json:"mode,omitempty"`
	Files []ExtraFile `json:"files"`
}

// ExtraFile is one file of a layer.
type ExtraFile struct {
	// Path is relative to TargetDirectory, with slashes.
	Path string `json:"name"`
	// SourcePath is the file on this machine, absolute.
	SourcePath string     `json:"sourcePath"`
	Size       int64      `json:"size"`
	Digest     cas.Digest `json:"digest"`
}

// BlobKey is the key of a layer that is named by its digest: the digest alone decides every byte of it.
func BlobKey(d cas.Digest) cas.Digest {
	return cas.DigestOf([]byte("gantry blob layer 1\n" + string(d) + "\n"))
}
