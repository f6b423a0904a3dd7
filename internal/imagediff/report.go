package imagediff

import (
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
)

// SchemaVersion is that of Report.
const SchemaVersion = 1

// Report is the answer: what gantry diff --json prints.
type Report struct {
	SchemaVersion int     `json:"schemaVersion"`
	A             Subject `json:"a"`
	B             Subject `json:"b"`
	Equal         bool    `json:"equal"`
	// Cause names the first difference in words; of equal images it says so.
	Cause string `json:"cause"`
	// Remedies say how differences without a meaning can be kept out of an image.
	Remedies []string `json:"remedies,omitempty"`
	// Differences come in the order of their weight, reasons before what follows from them.
	Differences []Difference `json:"differences,omitempty"`
	Layers      *Layers      `json:"layers,omitempty"`
	// Platforms are the reports of the images of two indexes that are in both and differ.
	Platforms []*Report `json:"platforms,omitempty"`
}

// Subject is one side.
type Subject struct {
	// Reference is what was asked for: an image, or a folder's path.
	Reference string     `json:"reference"`
	Digest    cas.Digest `json:"digest,omitempty"`
	MediaType string     `json:"mediaType,omitempty"`
	Platform  string     `json:"platform,omitempty"`
}

// Parts of an image.
const (
	PartFormat   = "format"
	PartPlatform = "platform"
	PartBase     = "base"
	PartFiles    = "files"
	PartConfig   = "config"
	PartManifest = "manifest"
	PartLayers   = "layers"
)

// Kinds of differences.
const (
	Added   = "added"   // only in B
	Removed = "removed" // only in A
	Changed = "changed"
)

// Difference is one thing in which the sides differ.
type Difference struct {
	Part string `json:"part"`
	Kind string `json:"kind"`
	// Name is that of the label, variable, member or file.
	Name string `json:"name"`
	// Text says it in words.
	Text string `json:"text"`
	// A and B are the values as far as they may be shown.
	A string `json:"a,omitempty"`
	B string `json:"b,omitempty"`
	// Fields are the parts of an assembly that differ.
	Fields []AssemblyField `json:"fields,omitempty"`
	// Proved says that the fields are all that differs.
	Proved bool `json:"proved,omitempty"`
	// Consequence says that this follows from another difference.
	Consequence bool `json:"consequence,omitempty"`
	// Remedy says how to keep this difference out.
	Remedy string `json:"remedy,omitempty"`

	weight int
}

// AssemblyField is a part of an assembly, as package clrmeta names it.
type AssemblyField struct {
	Field string `json:"field"`
	Name  string `json:"name,omitempty"`
	A     string `json:"a,omitempty"`
	B     string `json:"b,omitempty"`
}

// Layers says which layers the images share.
type Layers struct {
	Shared []LayerInfo `json:"shared"`
	OnlyA  []LayerInfo `json:"onlyA"`
	OnlyB  []LayerInfo `json:"onlyB"`
}

// LayerInfo is one layer; Size is compressed, in bytes.
type LayerInfo struct {
	Digest    cas.Digest `json:"digest"`
	MediaType string     `json:"mediaType"`
	Size      int64      `json:"size"`
}

func layerInfo(d image.Descriptor) LayerInfo { return LayerInfo{d.Digest, d.MediaType, d.Size} }

// Weights of differences: what is more likely the reason comes first.
const (
	weightFormat = 10 * iota
	weightPlatform
	weightBase
	weightCode     // assemblies that are other programs
	weightContent  // other content
	weightPresence // added and removed files
	weightStamp    // assemblies that differ in what was stamped on them
	weightFollows  // assemblies that differ because of others
	weightMode
	weightTime
	weightConfig
	weightEnvironment
	weightLabel
	weightHistory
	weightAnnotation
	weightLayers
	weightConsequence
	weightWriting
)

// finish sorts the differences and writes the first line.
func (r *Report) finish() {
	r.SchemaVersion = SchemaVersion
	slices.SortStableFunc(r.Differences, func(x, y Difference) int { return x.weight - y.weight })
	r.Equal = len(r.Differences) == 0 && len(r.Platforms) == 0
	for _, d := range r.Differences {
		if d.Remedy != "" && !slices.Contains(r.Remedies, d.Remedy) {
			r.Remedies = append(r.Remedies, d.Remedy)
		}
	}
	for _, p := range r.Platforms {
		for _, remedy := range p.Remedies {
			if !slices.Contains(r.Remedies, remedy) {
				r.Remedies = append(r.Remedies, remedy)
			}
		}
	}
	switch {
	case len(r.Differences) > 0:
		r.Cause = r.Differences[0].Text
	case len(r.Platforms) > 0:
		first := r.Platforms[0]
		r.Cause = first.A.Platform + ": " + first.Cause
	case r.A.Digest == "" || r.B.Digest == "":
		r.Cause = "equal: the files of the folder are those of the image"
	default:
		r.Cause = "equal: both are " + string(r.A.Digest)
	}
}

func (r *Report) add(d Difference) { r.Differences = append(r.Differences, d) }
