// Package imagediff compares two images, or an image and a folder, and says in words what differs first.
//
// It compares the format, the configuration, the layers, the files and what is recorded of the base. Reasons come before what
// follows from them: an assembly that was compiled from other sources before one that only got another MVID, both before the
// deps.json that names their versions and the layer that holds them. "Only" is said of an assembly when package clrmeta proved it.
//
// Layers come from the content store or the registry, are verified against their digests, the compressed and the uncompressed one, and
// streamed: files are hashed, never written to disk, and kept in memory only when they are assemblies that differ, within a
// budget. Layers that both images begin with are not read: what they hold is equal, and the file list is of what lies above them.
//
// Values of environment variables and labels are secrets until proved otherwise: they are shown as short digests, but for labels that are known
// to be harmless. Names that come out of an image are shown without control characters.
package imagediff
