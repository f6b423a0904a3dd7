package outcome

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// Saved is what became of an image whose destination is no registry.
type Saved struct {
	// Kind is archive, layout, docker or podman; Where the path of the first two.
	Kind  string `json:"kind"`
	Where string `json:"where,omitempty"`
	// Name is repository:tags, for people; it may be empty.
	Name string `json:"name,omitempty"`
	// Digest is that of the manifest or index.
	Digest cas.Digest `json:"digest"`
	// Written is false when the destination had it all.
	Written bool  `json:"written"`
	Tags    []Tag `json:"tags,omitempty"` // those of an engine, with what became of each
	Blobs   Blobs `json:"blobs"`
	// AlsoPushed are the registries that got the image too. Error is why it was not saved.
	AlsoPushed []Result `json:"alsoPushed,omitempty"`
	Error      *Failure `json:"error,omitempty"`
}

// Failed is the result with nothing but its names, and why it failed.
func (s Saved) Failed(err error) Saved {
	return Saved{Kind: s.Kind, Where: s.Where, Name: s.Name, Digest: s.Digest, AlsoPushed: s.AlsoPushed, Error: &Failure{diag.CodeOf(err), err.Error()}}
}

// Count counts the blobs of an archive: all were written, or all are there.
func (s *Saved) Count(blobs []image.Descriptor) {
	how := registry.Exists
	if s.Written {
		how = registry.Uploaded
	}
	for _, b := range blobs {
		s.Blobs.Add(how, b.Size)
	}
}

// Kinds of Saved, beside the engines.
const (
	Archive = "archive"
	Layout  = "layout"
)

// Line says in one line what was done, as the .NET SDK's own line begins; empty when it failed, of which the error tells.
func (s Saved) Line() string {
	if s.Error != nil {
		return ""
	}
	where := map[string]string{
		Archive: fmt.Sprintf("local archive at '%s'", s.Where),
		Layout:  fmt.Sprintf("image layout at '%s'", s.Where),
	}[s.Kind]
	if where == "" {
		where = fmt.Sprintf("local registry via '%s'", s.Kind)
	}
	if !s.Written {
		text := fmt.Sprintf("Image already present in %s (%s)", where, s.Digest)
		var named []string
		for _, t := range s.Tags {
			if t.State != Current {
				named = append(named, t.Tag)
			}
		}
		if len(named) > 0 {
			text += "; named without loading: " + strings.Join(named, ", ")
		}
		return text
	}
	image := "image"
	if s.Name != "" {
		image = fmt.Sprintf("image '%s'", s.Name)
	}
	return fmt.Sprintf("Pushed %s to %s (%s): %s", image, where, s.Digest, strings.Replace(s.Blobs.String(), "uploaded", "written", 1))
}

// Report writes the result to a JSON file, which is replaced as a whole. Fails with GANTRY1007.
func (s Saved) Report(file string) error {
	body, err := json.MarshalIndent(struct {
		SchemaVersion int `json:"schemaVersion"`
		Saved
	}{SchemaVersion, s}, "", "  ")
	if err != nil {
		return diag.Wrap(diag.Internal, err, "the report cannot be encoded", "please report it")
	}
	return unwritable("the report", file, atomicfile.Write(file, append(body, '\n')))
}
