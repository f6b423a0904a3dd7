// Package save is the stage save: it puts an image together from the responses of the earlier stages and brings it to a destination that is
// no registry: an archive, an OCI image layout, Docker or Podman. It is what push is for registries.
//
// The destination is asked first, by digest, so that an image that is there costs neither a layer made again nor a layer of the base
// fetched. Several platforms are several requests, each with defer, and one that names them.
package save

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Destinations.
const (
	DestinationArchive = "archive"
	DestinationLayout  = "layout"
	DestinationDaemon  = "daemon"
)

// Formats of an archive; the empty one is that of the image, as with the .NET SDK.
const (
	ArchiveDocker = "docker"
	ArchiveOCI    = "oci"
)

// Request names the parts and the destination.
type Request struct {
	tasks.RequestHeader
	// SelectBasePath, ComputeConfigPath and CreateLayersPath are responses.
	SelectBasePath    string `json:"selectBasePath,omitempty"`
	ComputeConfigPath string `json:"computeConfigPath,omitempty"`
	CreateLayersPath  string `json:"createLayersPath,omitempty"`
	// CreateLayersRequestPath is the request that create-layers was called with: layers that the content store lost since are made
	// again. Without it they are GANTRY4011.
	CreateLayersRequestPath string `json:"createLayersRequestPath,omitempty"`
	// PlatformRequestPaths are requests of save with defer, one a platform, in any order. With them the image is an index of theirs, and
	// the paths above are theirs alone.
	PlatformRequestPaths []string `json:"platformRequestPaths,omitempty"`
	// Defer puts the image together and writes the documents and the response, and brings it nowhere.
	Defer bool `json:"defer,omitempty"`
	// Repository is the image's name, and Tags its tags in this order. Registry stands before the name; empty means none, as the .NET SDK
	// names what it saves.
	Registry   string   `json:"registry,omitempty"`
	Repository string   `json:"repository"`
	Tags       []string `json:"tags"`
	// AlsoPushTo are registries that get the image too, as in tasks.PushSettings.
	AlsoPushTo []string `json:"alsoPushTo,omitempty"`
	// Destination is archive, layout or daemon.
	Destination string `json:"destination,omitempty"`
	// ArchivePath is ContainerArchiveOutputPath: a file, or a folder when it has no extension or ends in a separator.
	ArchivePath string `json:"archivePath,omitempty"`
	// ArchiveFormat is docker or oci; empty means the image's own, and oci for several platforms.
	ArchiveFormat string `json:"archiveFormat,omitempty"`
	// LayoutPath is the folder of an OCI image layout, in which the image is called repository:tag.
	LayoutPath string `json:"layoutPath,omitempty"`
	// Daemon is docker or podman, in any case of letters; empty means the one that answers.
	Daemon string `json:"daemon,omitempty"`
	// PullPolicy is a pull.Policy: with "never" nothing is read from the base's registry, and what the content store lacks is GANTRY2006.
	PullPolicy string `json:"pullPolicy,omitempty"`
	// ManifestPath and ConfigPath are files to write, relative to the response's folder; empty means none. For several platforms the
	// manifest is the index, and there is no configuration.
	ManifestPath string `json:"manifestPath,omitempty"`
	ConfigPath   string `json:"configPath,omitempty"`
}

// Validate returns all problems of the request: GANTRY1005, CONTAINER2002, 2005, 2007 (2010 for one of several tags) and 2012.
func (r *Request) Validate() error {
	errs := r.partProblems()
	if r.Registry != "" {
		errs = append(errs, registry.ParseRegistry(r.Registry))
	}
	errs = append(errs, registry.ParseRepository(r.Repository))
	errs = append(errs, tasks.TagProblems(r.tags(), len(r.Tags) > 1)...)
	_, err := pull.ParsePolicy(r.PullPolicy)
	errs = append(errs, err)
	errs = append(errs, (&tasks.PushSettings{AlsoPushTo: r.AlsoPushTo}).Problems(registry.Name{})...)
	if !r.Defer {
		errs = append(errs, r.destinationProblem())
	}
	return errors.Join(errs...)
}

func (r *Request) partProblems() (errs []error) {
	for _, f := range []struct{ name, value, stage string }{
		{"selectBasePath", r.SelectBasePath, "select-base"},
		{"computeConfigPath", r.ComputeConfigPath, "compute-config"},
		{"createLayersPath", r.CreateLayersPath, "create-layers"},
	} {
		several := len(r.PlatformRequestPaths) > 0
		switch {
		case several && f.value != "":
			errs = append(errs, diag.New(diag.InvalidValue, f.name+" and platformRequestPaths exclude each other", "leave one of them out"))
		case !several && f.value == "":
			errs = append(errs, diag.New(diag.InvalidValue, f.name+" is missing", "name the response of "+f.stage))
		}
	}
	return errs
}

func (r *Request) destinationProblem() error {
	invalid := func(what, hint string) error { return diag.New(diag.InvalidValue, what, hint) }
	switch {
	case r.Destination == DestinationArchive && r.ArchivePath == "":
		return invalid("archivePath is missing", "name a file or folder")
	case r.Destination == DestinationArchive && !slices.Contains([]string{"", ArchiveDocker, ArchiveOCI}, r.ArchiveFormat):
		return invalid(fmt.Sprintf("archiveFormat %q is not known", r.ArchiveFormat), "use docker or oci")
	case r.Destination == DestinationArchive:
		return nil
	case r.Destination == DestinationLayout && r.LayoutPath == "":
		return invalid("layoutPath is missing", "name a folder")
	case r.Destination == DestinationLayout:
		return nil
	case r.Destination == DestinationDaemon && len(r.Tags) == 0:
		return invalid("tags is empty", "an image in Docker or Podman needs a name")
	case r.Destination == DestinationDaemon:
		_, err := engine.ParseKind(r.Daemon)
		return err
	}
	return invalid(fmt.Sprintf("destination %q is not known", r.Destination), "use archive, layout or daemon")
}

// tags are the tags, each once.
func (r *Request) tags() []string { return tasks.Once(r.Tags) }

// Response describes what was saved.
type Response struct {
	tasks.ResponseHeader
	Registry   string     `json:"registry,omitempty"`
	Repository string     `json:"repository"`
	Digest     cas.Digest `json:"digest"`
	MediaType  string     `json:"mediaType"`
	Size       int64      `json:"size"`
	// ConfigDigest, Platform and RuntimeIdentifier are those of an image of one platform.
	ConfigDigest      cas.Digest      `json:"configDigest,omitempty"`
	Platform          *tasks.Platform `json:"platform,omitempty"`
	RuntimeIdentifier string          `json:"runtimeIdentifier,omitempty"`
	// Manifests are the images of an index.
	Manifests []tasks.Descriptor `json:"manifests,omitempty"`
	Tags      []string           `json:"tags"`
	// ArchivePath is the archive, LayoutPath the layout, Daemon docker or podman.
	ArchivePath  string `json:"archivePath,omitempty"`
	LayoutPath   string `json:"layoutPath,omitempty"`
	Daemon       string `json:"daemon,omitempty"`
	ManifestPath string `json:"manifestPath,omitempty"`
	ConfigPath   string `json:"configPath,omitempty"`
}
