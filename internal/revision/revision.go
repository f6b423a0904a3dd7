// Package revision finds out whether a push made a new image though no program in it changed: a commit was stamped into its assemblies.
//
// It says so only when it is proved. The image that the tag named before is compared with the new one (package imagediff), and every
// difference that does not follow from another must be the revision: in the InformationalVersion of an assembly, in the Source Link
// document of its debug file, or in the label for it. It reads the content store alone: what is not there any more proves nothing.
package revision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/clrmeta"
	"github.com/gantry-build/gantry/internal/imagediff"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// label is where the SDK writes the revision.
const label = "org.opencontainers.image.revision"

// Message is one sentence when the revision is all that differs between the image of r and the one before; empty when it is not, or not
// proved.
func Message(ctx context.Context, store *cas.Store, r outcome.Result) string {
	before := was(r)
	if !r.Pushed || r.Deferred || before == "" {
		return ""
	}
	deps := imagediff.Deps{
		Source: func(registry.Name) imagediff.Repository { return offline{} },
		Store:  store, Log: slog.New(slog.DiscardHandler),
	}
	report, err := imagediff.Run(ctx, deps, imagediff.Options{A: r.Reference + "@" + string(before), B: r.Reference + "@" + string(r.Digest)})
	if err != nil {
		return ""
	}
	cause := only(report)
	if cause == "" {
		return ""
	}
	return fmt.Sprintf("%s is a new image though no program in it changed: %s; GantryStableOutputs=true keeps the revision out of images",
		r.Reference, cause)
}

// was is the image that a tag of the push named before.
func was(r outcome.Result) cas.Digest {
	for _, t := range r.Tags {
		if t.State == outcome.Moved && t.Was != "" {
			return t.Was
		}
	}
	return ""
}

// offline has nothing: the content store is all that is asked.
type offline struct{}

var errOffline = errors.New("not in the content store")

func (offline) Manifest(context.Context, string) (*registry.Manifest, error) { return nil, errOffline }

func (offline) Blob(context.Context, cas.Digest, int64) (io.ReadCloser, error) {
	return nil, errOffline
}

// only is the first assembly in words, when every difference is the revision or follows from it.
func only(r *imagediff.Report) string {
	cause := ""
	for _, d := range r.Differences {
		switch {
		case d.Consequence:
		case !isRevision(d):
			return ""
		case cause == "" && d.Part == imagediff.PartFiles:
			cause = d.Text
		}
	}
	for _, p := range r.Platforms {
		c := only(p)
		if c == "" {
			return ""
		}
		if cause == "" {
			cause = c
		}
	}
	return cause
}

func isRevision(d imagediff.Difference) bool {
	if d.Kind != imagediff.Changed {
		return false
	}
	if d.Part == imagediff.PartConfig {
		return d.Name == label
	}
	if d.Part != imagediff.PartFiles || !d.Proved || len(d.Fields) == 0 {
		return false
	}
	for _, f := range d.Fields {
		field := clrmeta.Field(f.Field)
		if !field.Derived() && !(field == clrmeta.InformationalVersion && sameVersion(f.A, f.B)) {
			return false
		}
	}
	return true
}

// sameVersion says whether two versions are one version at two revisions (SDK, AddSourceRevisionToInformationalVersion).
func sameVersion(a, b string) bool {
	x, revisionA, ok := strings.Cut(a, "+")
	y, revisionB, ok2 := strings.Cut(b, "+")
	return ok && ok2 && x == y && revisionA != revisionB
}
