package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks/runner"
)

// errorFile finds the value of --error-file. It is looked for by hand because it holds for errors in the flags as well.
func errorFile(args []string) string {
	for i, a := range args {
		name, value, found := strings.Cut(a, "=")
		switch {
		case name != "--error-file" && name != "-error-file":
		case found:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// report prints the line of an error, to the error file where there is one, and returns the exit status.
//
// MSBuild's targets use the file: they raise the error themselves, so that it stands in the log once and without the line that
// Exec adds for a status other than 0.
func (p *process) report(err error) int {
	var answer runner.ExitStatus
	switch {
	case err == nil:
		return diag.ExitOK
	case errors.As(err, &answer):
		return int(answer)
	}
	line := diag.Line(err) + "\n"
	if file := errorFile(p.args); file == "" || atomicfile.Write(file, []byte(line)) != nil {
		fmt.Fprint(p.stderr, line)
	}
	return diag.ExitCode(err)
}
