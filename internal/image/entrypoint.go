package image

import (
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
)

// Execution is what a project says about how its image starts: the SDK's items ContainerEntrypoint, ContainerEntrypointArgs,
// ContainerAppCommand, ContainerAppCommandArgs and ContainerDefaultArgs, and ContainerAppCommandInstruction.
type Execution struct {
	Entrypoint     []string
	EntrypointArgs []string
	AppCommand     []string
	AppCommandArgs []string
	DefaultArgs    []string
	Instruction    string // Entrypoint, DefaultArgs, None or empty
}

// Values of Execution.Instruction; the SDK compares them with regard to case.
const (
	instructionEntrypoint  = "Entrypoint"
	instructionDefaultArgs = "DefaultArgs"
	instructionNone        = "None"
)

// Start is what an image starts. BaseReplaced says that the base's own entrypoint gave way without being asked for, which the SDK
// warns about with CONTAINER2022.
type Start struct {
	Entrypoint   []string
	Cmd          []string
	BaseReplaced bool
}

// Decide applies the SDK's table. A base entrypoint of "dotnet" or "/usr/bin/dotnet" alone counts as none; the base's command is
// never kept. The order of the checks is the SDK's, so that a request with several faults gets the same code: CONTAINER2024, 2025, then
// those of the instruction (2026, 2028, 2021).
func (e Execution) Decide(baseEntrypoint []string) (Start, error) {
	if len(baseEntrypoint) == 1 && (baseEntrypoint[0] == "dotnet" || baseEntrypoint[0] == "/usr/bin/dotnet") {
		baseEntrypoint = nil
	}
	setsEntrypoint := len(e.Entrypoint)+len(e.EntrypointArgs) > 0
	warn := e.Instruction == "" && !setsEntrypoint && len(baseEntrypoint) > 0
	e = e.withInstruction(setsEntrypoint)

	if len(e.EntrypointArgs) > 0 && len(e.Entrypoint) == 0 {
		return Start{BaseReplaced: warn}, diag.New(diag.ArgsWithoutEntrypoint, "ContainerEntrypointArgs are given without a ContainerEntrypoint",
			"set ContainerEntrypoint, or use ContainerDefaultArgs")
	}
	if len(e.AppCommandArgs) > 0 && len(e.AppCommand) == 0 {
		return Start{BaseReplaced: warn}, diag.New(diag.ArgsWithoutAppCommand, "ContainerAppCommandArgs are given without a ContainerAppCommand",
			"set ContainerAppCommand, or use ContainerDefaultArgs")
	}
	s, err := e.apply(setsEntrypoint)
	if err == nil && len(s.Entrypoint) == 0 {
		s.Entrypoint = baseEntrypoint
	}
	s.BaseReplaced = warn
	return s, err
}

// withInstruction chooses the instruction that an empty one stands for.
func (e Execution) withInstruction(setsEntrypoint bool) Execution {
	switch {
	case e.Instruction != "":
	case !setsEntrypoint:
		e.Instruction = instructionEntrypoint
	case len(e.Entrypoint) == 0 && len(e.DefaultArgs) == 0 && len(e.AppCommandArgs) == 0:
		// Before there was ContainerAppCommand, projects set only EntrypointArgs, as what follows the app's own command.
		e.Entrypoint, e.AppCommand = e.AppCommand, nil
		e.DefaultArgs, e.EntrypointArgs = e.EntrypointArgs, nil
		e.Instruction = instructionNone
	default:
		e.Instruction = instructionDefaultArgs
	}
	return e
}

func (e Execution) apply(setsEntrypoint bool) (Start, error) {
	app := slices.Concat(e.AppCommand, e.AppCommandArgs)
	s := Start{Cmd: e.DefaultArgs}
	if len(e.Entrypoint) > 0 {
		s.Entrypoint = slices.Concat(e.Entrypoint, e.EntrypointArgs)
	}
	switch e.Instruction {
	case instructionNone:
		if len(app) > 0 {
			return Start{}, diag.New(diag.AppCommandWithNone, "ContainerAppCommand or ContainerAppCommandArgs is given with ContainerAppCommandInstruction None",
				"leave the items out, or choose another instruction")
		}
	case instructionDefaultArgs:
		s.Cmd = slices.Concat(app, e.DefaultArgs)
	case instructionEntrypoint:
		if setsEntrypoint {
			return Start{}, diag.New(diag.EntrypointConflict, "ContainerEntrypoint is given with ContainerAppCommandInstruction Entrypoint",
				"leave ContainerEntrypoint out, or choose another instruction")
		}
		s.Entrypoint = app
	default:
		return Start{}, diag.New(diag.UnknownInstruction, fmt.Sprintf("ContainerAppCommandInstruction %q is unknown", e.Instruction),
			"use Entrypoint, DefaultArgs or None")
	}
	return s, nil
}
