//go:build !unix

package graphrun

import "os/exec"

// ownGroup leaves it to the system, which knows no process groups: the program itself is ended with the context.
func ownGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
