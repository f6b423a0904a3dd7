// Package outcome is what a push did, for people and for programs: one line on standard error, a report in JSON, the table on a CI
// system's page, and the list of images of a build.
//
// It holds what differs from run to run (bytes sent, tags found, why something was skipped) and so has no place in a response, which
// is the same bytes for the same image.
package outcome

import (
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// State is what happened to a tag.
type State string

// States of a tag.
const (
	Current    State = "current"     // it named the image already and was left alone
	Moved      State = "moved"       // it named another image, which is known
	Written    State = "written"     // it was written; what it named before, if anything, was not asked
	NotWritten State = "not written" // of a key's tag
	Planned    State = "planned"     // of a deferred push: nothing was done
)

// Tag is one tag of the image.
type Tag struct {
	Tag   string     `json:"tag"`
	State State      `json:"state"`
	Was   cas.Digest `json:"was,omitempty"` // what it named before, where that is known
}

// Count is a number of blobs and their bytes.
type Count struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

func (c *Count) add(o Count) { c.Count, c.Bytes = c.Count+o.Count, c.Bytes+o.Bytes }

// Blobs says how the blobs of an image came to be in the destination.
type Blobs struct {
	Uploaded Count `json:"uploaded"`
	Mounted  Count `json:"mounted"`
	Existing Count `json:"existing"`
}

// Add counts one blob.
func (b *Blobs) Add(o registry.Outcome, size int64) {
	one := Count{1, size}
	switch o {
	case registry.Mounted:
		b.Mounted.add(one)
	case registry.Exists:
		b.Existing.add(one)
	case registry.Uploaded:
		b.Uploaded.add(one)
	}
}

// AddAll counts those of another image.
func (b *Blobs) AddAll(o Blobs) {
	b.Uploaded.add(o.Uploaded)
	b.Mounted.add(o.Mounted)
	b.Existing.add(o.Existing)
}

// Key is what became of the cache key's tag.
type Key struct {
	Tag        string `json:"tag,omitempty"`
	Repository string `json:"repository,omitempty"` // registry/repository
	State      State  `json:"state"`
	Reason     string `json:"reason,omitempty"` // why it was not written
}

// Result is one run of push or push-index.
type Result struct {
	// Stage is push or push-index.
	Stage string `json:"stage"`
	// Registry and Repository are the destination; Reference is registry/repository.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Reference  string `json:"reference"`
	// Digest is that of the manifest or index.
	Digest    cas.Digest `json:"digest"`
	MediaType string     `json:"mediaType"`
	// Pushed says whether the image's content was sent; tags alone are no push. Deferred says that push-index decides.
	Pushed   bool `json:"pushed"`
	Deferred bool `json:"deferred,omitempty"`
	// Reason says in words why it was pushed or not.
	Reason string `json:"reason"`
	Tags   []Tag  `json:"tags"`
	Blobs  Blobs  `json:"blobs"`
	Key    *Key   `json:"key,omitempty"`
	// CacheTag is the tag that every push moves for the sake of the next; it is none of Tags.
	CacheTag *Tag `json:"cacheTag,omitempty"`
	// Platforms are the images of an index that were asked about, as this run found or pushed them.
	Platforms []Platform `json:"platforms,omitempty"`
	// PlatformTags are the tags of those images.
	PlatformTags []Tag `json:"platformTags,omitempty"`
	// AlsoPushed are the other destinations of the image, in the order in which they were named.
	AlsoPushed []Result `json:"alsoPushed,omitempty"`
	// Error is why this destination did not get the image; nothing else is told of one that failed but its names and the digest.
	Error *Failure `json:"error,omitempty"`
}

// Failure is an error in a report.
type Failure struct {
	Code    diag.Code `json:"code"`
	Message string    `json:"message"`
}

// Each is the result of each destination, that of the first without the others.
func (r Result) Each() []Result {
	first := r
	first.AlsoPushed = nil
	return append([]Result{first}, r.AlsoPushed...)
}

// Failed is the result with nothing but its names, and why it failed.
func (r Result) Failed(err error) Result {
	return Result{
		Stage: r.Stage, Registry: r.Registry, Repository: r.Repository, Reference: r.Reference, Digest: r.Digest, MediaType: r.MediaType,
		Reason: "the destination did not get the image", Tags: []Tag{}, Error: &Failure{diag.CodeOf(err), err.Error()},
	}
}

// Platform is one image of an index.
type Platform struct {
	Platform string     `json:"platform"` // os/architecture[/variant]
	Digest   cas.Digest `json:"digest"`
	Pushed   bool       `json:"pushed"`
	Reason   string     `json:"reason"`
}

// New is the result of a run before anything was done.
func New(stage string, dst registry.Name, image image.Descriptor) Result {
	return Result{
		Stage: stage, Registry: dst.Registry, Repository: dst.Repository, Reference: dst.String(),
		Digest: image.Digest, MediaType: image.MediaType, Tags: []Tag{},
	}
}
