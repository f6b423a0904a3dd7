//go:build !linux

package testenv

import "os/exec"

// dieWithParent has no counterpart outside Linux; Cleanup stops the child.
func dieWithParent(*exec.Cmd) {}
