package tasks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// What a push looks at besides the manifest.
const (
	VerifyManifest = "manifest"
	VerifyBlobs    = "blobs"
	VerifyTags     = "tags"
)

// PushSettings are the settings of a push that do not change the image; push and push-index have them.
type PushSettings struct {
	// SkipPushIfPresent asks the destination first and sends only what is not there; absent means true.
	SkipPushIfPresent *bool `json:"skipPushIfPresent,omitempty"`
	// ForcePush sends everything again, whatever the destination says it has.
	ForcePush bool `json:"forcePush,omitempty"`
	// Verify is what is looked at besides the manifest: "manifest" (nothing, the default), "blobs" (one byte of each blob), "tags"
	// (tags are read back after they were written), or "blobs,tags".
	Verify string `json:"verify,omitempty"`
	// CacheKeyTag is written on the image when all else has been; empty means none. NoKeyReason says why there is none, or keeps one
	// from being written.
	CacheKeyTag string `json:"cacheKeyTag,omitempty"`
	NoKeyReason string `json:"noKeyReason,omitempty"`
	// KeyRepository is where the key's tag goes: a repository of the same registry, or registry/repository; empty means the
	// image's own.
	KeyRepository string `json:"keyRepository,omitempty"`
	// CacheTag is a tag that every push moves, after all else but the key: where a fresh machine finds the last image when all other
	// tags are new. It is no tag of the user's: responses and reports leave it out. Empty means none.
	CacheTag string `json:"cacheTag,omitempty"`
	// AlsoPushTo are further destinations, registry/repository each, which get the same image under the same tags. What keeps one from
	// getting it keeps no other from it. The key's tag, and the cache tag, are written in the first destination alone.
	AlsoPushTo []string `json:"alsoPushTo,omitempty"`
	// Revision and Source say what the image was made from: a commit, and the URL of its repository. They are no part of the image: when
	// it is pushed they are recorded beside it, as a referrer. Empty means none.
	Revision string `json:"revision,omitempty"`
	Source   string `json:"source,omitempty"`
}

// Unasked is the reason for which everything is sent without asking the destination; empty when it is asked.
func (s *PushSettings) Unasked() string {
	switch {
	case s.ForcePush:
		return "forcePush is set"
	case s.SkipPushIfPresent != nil && !*s.SkipPushIfPresent:
		return "skipPushIfPresent is false"
	}
	return ""
}

// Verifies says whether Verify names what.
func (s *PushSettings) Verifies(what string) bool {
	for _, v := range s.verify() {
		if v == what {
			return true
		}
	}
	return false
}

func (s *PushSettings) verify() []string {
	return strings.FieldsFunc(s.Verify, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

// Key is where the key's tag goes for an image in dst; the tag is empty when none is to be written.
func (s *PushSettings) Key(dst registry.Name) (where registry.Name, tag string) {
	if s.NoKeyReason != "" {
		return dst, ""
	}
	return KeyName(dst, s.KeyRepository), s.CacheKeyTag
}

// KeyName is the repository that holds the keys of images in dst: dst itself when keyRepository is empty, else a repository of the same
// registry, or of another when its first part can only be a registry's name (Docker's rule: it has a dot or a colon, or is localhost).
func KeyName(dst registry.Name, keyRepository string) registry.Name {
	if keyRepository == "" {
		return dst
	}
	if host, rest, found := strings.Cut(keyRepository, "/"); found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return registry.NewName(host, rest)
	}
	return registry.NewName(dst.Registry, keyRepository)
}

// Others are the further destinations of an image in dst, each once and dst not among them.
func (s *PushSettings) Others(dst registry.Name) []registry.Name {
	out := []registry.Name{dst}
	for _, text := range s.AlsoPushTo {
		// What cannot be read is a problem of the request.
		if n, err := registry.ParseDestination(text); err == nil && !slices.ContainsFunc(out, n.Same) {
			out = append(out, n)
		}
	}
	return out[1:]
}

// Problems are those of the settings: GANTRY1005, CONTAINER2005, 2007 and 2012.
func (s *PushSettings) Problems(dst registry.Name) []error {
	var errs []error
	for _, text := range s.AlsoPushTo {
		if _, err := registry.ParseDestination(text); err != nil {
			errs = append(errs, err)
		}
	}
	for _, v := range s.verify() {
		if v != VerifyManifest && v != VerifyBlobs && v != VerifyTags {
			errs = append(errs, diag.New(diag.InvalidValue, fmt.Sprintf("verify %q is not known", v), "use manifest, blobs, tags, or blobs,tags"))
		}
	}
	if s.CacheKeyTag != "" {
		errs = append(errs, registry.ParseTag(s.CacheKeyTag))
	}
	if s.CacheTag != "" {
		errs = append(errs, registry.ParseTag(s.CacheTag))
	}
	if s.KeyRepository != "" {
		where := KeyName(dst, s.KeyRepository)
		errs = append(errs, registry.ParseRegistry(where.Registry), registry.ParseRepository(where.Repository))
	}
	return errs
}
