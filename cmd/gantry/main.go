// Command gantry builds and pushes container images of .NET applications, stage by stage or all at once.
//
// This package holds flags and wiring: it makes the environment that the stages need from the process's own, and turns what
// they return into one line on standard error and an exit status (package diag lists both). Standard output has the answer alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/settings"
)

// version is set by the linker (-X main.version=...) for released binaries.
var version string

func main() {
	ctx, stop := interruptible()
	p := &process{args: os.Args, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	status := p.run(ctx)
	stop()
	os.Exit(status)
}

// errInterrupted is why the context ends on a signal.
var errInterrupted = diag.New(diag.Interrupted, "interrupted", "run again: nothing was left half done")

// interruptible returns a context that the first interrupt ends. The second ends the process at once, as the first may take
// as long as a registry that does not answer.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(diag.ExitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals) }
}

// process is what the operating system gives to a run, so that a test can give something else.
type process struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	settings       *settings.Settings // for commands that useSettings names
}

// run does what the arguments say and returns the exit status.
func (p *process) run(ctx context.Context) (status int) {
	defer func() {
		if r := recover(); r != nil {
			status = p.report(crash(r))
		}
	}()
	file := errorFile(p.args)
	if file != "" {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return p.report(diag.Wrap(diag.BadUsage, err, "the error file of an earlier run cannot be removed", "name another file"))
		}
	}
	app := p.app()
	err := app.RunContext(ctx, flagsFirst(app, p.args))
	if err != nil && context.Cause(ctx) == errInterrupted {
		err = errInterrupted // whatever failed, it failed because of that
	}
	return p.report(err)
}

// crash makes an error of a panic. It names the place, as a report without one is of little use.
func crash(r any) error {
	where := "unknown place"
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)]) // Callers, crash, the deferred function, panic
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if frame.Function != "" && !isRuntime(frame.Function) {
			where = fmt.Sprintf("%s, line %d", frame.Function, frame.Line)
			break
		}
	}
	return diag.New(diag.Internal, fmt.Sprintf("a fault in gantry %s: %v (%s)", versionText(), r, where), "please report it")
}

func isRuntime(function string) bool {
	return len(function) > 8 && function[:8] == "runtime."
}

// versionText is the version of a release, or of the module when go install made the binary.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
