package msbuild

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestKey_folderPublishIsNeverSkipped publishes to a folder while the key's image is there.
func TestKey_folderPublishIsNeverSkipped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, kind string
		parts      []string
		args       string
	}{
		{"path", "console", []string{"x -t PublishContainer", "PublishContainer"}, "publish"},
		{"path as an argument", "console", []string{"x", "-t PublishContainer", "PublishContainer"}, "publish PROJECT"},
		{"console profile", "console", nil, "publish -p:PublishProfile=DefaultContainer"},
		{"another target's name", "console", nil, "publish -p:Note=-t:PublishContainer"},
		{"switch inside an argument", "console", nil, "publish -p:Note=a~-t:PublishContainer"},
		{"web app", "web", nil, "publish -p:Note=PublishContainer -t:Publish"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.kind, tt.parts...)
			s.push()
			s.tag("app", "latest", "content-k")
			if err := os.RemoveAll(s.publishDir()); err != nil {
				t.Fatal(err)
			}
			project := filepath.Join(s.dir, tt.kind+".csproj")
			var args []string
			for _, a := range strings.Fields(tt.args) {
				args = append(args, strings.NewReplacer("PROJECT", project, "~", " ").Replace(a))
			}
			calls := s.tool()
			s.must(append(append(args, "--no-restore", "-p:ContainerCacheKey=k"), s.container()[1:]...)...)
			if _, err := os.Stat(filepath.Join(s.publishDir(), tt.kind+".dll")); err != nil {
				t.Errorf("the publish to a folder was skipped: %v", err)
			}
			if got := calls(); len(got) != 0 {
				t.Errorf("a publish to a folder called %q", got)
			}
		})
	}
}

// TestKey_rebuild has the answer removed, with all else below obj, before it is used.
func TestKey_rebuild(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	publish := append(s.container("-p:ContainerCacheKey=k")[1:], "-t:Rebuild;PublishContainer", "--no-restore")
	says(t, s.must(append([]string{"publish"}, publish...)...), "content-k is not there", "cache key content-k")
	says(t, s.must(append([]string{"publish"}, publish...)...), "Image already present", "all tags are current")
	s.same("latest", "content-k")
}

// TestKey_afterTheCompile looks at what compiles before Publish is reached: the push is skipped all the same.
func TestKey_afterTheCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, command string }{
		{"DeployOnBuild", "build -p:DeployOnBuild=true -p:PublishProfile=DefaultContainer"},
		{"target after a build", "msbuild -t:Build;PublishContainer -p:Configuration=Release"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "web")
			s.push()
			s.tag("app", "latest", "content-k")
			calls := s.tool()
			args := append(strings.Fields(tt.command), slices.DeleteFunc(s.container("-p:ContainerCacheKey=k"), func(a string) bool {
				return a == "-t:PublishContainer"
			})...)
			if !strings.HasPrefix(tt.command, "msbuild") {
				args = append(args, "--no-restore")
			}
			// the compiler has to have something to do
			file := filepath.Join(s.dir, "Program.cs")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(text, "\n// changed\n"...), 0o644); err != nil {
				t.Fatal(err)
			}
			r := s.must(args...)
			says(t, r, "Image already present")
			if got := strings.Count(r.Output, "the push is skipped"); got != 1 {
				t.Errorf("%d messages say that only the push is skipped:\n%s", got, r.Output)
			}
			if got := calls(); slices.Contains(got, "push") || !slices.Contains(got, "check") {
				t.Errorf("called %q", got)
			}
		})
	}
}
