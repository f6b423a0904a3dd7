package msbuild

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestLayers_cacheKey has a cache key that stands for the sources alone, and a layer that a tag names: when the tag moves the key is
// no hit, although nothing in the sources changed.
func TestLayers_cacheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.pushLayers("tools/image", nil, files{"opt/tool": "one"})
	writeText(t, filepath.Join(s.dir, "static.tar"), string(files{"srv/static": "static"}.tar(t)))
	s.layerItems("console.csproj",
		`<ContainerLayer Include="tools" Type="Image" Repository="tools/image" Reference="1" From="0" />`,
		`<ContainerLayer Include="static.tar" />`,
		`<ContainerLayer Include="rules" Files="*.csproj" TargetPath="/rules" Order="AfterApp" />`)
	publish := append(s.publish("-p:ContainerCacheKey=k"), "--no-restore")
	s.must(publish...)
	s.same("latest", "content-k")
	calls := s.tool()
	hit := func() {
		t.Helper()
		says(t, s.must(publish...), "Image already present", "all tags are current")
		if got := calls(); !slices.Equal(got, []string{"resolve-base", "check"}) {
			t.Errorf("a hit called %q", got)
		}
	}
	hit()
	old := s.digest("latest")
	moved := s.pushLayers("tools/image", nil, files{"opt/tool": "two"})
	says(t, s.must(publish...), "does not have the layers that the project names now: "+moved[0], "Pushed image")
	if digests := s.layerDigests("app", "latest"); s.digest("latest") == old || digests[3] != moved[0] {
		t.Errorf("the image has %q, want %s at 3", digests, moved[0])
	}
	s.same("latest", "content-k")
	calls()
	hit()

	// what the build itself would say comes before the compile
	testenv.Edit(t, filepath.Join(s.dir, "console.csproj"), `Reference="1"`, `Reference="none"`)
	r := s.dotnet(publish...)
	if r.Code == 0 || len(errorLines(r.Output)) != 1 {
		t.Errorf("a tag that is not there: exit code %d\n%s", r.Code, r.Output)
	}
}
