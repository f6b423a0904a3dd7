package check

import (
	"errors"
	"fmt"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Values of TagsOnHit.
const (
	TagsMove = "move"
	TagsNone = "none"
)

// Request names the key and what the image that it names must be.
type Request struct {
	tasks.RequestHeader
	// ResolveBasePath is the response of resolve-base; Reference is the base itself, when that stage was not run. Without both, the base
	// is the one that the image says it was made from.
	ResolveBasePath string `json:"resolveBasePath,omitempty"`
	Reference       string `json:"reference,omitempty"`
	// OutputRegistry is as in resolve-base; empty means Registry.
	OutputRegistry string `json:"outputRegistry,omitempty"`
	// Registry and Repository are the destination.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// AlsoPushTo are further destinations, as in tasks.PushSettings: on a hit each that lacks the image gets it from the first.
	AlsoPushTo []string `json:"alsoPushTo,omitempty"`
	// KeyRepository is where the key's tag is: a repository of the same registry, or registry/repository; empty means the image's own.
	KeyRepository string `json:"keyRepository,omitempty"`
	// CacheKey is ContainerCacheKey. HashCacheKey allows characters that no tag can have: such a key's tag has its hash.
	CacheKey     string `json:"cacheKey"`
	HashCacheKey bool   `json:"hashCacheKey,omitempty"`
	// KeyIncludesBase says that the key does not stand for the base, so that an image on another base than today's is none; absent means true.
	KeyIncludesBase *bool `json:"keyIncludesBase,omitempty"`
	// ResolveLayersRequestPath is a request of resolve-layers: an image without the layers that its items name in registries is no hit.
	// Empty means that there are no such items.
	ResolveLayersRequestPath string `json:"resolveLayersRequestPath,omitempty"`
	// Tags are those of the image. On a hit TagsOnHit "move" (the default) writes those that name something else, "none" leaves all alone.
	Tags      []string `json:"tags,omitempty"`
	TagsOnHit string   `json:"tagsOnHit,omitempty"`
	// PlatformTags says that each image of an index has the tags, too, with its runtime identifier behind a hyphen.
	PlatformTags bool `json:"platformTags,omitempty"`
	// RuntimeIdentifiers are those that are built for; without any the image's platforms are not looked at.
	RuntimeIdentifiers []string `json:"runtimeIdentifiers,omitempty"`
	// Verify "blobs" asks for one byte of each blob of the image, as a registry can have a manifest whose blobs are gone; "manifest" (the
	// default) looks at no more than a hit needs. "tags" reads tags back that were written. Both together are "blobs,tags".
	Verify string `json:"verify,omitempty"`
	// Index says whether the image has to be an index; absent means that it has to be one for several runtime identifiers.
	Index *bool `json:"index,omitempty"`
	// RidGraphPath is the SDK's RuntimeIdentifierGraphPath; without it image.BuiltinGraph serves.
	RidGraphPath string `json:"ridGraphPath,omitempty"`
	// ImageFormat is ContainerImageFormat: Docker, OCI, or empty for the base's own.
	ImageFormat string `json:"imageFormat,omitempty"`
	// ManifestPath and ConfigPath are files to write on a hit, relative to the response's folder, with the image's documents; IndexPath is
	// for those of an index, where each manifest goes to ManifestPath with the runtime identifier before the extension. Empty means none.
	ManifestPath string `json:"manifestPath,omitempty"`
	ConfigPath   string `json:"configPath,omitempty"`
	IndexPath    string `json:"indexPath,omitempty"`
}

// Validate returns all problems of the request: GANTRY1005, GANTRY1012 for the key, CONTAINER2005, 2007 (2010 for one of several tags),
// 2009, 2012 and 2031.
func (r *Request) Validate() error {
	errs := []error{registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository)}
	if r.ResolveBasePath != "" && r.Reference != "" {
		errs = append(errs, diag.New(diag.InvalidValue, "resolveBasePath and reference name the base twice", "leave one of them out"))
	}
	if r.Reference != "" {
		_, err := registry.ParseReference(r.Reference)
		errs = append(errs, err)
	}
	if r.TagsOnHit != "" && r.TagsOnHit != TagsMove && r.TagsOnHit != TagsNone {
		errs = append(errs, diag.New(diag.InvalidValue, fmt.Sprintf("tagsOnHit %q is not known", r.TagsOnHit), "use move or none"))
	}
	errs = append(errs, (&tasks.PushSettings{Verify: r.Verify, KeyRepository: r.KeyRepository, AlsoPushTo: r.AlsoPushTo}).Problems(r.destination())...)
	_, err := cachekey.Tag(r.CacheKey, r.HashCacheKey)
	errs = append(errs, err)
	_, err = image.ParseFormat(r.ImageFormat)
	errs = append(errs, err)
	errs = append(errs, tasks.TagProblems(r.allTags(), len(r.Tags) > 1)...)
	return errors.Join(errs...)
}

