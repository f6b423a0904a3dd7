package prunetags

import (
	"fmt"
	"io"
)

// Print writes the result for a person.
func (r *Result) Print(w io.Writer, dryRun bool) {
	for _, t := range r.Tags {
		verb := "keep"
		switch {
		case t.Removed:
			verb = "removed"
		case t.Remove && dryRun:
			verb = "would remove"
		case t.Remove:
			verb = "not removed"
		}
		fmt.Fprintf(w, "%-13s%s: %s\n", verb, t.Name, t.Why)
	}
	if dryRun {
		fmt.Fprintf(w, "would remove %d of %d cache keys from %s; %d other tags are not looked at\n", r.Doomed(), len(r.Tags), r.Repository, r.Others)
	} else {
		fmt.Fprintf(w, "removed %d of %d cache keys, %d images and %d records from %s; %d other tags were left alone\n",
			r.Gone(), len(r.Tags), r.Manifests, r.Records, r.Repository, r.Others)
	}
	if r.Noted > 0 {
		how := map[bool]string{true: "with --yes today is noted for", false: "today is noted for"}[dryRun]
		fmt.Fprintf(w, "%s %d tags that were never seen before: no registry says how old a tag is\n", how, r.Noted)
	}
}
