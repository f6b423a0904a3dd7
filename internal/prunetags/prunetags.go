// Package prunetags removes old cache keys from a repository: the tags content-* and src-* (with 64 hexadecimal digits), and the records
// that belong to them.
//
// No registry says when a tag was written, and nothing in an image does: "created" is SOURCE_DATE_EPOCH or the base image's time, so that
// equal inputs give equal images. It is before the push, so it bounds the age from above: what was created a week ago is no older. From
// below, the age is only known by having looked before: a run that may write notes which tag names which digest today, under the tag
// gantry-prune of the same repository, and the tags that are unchanged since then are at least as old as the note. So the first run
// removes nothing, and one that runs every night removes what was not moved for --keep.
//
// Who sets SOURCE_DATE_EPOCH to the commit's time may take "created" for the age instead (ByCreated), and says with KeepLast how many
// tags stay all the same, as a project that nobody changed for months has old commits and is in use.
//
// An image that a tag of a person names is kept with all its keys. What is removed is the tag alone: the image may run somewhere by its
// digest. Registries that only delete whole images (distribution up to 2.8) get that only when DeleteManifests allows it, and only for
// images that nothing else in the repository names. Space comes free by the registry's own clean-up.
//
// A wrong removal costs a build and never makes a wrong image: a key that is not there is a miss.
package prunetags

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// NoteTag names the artifact that has what earlier runs saw.
const NoteTag = "gantry-prune"

// Repository is what is needed of one; *registry.Repository for registry.ModePush has it.
type Repository interface {
	Tags(ctx context.Context) ([]string, error)
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	ReadBlob(ctx context.Context, digest cas.Digest, size int64) ([]byte, error)
	Referrers(ctx context.Context, subject cas.Digest, artifactType string) ([]registry.Referrer, error)
	DropReferrers(ctx context.Context, subject cas.Digest, gone []cas.Digest) error
	DeleteManifest(ctx context.Context, tagOrDigest string) error
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
	PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error
}

// Options say what is old.
type Options struct {
	Name      registry.Name
	Keep      time.Duration // tags that are younger stay
	KeepLast  int           // so many tags stay whatever their age, the newest by "created", then by when they were first seen
	ByCreated bool          // "created" is the age
	// DeleteManifests allows to delete whole images where a tag alone cannot be deleted, and with them for those who name them by digest.
	DeleteManifests bool
	Now             time.Time
}

// Tag is a key's tag and what is to become of it.
type Tag struct {
	Name    string     `json:"name"`
	Digest  cas.Digest `json:"digest"`
	Created *time.Time `json:"created,omitempty"` // what the image says
	Seen    *time.Time `json:"seen,omitempty"`    // since when the tag is known to name it
	Remove  bool       `json:"remove"`
	Why     string     `json:"why"`
	Removed bool       `json:"removed"`
}

// Result is a plan, and after Apply what became of it.
type Result struct {
	Repository string `json:"repository"`
	Tags       []*Tag `json:"tags"`
	Others     int    `json:"otherTags"` // of people, which are never touched
	Noted      int    `json:"noted"`     // tags whose day was noted in this run, or would be
	Manifests  int    `json:"manifestsRemoved"`
	Records    int    `json:"recordsRemoved"`
	// Refused is what the registry says when it does not delete.
	Refused string `json:"refused,omitempty"`

	options Options
	state   *state
}

// Doomed counts the tags to remove.
func (r *Result) Doomed() (n int) {
	for _, t := range r.Tags {
		if t.Remove {
			n++
		}
	}
	return n
}

// Gone counts the tags that were removed.
func (r *Result) Gone() (n int) {
	for _, t := range r.Tags {
		if t.Removed {
			n++
		}
	}
	return n
}

var (
	sourceTag = regexp.MustCompile(`^src-[0-9a-f]{64}$`)
	listTag   = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)
)

// isKey says whether a tag is a cache key's. Anything may follow content-; a person may begin a tag with src-, so that has to be a hash.
func isKey(tag string) bool {
	return strings.HasPrefix(tag, cachekey.Prefix) && len(tag) > len(cachekey.Prefix) || sourceTag.MatchString(tag)
}

// isOwn says whether a tag is neither a person's nor a key: a list of referrers, or the note.
func isOwn(tag string) bool { return tag == NoteTag || listTag.MatchString(tag) }
