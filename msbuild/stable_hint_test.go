package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRevisionHint_onlyWhenProved publishes commit after commit: the message comes when the revision is all that differs, and never else.
func TestRevisionHint_onlyWhenProved(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	commit(t, s.dir, "first")
	s.env = append(s.env, "GANTRY_CACHE_DIR="+filepath.Join(t.TempDir(), "store"))
	program := filepath.Join(s.dir, "Program.cs")
	steps := []struct {
		name           string
		commit, change bool
		more           string
		want           int
	}{
		{name: "first publish"},
		{name: "a commit", commit: true, want: 1},
		{name: "nothing"},
		{name: "a commit and code", commit: true, change: true},
		{name: "a commit and a label", commit: true, more: "-p:ContainerUser=app"},
		{name: "a commit with stable outputs", commit: true, more: "-p:GantryStableOutputs=true"},
	}
	for _, step := range steps {
		if step.change {
			if err := os.WriteFile(program, []byte("Console.WriteLine(\"another program\");\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if step.commit {
			output(t, exec.CommandContext(t.Context(), "git", "-C", s.dir, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", step.name))
		}
		args := append([]string{"publish"}, s.container()...)
		if step.more != "" {
			args = append(args, step.more)
		}
		r := s.must(args...)
		if got := strings.Count(r.Output, "GantryStableOutputs=true"); got != step.want {
			t.Errorf("%s: %d messages, want %d:\n%s", step.name, got, step.want, r.Output)
		}
		if step.want > 0 && (!strings.Contains(r.Output, "console.dll differs only in its MVID and InformationalVersion 1.0.0+") || strings.Contains(r.Output, "warning")) {
			t.Errorf("%s:\n%s", step.name, r.Output)
		}
	}
}
