// Package testenv is what the tests of this project run against: real
// registries on loopback, base images, podman, dotnet, the packed package.
//
// Only tests import it. What a machine lacks is asked for with Require, the
// only place where a test may be skipped.
package testenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Require skips the test with a line that names the tool when one of the
// tools is not on PATH. With GANTRY_REQUIRE_ALL=1 in the environment, as on
// CI, the test fails instead.
func Require(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := Look(tool); err != nil {
			missing(t, "this test needs "+tool+", which is not installed")
		}
	}
}

// RequireRoot is Require for tests that only root can run.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "this test needs root")
	}
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("GANTRY_REQUIRE_ALL") == "1" {
		t.Fatal(why + " (GANTRY_REQUIRE_ALL=1)")
	}
	t.Skip("skip: " + why)
}

// Look finds a tool on PATH and in the folders of administrators' tools and
// of Docker's plugins, which are not on every user's PATH.
func Look(tool string) (string, error) {
	if path, err := exec.LookPath(tool); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/libexec/docker/cli-plugins"} {
		if path, err := exec.LookPath(filepath.Join(dir, tool)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", tool, exec.ErrNotFound)
}

// Root is the top folder of the source tree, where go.mod is.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

// cacheDir keeps what is dear to make between test runs: the runtime base
// image, NuGet packages, the packed package. Everything in it is named by its
// content, so that it may be removed or shared at any time.
func cacheDir(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("gantry-test-%d", os.Getuid()), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Result is what a program did.
type Result struct {
	Code           int
	Stdout, Stderr string
	// Output is both, in the order of arrival.
	Output string
}

// run runs a command to its end; a command that cannot be started fails the
// test.
func run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var all lockedBuffer
	var stdout, stderr bytes.Buffer
	cmd.Stdout = both{&stdout, &all}
	cmd.Stderr = both{&stderr, &all}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String(), Output: all.String()}
}

// must is run for a command that has to succeed.
func must(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	r := run(t, cmd)
	if r.Code != 0 {
		t.Fatalf("%s: exit code %d\n%s", strings.Join(cmd.Args, " "), r.Code, r.Output)
	}
	return r
}

// lockedBuffer takes the output of two streams.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type both struct {
	own *bytes.Buffer
	all *lockedBuffer
}

func (w both) Write(p []byte) (int, error) {
	w.own.Write(p)
	return w.all.Write(p)
}

// privateDir is a folder that belongs to this test alone: the same one for
// each call, gone when the test ends. The parent of what TempDir returns is
// exactly that.
func privateDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(t.TempDir()), "private")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
