package dockerfile

import "github.com/gantry-build/gantry/internal/buildcontext"

// Options say what is asked of a Dockerfile.
type Options struct {
	// Target is the name of a stage; empty is the last one.
	Target string
	// Args are the build arguments.
	Args map[string]string
	// Platform is what is built for, and Builder what it is built on, which is the same where it is not set.
	Platform, Builder Platform
	// Contexts are the named contexts as buildx takes them: a path, docker-image://…, oci-layout://…, target:…, a git or http URL. A name may
	// have ::platform behind it.
	Contexts map[string]string
	// Config returns what the configuration of an image says, or nil if that is not known yet. Without it no configuration is known.
	Config func(Image) (*Config, error)
}

// Config is the part of an image's configuration that changes what a Dockerfile reaches.
type Config struct {
	OnBuild []string // triggers
	Env     []string // NAME=value
}

// Reach is what a target reaches.
type Reach struct {
	// Stages are in the order of the file.
	Stages []Stage
	// Images are those that the build reads, in the order of their first use. The frontend of "# syntax=" is the first.
	Images []Image
	// Sources are git repositories, http files and OCI layouts.
	Sources []Source
	// Files are what is read of build contexts on this machine.
	Files []Pattern
	// Unset are variables without value that a reached stage reads; they are told by who verifies, and change nothing else.
	Unset []Unset
	// Unknown are the reasons why there may be more.
	Unknown []Reason
	// Content is everything else of the file that makes the image, in an order of its own: see Item.
	Content []*Item
	// Config is what the Dockerfile makes of the target's configuration, for images that are built upon it.
	Config Config
	// ConfigKnown says that no part of Config may be missing.
	ConfigKnown bool
}

// Stage is a stage that the target reaches.
type Stage struct {
	Name     string // or its index
	Line     int
	Platform Platform
}

// Kind says how something is reached.
type Kind string

// The kinds of uses.
const (
	From     Kind = "FROM"
	CopyFrom Kind = "COPY --from"
	Mount    Kind = "RUN --mount"
	Copy     Kind = "COPY"
	Add      Kind = "ADD"
	Syntax   Kind = "syntax"
)

// Use is why something is reached: an instruction of a stage. OnBuild says that the instruction is a trigger of the stage's base; the line is
// that of the FROM then.
type Use struct {
	Kind    Kind
	Stage   string
	Line    int
	OnBuild bool
}

// Image is an image for one platform.
type Image struct {
	// Reference is in full, with registry and tag; it is empty for an image that a named context says is another target.
	Reference string
	// Target is the name behind "target:" of a named context.
	Target   string
	Platform Platform
	Uses     []Use
}

// Source is something that is fetched by URL.
type Source struct {
	URL string
	// Pin is the commit or the checksum that fixes the content; a source without is unknown.
	Pin  string
	Uses []Use
}

// Pattern is what an instruction reads of a context.
type Pattern struct {
	// Context is the name of a named context, or empty for the main one.
	Context string
	buildcontext.Pattern
	Use Use
}

// Reason is why the answer is not complete.
type Reason struct {
	Line int
	Text string
}

// Item is one part of what makes the image, in a form that spelling does not change: comments, the names of stages, unused arguments and what
// the target does not reach are not in it.
type Item struct {
	// Kind is "stage", "argument", "instruction", "source", "target" or "option".
	Kind string
	// Name is for people: the instruction or the argument.
	Name  string
	Value string
}
