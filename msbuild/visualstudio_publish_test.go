package msbuild

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestVisualStudio_publishes does what Visual Studio does when someone presses Publish: a build of the project with properties
// of the publish profile, under the names that its own container targets had.
func TestVisualStudio_publishes(t *testing.T) {
	t.Parallel()
	generated := regexp.MustCompile(`^20\d{12}$`)
	tests := []struct {
		name, kind string
		more       []string
		tag        *regexp.Regexp
	}{
		{"a tag", "web", []string{"-p:PublishImageTag=vs"}, regexp.MustCompile(`^vs$`)},
		{"a generated tag", "web", []string{"-p:AutoGenerateImageTag=true"}, generated},
		{"several runtime identifiers", "rids", []string{"-t:Publish;PublishContainer", "-p:_IsPublishing=true"}, regexp.MustCompile(`^latest$`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.kind)
			calls := s.tool()
			args := []string{
				"msbuild", "-nologo", "-p:Configuration=Release", "-p:BuildingInsideVisualStudio=true", "-p:DeployOnBuild=true",
				"-p:WebPublishMethod=Container", "-p:RegistryUrl=" + s.host, "-p:ContainerRegistry=registry.invalid",
				"-p:ContainerRepository=app", "-p:ContainerBaseImage=" + s.base,
			}
			s.must(append(args, tt.more...)...)
			// inside Visual Studio several runtime identifiers are no index: it builds for one
			tags := s.registry.Tags("app")
			if len(tags) != 1 || !tt.tag.MatchString(tags[0]) {
				t.Fatalf("tags: got %q, want one like %s", tags, tt.tag)
			}
			folder := filepath.Join(s.dir, "obj", "Release", "net10.0", "PubTmp", "Out")
			if tt.kind == "rids" {
				folder = s.publishDir()
			}
			s.holds("app", tags[0], folder)
			if len(calls()) == 0 {
				t.Error("the tool was not started")
			}
		})
	}
}

// TestVisualStudio_loadsProjects runs the targets of a design-time build, as on opening a project: they must start nothing.
func TestVisualStudio_loadsProjects(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	calls := s.tool()
	s.must("msbuild", "-nologo", "-t:ResolvePackageDependenciesDesignTime;CollectPackageReferences;Compile",
		"-p:DesignTimeBuild=true", "-p:BuildingInsideVisualStudio=true", "-p:SkipCompilerExecution=true",
		"-p:ProvideCommandLineArgs=true", "-p:ContainerRegistry="+s.host)
	if got := calls(); len(got) != 0 {
		t.Errorf("the tool was started: %q", got)
	}
	hasNoGantryFolder(t, s.dir)
}
