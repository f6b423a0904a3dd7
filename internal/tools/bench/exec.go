package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// usage is what a command and all processes that it started took.
type usage struct {
	// Seconds end when the command ends; a worker that outlives it does not count.
	Seconds float64 `json:"seconds"`
	// CPUSeconds are user and system time of all of them, also of those that outlived the command.
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakBytes is the largest resident size of the command itself.
	PeakBytes int64 `json:"peakBytes"`
}

// measured runs a command and says what it took. When it fails, the error has the command and what it wrote.
func measured(ctx context.Context, dir string, env []string, args ...string) (usage, error) {
	u, _, err := measuredOutput(ctx, dir, env, args...)
	return u, err
}

// measuredOutput is measured, with what the command wrote.
func measuredOutput(ctx context.Context, dir string, env []string, args ...string) (u usage, out []byte, err error) {
	self, err := os.Executable()
	if err != nil {
		return u, nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return u, nil, err
	}
	defer read.Close()
	cmd := exec.CommandContext(ctx, self, append([]string{"exec"}, args...)...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = dir, env, []*os.File{write}
	endWithParent(cmd)
	out, err = cmd.CombinedOutput()
	write.Close()
	if err != nil {
		return u, out, fmt.Errorf("in %s: %s: %w\n%s", dir, strings.Join(args, " "), err, out)
	}
	err = json.NewDecoder(read).Decode(&u)
	return u, out, err
}

// execMain is the process between the bench and the command: the command's orphans become its children, so that their time is
// known too and none of them runs into the next measurement. It writes a usage to file 3.
func execMain(args []string) int {
	report := os.NewFile(3, "usage")
	if report == nil || len(args) == 0 {
		fmt.Fprintln(os.Stderr, "bench exec is for the bench itself")
		return 2
	}
	if err := adoptOrphans(); err != nil {
		fmt.Fprintln(os.Stderr, "bench exec:", err)
		return 1
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	endWithParent(cmd)
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return exitCode(err)
	}
	cpu, err := reapAll()
	if err == nil {
		err = writeUsage(report, usage{took.Seconds(), cpu.Seconds(), residentPeak(cmd.ProcessState)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench exec:", err)
		return 1
	}
	return 0
}

func writeUsage(w io.WriteCloser, u usage) error {
	return errors.Join(json.NewEncoder(w).Encode(u), w.Close())
}

// exitCode is that of a command that failed; one that could not be run says why.
func exitCode(err error) int {
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		return failed.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}
