package image

import (
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
)

// Media types of manifests, indexes and configurations (image-spec, media-types.md; distribution, manifest-v2-2.md).
const (
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig   = "application/vnd.docker.container.image.v1+json"
	OCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex       = "application/vnd.oci.image.index.v1+json"
	OCIConfig      = "application/vnd.oci.image.config.v1+json"
)

// Media types of layers. Docker has none for zstd.
const (
	DockerLayerGzip   = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerLayerTar    = "application/vnd.docker.image.rootfs.diff.tar"
	DockerForeignGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	DockerForeignTar  = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	OCILayerGzip      = "application/vnd.oci.image.layer.v1.tar+gzip"
	OCILayerTar       = "application/vnd.oci.image.layer.v1.tar"
	OCILayerZstd      = "application/vnd.oci.image.layer.v1.tar+zstd"
	OCIForeignGzip    = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	OCIForeignTar     = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	OCIForeignZstd    = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
)

// layerKind is what two media types of one kind of layer have in common, and what sets them apart.
type layerKind struct {
	docker, oci string // the media type in each format; docker is empty when Docker has none
	foreign     bool
}

var layerKinds = []layerKind{
	{DockerLayerGzip, OCILayerGzip, false},
	{DockerLayerTar, OCILayerTar, false},
	{"", OCILayerZstd, false},
	{DockerForeignGzip, OCIForeignGzip, true},
	{DockerForeignTar, OCIForeignTar, true},
	{"", OCIForeignZstd, true},
}

func kindOfLayer(mediaType string) (layerKind, bool) {
	for _, k := range layerKinds {
		if mediaType != "" && (mediaType == k.docker || mediaType == k.oci) {
			return k, true
		}
	}
	return layerKind{}, false
}

// IsIndex says whether mediaType is that of an image index or manifest list.
func IsIndex(mediaType string) bool { return mediaType == DockerIndex || mediaType == OCIIndex }

// IsManifest says whether mediaType is that of an image's manifest.
func IsManifest(mediaType string) bool {
	return mediaType == DockerManifest || mediaType == OCIManifest
}

// IsForeign says whether a layer of this media type is never pushed to registries (image-spec, layer.md, non-distributable
// layers): its descriptor is kept as it is, and its content is neither fetched nor mounted.
func IsForeign(mediaType string) bool {
	k, ok := kindOfLayer(mediaType)
	return ok && k.foreign
}

// FormatOf returns the image format that a manifest's or index's media type belongs to; "" for any other media type.
func FormatOf(mediaType string) string {
	switch mediaType {
	case DockerManifest, DockerIndex:
		return FormatDocker
	case OCIManifest, OCIIndex:
		return FormatOCI
	}
	return ""
}

// ParseFormat reads ContainerImageFormat. The SDK compares with regard to case, and so does this; empty means that the base decides.
// Anything else is CONTAINER2031.
func ParseFormat(s string) (string, error) {
	switch s {
	case "":
		return "", nil
	case "Docker":
		return FormatDocker, nil
	case "OCI":
		return FormatOCI, nil
	}
	return "", diag.New(diag.InvalidImageFormat, fmt.Sprintf("the image format %q is not supported", s), "set ContainerImageFormat to Docker or OCI")
}

// ManifestType is the media type of manifests in a format.
func ManifestType(format string) string { return pick(format, DockerManifest, OCIManifest) }

// IndexType is the media type of indexes in a format.
func IndexType(format string) string { return pick(format, DockerIndex, OCIIndex) }

// ConfigType is the media type of configurations in a format.
func ConfigType(format string) string { return pick(format, DockerConfig, OCIConfig) }

func pick(format, docker, oci string) string {
	if format == FormatDocker {
		return docker
	}
	return oci
}

// LayerType returns what the media type of a layer is in a format. The SDK leaves the base's layers as they are when
// ContainerImageFormat differs from the base's format, which makes manifests of mixed types; this rewrites them. An unknown media
// type is CONTAINER2001, zstd under Docker GANTRY2001.
func LayerType(mediaType, format string) (string, error) {
	k, ok := kindOfLayer(mediaType)
	if !ok {
		return "", diag.New(diag.UnknownMediaType, fmt.Sprintf("the base image has a layer of the unknown media type %q", mediaType),
			"use a base image with tar, tar+gzip or tar+zstd layers")
	}
	if format != FormatDocker {
		return k.oci, nil
	}
	if k.docker == "" {
		return "", diag.New(diag.ZstdUnderDocker, fmt.Sprintf("the base image has a layer of media type %s, which the Docker format does not know", mediaType),
			"set ContainerImageFormat to OCI")
	}
	return k.docker, nil
}
