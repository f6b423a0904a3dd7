package runner

import (
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/push"
)

// Env is what a process offers to the stages. All fields must be set, but for those that say otherwise.
type Env struct {
	// Dir is the working directory; file names of a call are relative to it.
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer

	Store    *cas.Store
	Registry *registry.Client
	Log      *slog.Logger
	Progress progress.Progress
	// Getenv reads what says where Docker and Podman are (DOCKER_HOST and its like), and nothing else; nil means an empty environment.
	Getenv func(string) string
	// KeySecret is GANTRY_KEY_SECRET: with it, a cache key counts only with a record that was made with it. Empty means none. It is never
	// written anywhere.
	KeySecret string
	// BuildID names the build that this process is a part of; empty when there is none. What one stage asked of a registry counts as
	// asked for another stage of the same build, and for nobody else.
	BuildID string
	// Tool is the identity of this binary as its caller knows it, part of every stamp: what another binary made is not trusted.
	Tool string
	// MakeLayers is trust.layer-keys = false: nothing is taken because an earlier image says so, neither its base nor its configuration,
	// and no layer unless the request allows it. It is part of every stamp.
	MakeLayers bool
	// Warn is told about conditions that the user should see and that do not fail the call.
	Warn func(code diag.Code, text string)
	// Outcome is told what a push did, once it is done; nil means that nobody wants to know.
	Outcome func(outcome.Result) error
	// Saved is told what became of an image whose destination is no registry; nil means that nobody wants to know.
	Saved func(outcome.Saved) error
	// LayerMade is told of each layer of the app as soon as it is finished; nil means that nobody wants to know.
	LayerMade func(tasks.Layer)
	// PushDeps adds to what push is given, such as uploads that have begun; nil adds nothing.
	PushDeps func(*push.Deps)

	recalls recalls
}

// trust answers for a request that does not say whether layers are taken by their keys.
func (env *Env) trust(said **bool) {
	if *said == nil && env.MakeLayers {
		*said = new(bool)
	}
}
