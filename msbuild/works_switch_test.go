package msbuild

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

func TestDisabled_theSDKPublishes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, kind, command string }{
		{"one platform", "console", "publish --no-build"},
		{"two platforms", "rids", "publish --no-restore"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.kind)
			calls := s.tool()
			s.must(append(strings.Fields(tt.command), s.container("-p:GantryEnabled=false")...)...)
			if got := calls(); len(got) != 0 {
				t.Errorf("the tool was started: %q", got)
			}
			hasNoGantryFolder(t, s.dir)
			if tt.kind == "rids" {
				s.index("app", "latest")
				return
			}
			s.hasTags("app", "latest")
			image := s.image("app", "latest")
			if got := appFiles(t, image, 3); len(got) != len(folderFiles(t, s.publishDir())) {
				t.Errorf("got %v", got)
			}
			// in the project file the switch works too
			s.add("console.csproj", "<PropertyGroup><GantryEnabled>false</GantryEnabled></PropertyGroup>")
			s.push("-p:ContainerImageTag=other")
			if got := calls(); len(got) != 0 {
				t.Errorf("the tool was started: %q", got)
			}
			s.hasTags("app", "latest", "other")
		})
	}
}

// TestArchive_isWrittenByTheSDK also checks that the SDK's outputs come through.
func TestArchive_isWrittenByTheSDK(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	calls := s.tool()
	archive := filepath.Join(t.TempDir(), "image.tar.gz")
	s.add("console.csproj", `<Target Name="Show" AfterTargets="PublishContainer">
  <Message Importance="high" Text="made $(GeneratedContainerDigest) in $(GeneratedArchiveOutputPath)" />
</Target>`)
	r := s.push("-p:ContainerArchiveOutputPath=" + archive)
	if got := strings.Count(r.Output, "the .NET SDK builds and writes this image"); got != 1 {
		t.Errorf("%d messages:\n%s", got, r.Output)
	}
	if !strings.Contains(r.Output, "made sha256:") || !strings.Contains(r.Output, "in "+archive) {
		t.Errorf("the SDK's outputs are not there:\n%s", r.Output)
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := false
	eachEntry(t, f, func(h *tar.Header, _ io.Reader) { found = found || h.Name == "oci-layout" || h.Name == "manifest.json" })
	if !found {
		t.Error("the archive is no image")
	}
	if got := calls(); len(got) != 0 {
		t.Errorf("the tool was started: %q", got)
	}
	s.hasTags("app")
}

// TestLocalDaemon_isLeftToTheSDK has no daemon: the SDK's own error must come, alone.
func TestLocalDaemon_isLeftToTheSDK(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	calls := s.tool()
	s.env = append(s.env, "PATH="+onlyDotnet(t))
	r := s.dotnet("publish", "--no-build", "-t:PublishContainer", "-p:ContainerBaseImage="+s.base, "-p:LocalRegistry=Docker")
	wantError(t, r, "CONTAINER1012")
	if !strings.Contains(r.Output, "local daemon: the .NET SDK builds and writes this image") {
		t.Error(r.Output)
	}
	if got := calls(); len(got) != 0 {
		t.Errorf("the tool was started: %q", got)
	}
}

// onlyDotnet is a PATH with neither docker nor podman.
func onlyDotnet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range []string{"dotnet", "sh", "cmp", "cp", "mv", "chmod"} {
		path, err := testenv.Look(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUnknownSDK_isACodedError(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	other := filepath.Join(t.TempDir(), "Other.targets")
	text := `<Project>
  <PropertyGroup><EnableSdkContainerSupport>true</EnableSdkContainerSupport></PropertyGroup>
  <Target Name="ComputeContainerConfig" />
  <Target Name="PublishContainer" />
</Project>`
	if err := os.WriteFile(other, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(t.TempDir(), "missing.targets"), other} {
		r := s.tryPush("-p:_GantrySdkContainerTargets=" + file)
		wantError(t, r, "GANTRY9003", "GantryEnabled=false")
		s.hasTags("app")
	}
	s.push()
	s.hasTags("app", "latest")
}

// TestMultiTargeting runs the outer build, which has no container targets of the SDK's. The second framework needs no packs.
func TestMultiTargeting_namesTheFrameworks(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	testenv.Edit(t, filepath.Join(s.dir, "console.csproj"), "<TargetFramework>net10.0</TargetFramework>",
		`<TargetFrameworks>net10.0;net9.0</TargetFrameworks><UseAppHost>false</UseAppHost>
    <DisableImplicitFrameworkReferences Condition="'$(TargetFramework)' == 'net9.0'">true</DisableImplicitFrameworkReferences>`)
	s.must("restore")
	r := s.dotnet(append([]string{"build", "--no-restore"}, s.container()...)...)
	wantError(t, r, "CONTAINERS0666", "net10.0;net9.0")
	s.hasTags("app")
	s.must(append([]string{"publish", "--no-restore", "-f", "net10.0"}, s.container()...)...)
	s.hasTags("app", "latest")
	s.must(append([]string{"build", "--no-restore", "-p:GantryEnabled=false"}, s.container()...)...)
}
