package msbuild

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIncremental_files changes what is published. The changes add up. The SDK copies a file into the publish folder only when it is newer
// than what is there, takes out what it had copied before, and leaves the folders of that.
func TestIncremental_files(t *testing.T) {
	t.Parallel()
	testenv.Require(t, "git")
	m := newMatrix(t, "matrix")
	old := time.Unix(1000000000, 0)
	m.all(t, []row{
		{name: "the first publish", state: "first", runs: everyStage},
		{name: "nothing changed", state: "first", requests: 2},
		{name: "files touched, same content", state: "first", requests: 2, change: func() {
			now := time.Now()
			m.check(os.Chtimes(m.source("data/a.txt"), now, now))
			m.check(os.Chtimes(m.source("Program.cs"), now, now))
		}},
		{name: "files edited", state: "edited", runs: "create-layers", requests: 8, change: func() {
			m.put("data/a.txt", "another content of a")
			m.put("Program.cs", "second edition")
		}},
		{name: "files added", state: "added", runs: "create-layers", requests: 8, change: func() {
			m.put("data/c.txt", "content of c")
			m.put("data/deep/d.txt", "content of d")
		}},
		{name: "a file renamed", state: "renamed", runs: "create-layers", requests: 8, change: func() {
			m.check(os.Rename(m.source("data/c.txt"), m.source("data/e.txt")))
		}},
		{name: "files deleted", state: "edited", runs: "create-layers", change: func() {
			m.check(os.Remove(m.source("data/e.txt")))
			m.check(os.RemoveAll(m.source("data/deep")))
		}},
		{name: "a file replaced by one with an older time", state: "older", runs: "create-layers", says: []string{"GANTRY4016", "b.txt"}, change: func() {
			m.put("data/b.txt", "CONTENT OF B\n")
			m.check(os.Chtimes(m.source("data/b.txt"), old, old))
		}},
		{name: "a file replaced by one of the same size and time", state: "edited", runs: "create-layers", change: func() {
			m.put("data/b.txt", "content of b\n")
			m.check(os.Chtimes(m.source("data/b.txt"), old, old))
		}},
		{name: "switched to a branch", state: "branch", runs: "create-layers", change: m.switchToBranch},
		{name: "and back", state: "edited", runs: "create-layers", change: func() { m.git("switch", "-q", "-") }},
		{
			name: "a package's version lowered", state: "lowered", runs: "create-layers", restore: true,
			says:   []string{"GANTRY4016", "Newtonsoft.Json.dll"},
			change: func() { testenv.Edit(m.t, m.source("matrix.csproj"), `Version="13.0.4"`, `Version="13.0.3"`) },
		},
		{name: "a package removed, and a file", state: "removed", runs: "create-layers", restore: true, change: func() {
			testenv.Edit(m.t, m.source("matrix.csproj"), `<PackageReference Include="Newtonsoft.Json" Version="13.0.3" />`, "")
			m.check(os.Remove(m.source("data/b.txt")))
		}},
	})
	m.compare()
}

// switchToBranch makes a repository of the sources, and leaves it on a branch where files are edited, added and deleted.
func (m *matrix) switchToBranch() {
	m.t.Helper()
	m.put(".gitignore", "bin/\nobj/\n")
	m.git("init", "-q")
	m.git("add", ".")
	m.git("commit", "-q", "-m", "trunk")
	m.git("switch", "-q", "-c", "branch")
	m.put("Program.cs", "edition of the branch")
	m.put("data/branch.txt", "content of the branch")
	m.git("rm", "-q", "data/b.txt")
	m.git("add", ".")
	m.git("commit", "-q", "-m", "branch")
	m.git("switch", "-q", "-")
	m.git("switch", "-q", "-")
}

// git runs git in the project's folder.
func (m *matrix) git(args ...string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	output(m.t, cmd)
}
