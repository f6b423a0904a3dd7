// Package push is the stage push: it puts an image together from the responses of the earlier stages and puts it into its repository.
//
// Blobs first, side by side: the base's layers (mounted, else from the content store, else streamed from the base's registry), the
// app's layers, those of ContainerLayer items (like the base's, when a repository has them), the configuration. Then the manifest under
// the first tag, then under the others. When anything fails, no manifest is written and the destination's tags stay as they were.
package push

import (
	"errors"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request names the parts and the destination.
type Request struct {
	tasks.RequestHeader
	// SelectBasePath, ComputeConfigPath, CreateLayersPath and DownloadLayersPath are responses. The last may be empty: layers that
	// cannot be mounted are then streamed.
	SelectBasePath     string `json:"selectBasePath"`
	ComputeConfigPath  string `json:"computeConfigPath"`
	CreateLayersPath   string `json:"createLayersPath"`
	DownloadLayersPath string `json:"downloadLayersPath,omitempty"`
	// CreateLayersRequestPath is the request that create-layers was called with. With it, layers that the content store lost since,
	// or that are damaged there, are made again; without it they are GANTRY4011 and 4010.
	CreateLayersRequestPath string `json:"createLayersRequestPath,omitempty"`
	// Registry and Repository are the destination.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Tags are written in this order; without any the image is pushed by its digest. A tag that is named twice is written once.
	Tags []string `json:"tags"`
	// TagSuffix, a runtime identifier, stands behind each tag with a hyphen between them.
	TagSuffix string `json:"tagSuffix,omitempty"`
	// ManifestPath and ConfigPath are files to write, relative to the response's folder; empty means none.
	ManifestPath string `json:"manifestPath,omitempty"`
	ConfigPath   string `json:"configPath,omitempty"`
	// Defer is for one of several platforms whose image is found through the index only: it is put together and the files and the
	// response are written, but the destination is neither asked nor sent anything. push-index has it pushed when the index is not there.
	Defer bool `json:"defer,omitempty"`
	// DownloadLayersRequestPath is a request of download-layers to run when the destination turns out not to have the image, instead of
	// a response named by DownloadLayersPath.
	DownloadLayersRequestPath string `json:"downloadLayersRequestPath,omitempty"`
	// RecallPath is the response of recall, which may not be there: what it asked of the destination in the same build is not asked
	// again, and a layer that the content store lacks is read from the image that it found.
	RecallPath string `json:"recallPath,omitempty"`
	// PullPolicy is a pull.Policy: with "never" nothing is read from the base's registry, and what the content store lacks is GANTRY2006.
	PullPolicy string `json:"pullPolicy,omitempty"`
	tasks.PushSettings
}

// Validate returns all problems of the request: GANTRY1005, CONTAINER2005, 2007 (2010 for one of several tags) and 2012.
func (r *Request) Validate() error {
	var errs []error
	for _, f := range []struct{ name, value, stage string }{
		{"selectBasePath", r.SelectBasePath, "select-base"},
		{"computeConfigPath", r.ComputeConfigPath, "compute-config"},
		{"createLayersPath", r.CreateLayersPath, "create-layers"},
	} {
		if f.value == "" {
			errs = append(errs, diag.New(diag.InvalidValue, f.name+" is missing", "name the response of "+f.stage))
		}
	}
	errs = append(errs, registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository))
	errs = append(errs, tasks.TagProblems(r.tags(), len(r.Tags) > 1)...)
	_, err := pull.ParsePolicy(r.PullPolicy)
	errs = append(errs, err)
	errs = append(errs, r.Problems(registry.NewName(r.Registry, r.Repository))...)
	return errors.Join(errs...)
}

// tags are the tags to write, each once.
func (r *Request) tags() []string {
	suffix := r.TagSuffix
	if suffix != "" {
		suffix = "-" + strings.TrimPrefix(suffix, "-")
	}
	out := tasks.Once(r.Tags)
	for i := range out {
		out[i] += suffix
	}
	return out
}

// Response describes what was pushed.
type Response struct {
	tasks.ResponseHeader
	Registry          string         `json:"registry"`
	Repository        string         `json:"repository"`
	Digest            cas.Digest     `json:"digest"`
	MediaType         string         `json:"mediaType"`
	Size              int64          `json:"size"`
	ConfigDigest      cas.Digest     `json:"configDigest"`
	Platform          tasks.Platform `json:"platform"`
	RuntimeIdentifier string         `json:"runtimeIdentifier"`
	Tags              []string       `json:"tags"`
	ManifestPath      string         `json:"manifestPath,omitempty"`
	ConfigPath        string         `json:"configPath,omitempty"`
}
