package msbuild

import (
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
