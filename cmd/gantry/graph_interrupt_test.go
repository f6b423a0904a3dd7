//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestGraphRun_interrupted ends a build with all that it started, also what does not listen.
func TestGraphRun_interrupted(t *testing.T) {
	dir, reg := t.TempDir(), testenv.StartRegistry(t)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(dir, "pids")
	if err := syscall.Mkfifo(pids, 0o600); err != nil {
		t.Fatal(err)
	}
	builder := `sleep 1000 & one=$!; (trap "" TERM; exec sleep 1000) & echo "$one $!" >` + pids + `; wait`
	cmd := exec.CommandContext(t.Context(), testenv.BuildGantry(t), "graph", "run", "--list", dir, "--repository", reg.Host()+"/team", "--builder", builder)
	cmd.Env = append(os.Environ(), "GANTRY_CACHE_DIR="+dir+"/store")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(pids) // waits for the builder
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status is looked at
	if got := cmd.ProcessState.ExitCode(); got != diag.ExitInterrupted || !strings.Contains(stderr.String(), "GANTRY9004: interrupted") {
		t.Errorf("status %d\n%s", got, &stderr)
	}
	for _, word := range strings.Fields(string(line)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

// gone waits until a killed process is no more; one that its new parent did not ask for yet counts.
func gone(pid int) bool {
	for range 100 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
