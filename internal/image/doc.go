// Package image reads and writes the documents of container images: manifests, indexes and configurations, in Docker's format
// (distribution, manifest-v2-2.md) and in OCI's (image-spec 1.1). It decides what the .NET SDK decides about them: which platform
// of an index serves a runtime identifier, what an image starts, which ports it exposes.
//
// Documents that come from a registry are foreign: they are parsed strictly, in bounded memory, and whatever is ambiguous is
// refused with a coded error. A configuration is kept as raw JSON, so that fields that this package does not know survive.
//
// Rules that name the SDK were measured on SDK 10.0.401 by publishing with its own task and reading back what it pushed; the
// measurements are in testdata and the tests hold this package to them.
//
// The package does no input or output and holds no state; all of it is safe for concurrent use. The bytes of layers are
// internal/layer's.
package image
