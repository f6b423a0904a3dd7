package runner

import (
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
)

// Env is what a process offers to the stages. All fields must be set.
type Env struct {
	// Dir is the working directory; file names of a call are relative to it.
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer

	Store    *cas.Store
	Registry *registry.Client
	Log      *slog.Logger
	Progress progress.Progress
	// Warn is told about conditions that the user should see and that do not fail the call.
	Warn func(code diag.Code, text string)
}
