package outcome

import (
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/progress"
)

// Line says in one line what was done; empty for a push that was deferred, of which push-index tells, and for one that failed, of which the
// error tells.
func (r Result) Line() string {
	switch {
	case r.Deferred || r.Error != nil:
		return ""
	case r.Pushed:
		return fmt.Sprintf("Pushed image '%s' to registry '%s' (%s): %s%s", r.name(), r.Registry, r.Digest, r.Blobs, r.keyText())
	}
	text := fmt.Sprintf("Image already present in '%s' (%s)", r.Reference, r.Digest)
	if tags := r.tags(false); len(tags) > 0 {
		text += "; tags updated without rebuild: " + strings.Join(tags, ", ")
	} else if len(r.Tags) > 0 {
		text += "; all tags are current"
	}
	return text + r.keyText()
}

// name is repository:tags, as the .NET SDK's own line has it.
func (r Result) name() string {
	if tags := r.tags(true); len(tags) > 0 {
		return r.Repository + ":" + strings.Join(tags, ", ")
	}
	return r.Repository
}

// tags are those that were written, or all.
func (r Result) tags(all bool) []string {
	var out []string
	for _, t := range r.Tags {
		if all || t.State != Current {
			out = append(out, t.Tag)
		}
	}
	return out
}

func (r Result) keyText() string {
	switch {
	case r.Key == nil:
		return ""
	case r.Key.State == NotWritten:
		return "; no cache key was written: " + r.Key.Reason
	case r.Key.Repository != r.Reference:
		return "; cache key " + r.Key.Repository + ":" + r.Key.Tag
	}
	return "; cache key " + r.Key.Tag
}

// String is like "2 blobs uploaded (850.9 kB), 5 mounted, 1 found there"; kinds that did not happen are left out.
func (b Blobs) String() string {
	var parts []string
	if b.Uploaded.Count > 0 || b.Mounted.Count+b.Existing.Count == 0 {
		parts = append(parts, progress.Count(b.Uploaded.Count, "blob")+" uploaded")
		if b.Uploaded.Bytes > 0 {
			parts[0] += " (" + progress.Bytes(b.Uploaded.Bytes) + ")"
		}
	} else {
		parts = append(parts, "no blob uploaded")
	}
	if n := b.Mounted.Count; n > 0 {
		parts = append(parts, fmt.Sprintf("%d mounted", n))
	}
	if n := b.Existing.Count; n > 0 {
		parts = append(parts, fmt.Sprintf("%d found there", n))
	}
	return strings.Join(parts, ", ")
}
