// Package graph is the graph of Dockerfile images: which image is built from which, what each one's source hash is, and so which must be
// built again.
//
// # Source hash and plan
//
// The source hash of an image folds, for each of its platforms, what its Dockerfile reaches (package sourcehash) and the digest of every
// parent's manifest for that platform. A parent outside the graph has the digest that its registry answers now. A parent inside has the
// one that its own tag src-<hash> answers now; without that tag the parent is in the plan, and so is every image that reaches it, whose
// hash cannot be known before the parent is built: Plan.Built goes on when it is. What is in doubt is built.
//
// # Files
//
// build, reach and link make the graph; plan, decide, listing and built say what is to be done, reasons why. lines and files are what a
// hash is made of, answers and platform what registries say. verify and arguments say all that is wrong with a list.
package graph

import (
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
)

// Graph are the images in an order in which each comes after its parents. New makes it; it is safe for concurrent use.
type Graph struct {
	Images []*Image

	opt     Options
	names   map[string]*Image
	tags    map[string][]*Image // by full reference; several share a tag of an index
	outside *answers
	folders *folders
}

// Image is a node: one entry of the list.
type Image struct {
	Spec *imagelist.Spec
	// Variants are its platforms, in the order of the list.
	Variants []*Variant
	// Parents are the images of the graph that it is built from, each once; Children those that are built from it.
	Parents, Children []*Image
	// Unknown is why its hash cannot be known; then it is always built.
	Unknown []dockerfile.Reason

	// home is the repository that has its source tags; without any it is empty. tag is the image's own there.
	home registry.Name
	tag  string
}

// Variant is an image for one platform.
type Variant struct {
	Platform dockerfile.Platform
	Reach    *dockerfile.Reach
	// Parents are Reach.Images, in their order.
	Parents []Parent
}

// Parent is an image that a variant reads: FROM, COPY --from, RUN --mount, a named context or the frontend.
type Parent struct {
	// Reference is in full, as the Dockerfile says it after substitution; "target:NAME" is a named context that is another image of the list.
	Reference string
	Platform  dockerfile.Platform
	// Image is the node that makes it; nil for one outside the graph.
	Image *Image
	// Variant is the one of Image that is read.
	Variant *Variant
	Uses    []dockerfile.Use
}

// Decision is what a plan says of an image.
type Decision string

// Decisions.
const (
	Build Decision = "build"
	Skip  Decision = "skip"
)

// Step is a plan's word on one image.
type Step struct {
	Image    *Image
	Decision Decision
	// Hash is the source hash, empty as long as a parent is still to be built, or where something is unknown.
	Hash cas.Digest
	// Tag is registry/repository:src-<hash>; empty where there is none.
	Tag string
	// Digest is what the tag answered: the image that is there, or that was built in this run. It is empty for an image that is there and has
	// no children, where a list of tags said so.
	Digest cas.Digest
	// Wave is 0 for an image without a parent in the plan, else one more than the highest of them.
	Wave int
	// Reasons say why, for people: at least one.
	Reasons []Reason
	// Pins are the parents by digest as far as they are known, by Parent.Reference: repository@sha256:…. It is the digest of a platform's
	// image, or that of the index when several of its images are read.
	Pins map[string]string
}

// Reason is why an image is built or not.
type Reason struct {
	// Kind is new, file, argument, instruction, source, platform, parent, parent-planned, frontend, unknown, unknown-built, unseen, forced, same or built.
	Kind string `json:"kind"`
	// Name is the file, the argument or the parent.
	Name string `json:"name,omitempty"`
	// Text is a sentence.
	Text string `json:"text"`
}
