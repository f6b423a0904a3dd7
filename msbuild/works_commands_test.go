package msbuild

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestPackage_leavesOtherCommandsAlone runs what people do with a project besides publishing it: each works, and none starts
// the tool or leaves a file of ours.
func TestPackage_leavesOtherCommandsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "solution")
	calls := s.tool()
	copyWithTimes(t, filepath.Join(s.dir, "lib"), filepath.Join(s.dir, "other"))
	if err := os.Rename(filepath.Join(s.dir, "other", "lib.csproj"), filepath.Join(s.dir, "other", "other.csproj")); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ command, want string }{
		{"build app -nologo", "Build succeeded"},
		{"run --project app --no-build", "hello"},
		{"sln add other", "other.csproj"},
		{"reference add other --project app", "other.csproj"},
		{"reference list --project app", "other.csproj"},
		{"package list --project app --no-restore", "Gantry.Containers"},
		{"pack lib --no-restore", "lib.1.0.0.nupkg"},
	}
	for _, tt := range tests {
		if got := s.must(strings.Fields(tt.command)...); !strings.Contains(got.Output, tt.want) {
			t.Errorf("dotnet %s: %q is not in\n%s", tt.command, tt.want, got.Output)
		}
	}
	if got := calls(); len(got) != 0 {
		t.Errorf("the tool was started: %q", got)
	}
	hasNoGantryFolder(t, s.dir)
	s.hasTags("app")
}

func hasNoGantryFolder(t *testing.T, dir string) {
	t.Helper()
	walk(t, dir, func(path string, e fs.DirEntry) {
		if e.Name() == "gantry" {
			t.Errorf("%s is there", path)
		}
	})
}

func TestPackage_leavesTestsAlone(t *testing.T) {
	t.Parallel()
	testenv.Require(t, "dotnet")
	dir := filepath.Join(t.TempDir(), "unit")
	copyWithTimes(t, sourceOf(t, "unit"), dir)
	useGantry(t, dir)
	if r := testenv.MustDotnet(t, dir, nil, "test"); !strings.Contains(r.Output, "Passed!") {
		t.Error(r.Output)
	}
	hasNoGantryFolder(t, dir)
}

func TestPackage_leavesWatchAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	cmd := testenv.DotnetCommand(t, s.dir, s.env, "watch", "--non-interactive", "run")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	// a group of its own, which is how a terminal's Ctrl-C reaches all of it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// fails only when all of it has ended already
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	started := regexp.MustCompile(`hello from a container`)
	var all strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if started.MatchString(lines.Text()) {
			hasNoGantryFolder(t, s.dir)
			return
		}
	}
	t.Errorf("it ended before the app said a word:\n%s", all.String())
}

func TestClean_removesWhatPublishLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	if _, err := os.Stat(filepath.Join(s.gantryDir(), "linux-x64", "push.json")); err != nil {
		t.Fatal(err)
	}
	s.must("clean", "-c", "Release")
	hasNoGantryFolder(t, s.dir)
}
