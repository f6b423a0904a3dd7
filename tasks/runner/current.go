package runner

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// Trace is a file that notes, one line each, what became of the stages of one publish: "STAGE ran" or "STAGE skipped". Several calls
// add to it; gantry explain reads it.
type Trace string

// states of a stage in a trace.
const (
	ran     = "ran"
	skipped = "skipped"
)

// Note adds a line; a Trace without a name takes none.
func (t Trace) Note(env *Env, stage string, did bool) error {
	if t == "" {
		return nil
	}
	state := skipped
	if did {
		state = ran
	}
	f, err := os.OpenFile(absolute(env.Dir, string(t)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return traceError(err)
	}
	_, err = fmt.Fprintf(f, "%s %s\n", stage, state)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return traceError(err)
	}
	return nil
}

// has says whether the trace has a line of the stage.
func (t Trace) has(env *Env, stage string) bool {
	data, _ := os.ReadFile(absolute(env.Dir, string(t))) // a trace that is not there has no line
	for line := range strings.Lines(string(data)) {
		if name, _, _ := strings.Cut(line, " "); name == stage {
			return true
		}
	}
	return false
}

func traceError(err error) error {
	return diag.Wrap(diag.ResponseUnwritable, err, "the trace of the publish cannot be written", "check the folder's rights and the free space")
}

// NotCurrent is the status of ExecIfCurrent when a stage before the last has work.
const NotCurrent = ExitStatus(diag.ExitNotFound)

// ExecIfCurrent is Exec for push or save in a folder where the stages before it have their documents under the usual names,
// STAGE.request.json, STAGE.json and stamp/STAGE. It makes sure that what the stage reads is current: it asks for the base if the folder
// has a request for that, scans, and compares the stamps of the others. Where nothing has work one process so answers for all of them;
// else the image goes nowhere and it returns NotCurrent, and the trace tells how far it came: the first stage that has no line there has work. Called
// again it goes on from there.
func (s Stage) ExecIfCurrent(ctx context.Context, env *Env, files Files, trace Trace) error {
	if s.Name != "push" && s.Name != "save" || trace == "" {
		return diag.New(diag.BadUsage, "only push and save can depend on whether the stages before it are current, and it needs a trace", "leave --if-current out")
	}
	c := current{env: env.quiet(), dir: filepath.Dir(files.Request), trace: trace}
	if err := env.owns(absolute(env.Dir, c.dir)); err != nil {
		return err
	}
	if err := c.ask(ctx); err != nil {
		return err
	}
	for _, name := range stampedOrder {
		if is, err := c.compare(name); err != nil {
			return err
		} else if !is {
			return NotCurrent
		}
	}
	return s.Exec(ctx, env, files)
}

// quiet is the environment of stages that are not what was asked for: they say what the user should see, and no more.
func (env *Env) quiet() *Env {
	return &Env{
		Dir: env.Dir, Store: env.Store, Registry: env.Registry, Log: slog.New(codedOnly{env.Log.Handler()}), Progress: env.Progress,
		BuildID: env.BuildID, Tool: env.Tool, MakeLayers: env.MakeLayers, Warn: env.Warn,
	}
}

// current looks at the stages of one folder, relative to the working directory.
type current struct {
	env   *Env
	dir   string
	trace Trace
}

// ask runs those stages that ask the world, side by side. The base's error counts first: without a base no file matters.
func (c *current) ask(ctx context.Context) error {
	scanned, layers := make(chan error, 1), make(chan error, 1)
	go func() { scanned <- c.exec(ctx, "scan", false) }()
	go func() { layers <- c.exec(ctx, "resolve-layers", true) }()
	return cmp.Or(c.exec(ctx, "resolve-base", true), <-scanned, <-layers)
}

// exec runs a stage unless the trace has it; one that is optional, only if there is a request.
func (c *current) exec(ctx context.Context, name string, optional bool) error {
	files := c.files(name)
	if _, err := os.Stat(absolute(c.env.Dir, files.Request)); optional && err != nil || c.trace.has(c.env, name) {
		return nil
	}
	stage, err := Find(Stages(), name)
	if err == nil {
		err = stage.Exec(ctx, c.env, files)
	}
	if err == nil {
		err = c.trace.Note(c.env, name, true)
	}
	return err
}

// compare says whether a stage is current, and notes it if so.
func (c *current) compare(name string) (bool, error) {
	if c.trace.has(c.env, name) {
		return true, nil
	}
	stage, err := Find(Stages(), name)
	if err != nil || !stage.current(c.env, c.files(name), filepath.Join(c.dir, "stamp", name)) {
		return false, err
	}
	return true, c.trace.Note(c.env, name, false)
}

func (c *current) files(stage string) Files {
	return Files{Request: filepath.Join(c.dir, stage+".request.json"), Response: filepath.Join(c.dir, stage+".json")}
}

// codedOnly passes on what a user should see of stages that are not what was asked for: warnings, and messages with a code.
type codedOnly struct{ slog.Handler }

// Handle implements slog.Handler.
func (h codedOnly) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelInfo || diag.IsMessageLine(r.Message) {
		return h.Handler.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h codedOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return codedOnly{h.Handler.WithAttrs(attrs)}
}