// destination is the repository of the image.
func (r *Request) destination() registry.Name { return registry.NewName(r.Registry, r.Repository) }

// keys is the repository of the key's tag.
func (r *Request) keys() registry.Name { return tasks.KeyName(r.destination(), r.KeyRepository) }

// verifies says whether Verify names what.
func (r *Request) verifies(what string) bool {
	return (&tasks.PushSettings{Verify: r.Verify}).Verifies(what)
}

// tags and rids are what was asked for, each once.
func (r *Request) tags() []string { return tasks.Once(r.Tags) }
func (r *Request) rids() []string { return tasks.Once(r.RuntimeIdentifiers) }

// platformTags are those of one image of an index, as push makes them of tags and suffix.
func (r *Request) platformTags(rid string) []string {
	var out []string
	if r.PlatformTags {
		for _, t := range r.tags() {
			out = append(out, t+"-"+rid)
		}
	}
	return out
}

func (r *Request) allTags() []string {
	out := r.tags()
	for _, rid := range r.rids() {
		out = append(out, r.platformTags(rid)...)
	}
	return out
}

// includesBase says whether the base has to be today's.
func (r *Request) includesBase() bool { return r.KeyIncludesBase == nil || *r.KeyIncludesBase }

// wantsIndex says whether the image has to be an index; asked is false when either will do.
func (r *Request) wantsIndex() (index, asked bool) {
	if r.Index != nil {
		return *r.Index, true
	}
	n := len(r.rids())
	return n > 1, n > 0
}

// Response is the answer: an image, or why there is none.
type Response struct {
	tasks.ResponseHeader
	Hit bool `json:"hit"`
	// Reason says in words why it is a hit or a miss.
	Reason string `json:"reason"`
	// Code is that of the table in package diag, for a miss that has one.
	Code string `json:"code,omitempty"`
	// Tag is the key's tag, also after a miss.
	Tag        string `json:"tag"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Digest and what follows are of the manifest or index, and there after a hit alone.
	Digest    cas.Digest `json:"digest,omitempty"`
	MediaType string     `json:"mediaType,omitempty"`
	Size      int64      `json:"size,omitempty"`
	// Tags are those that name the image now because they were asked for.
	Tags []string `json:"tags"`
	// Platforms are its images, one for each runtime identifier.
	Platforms []Image `json:"platforms"`
	// ManifestPath and ConfigPath are those of an image that is no index.
	ManifestPath string `json:"manifestPath,omitempty"`
	ConfigPath   string `json:"configPath,omitempty"`
	IndexPath    string `json:"indexPath,omitempty"`
}

// ExitCode is the exit status for this answer: a miss is no failure, and a script has to tell it from a hit.
func (r *Response) ExitCode() int {
	if r.Hit {
		return diag.ExitOK
	}
	return diag.ExitNotFound
}

// Image is one of an index, or the only one.
type Image struct {
	RuntimeIdentifier string         `json:"runtimeIdentifier"`
	Platform          tasks.Platform `json:"platform"`
	Digest            cas.Digest     `json:"digest"`
	MediaType         string         `json:"mediaType"`
	Size              int64          `json:"size"`
	ConfigDigest      cas.Digest     `json:"configDigest"`
	// BaseDigest is the base's manifest that the image says it was made from; empty when it was not asked for and does not say.
	BaseDigest   string `json:"baseDigest,omitempty"`
	ManifestPath string `json:"manifestPath,omitempty"`
}
