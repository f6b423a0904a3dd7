package msbuild

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// failsWith checks a publish that has to fail with one code.
func (s *site) failsWith(r testenv.Result, code string) {
	s.t.Helper()
	if r.Code == 0 || !strings.Contains(r.Output, "error "+code+":") {
		s.t.Errorf("exit code %d, want an error %s:\n%s", r.Code, code, r.Output)
	}
}

func TestKey_baseMoved(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	s.tag("app", "latest", "content-k")
	old := s.digest("latest")
	other := twoPlatforms
	other.Seed = "a new base"
	testenv.PushTinyBase(t, s.registry, "base/tiny", "1", other)
	says(t, s.push("-p:ContainerCacheKey=k", "-p:GantryKeyIncludesBase=false"), "Image already present", "all tags are current")
	if s.digest("latest") != old {
		t.Error("a hit moved the tag")
	}
	says(t, s.must(append(s.publish("-p:ContainerCacheKey=k"), "--no-restore")...), "the base moved", "Pushed image")
	if s.digest("latest") == old {
		t.Error("the image is still on the old base")
	}
	s.same("latest", "content-k")
}

func TestKey_names(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.must(append(s.publish(), "--no-restore")...)
	image := s.digest("latest")
	r := s.dotnet(append(s.publish("-p:ContainerCacheKey=a/b c"), "--no-restore")...)
	s.failsWith(r, "GANTRY1012")
	says(t, r, "'/'")
	s.hasTags("app", "latest")

	publish := append(s.publish(), "--no-restore", "-p:GantryHashCacheKey=true")
	s.must(append(publish, "-p:ContainerCacheKey=a/b c")...)
	s.must(append(publish[:len(publish)-1:len(publish)-1], "-p:ContainerCacheKey="+strings.Repeat("long", 40))...)
	tags := s.registry.Tags("app")
	if len(tags) != 3 {
		t.Fatalf("got %q", tags)
	}
	for _, tag := range tags[:2] {
		if len(tag) != len("content-")+64 || s.digest(tag) != image {
			t.Errorf("got the tag %s for %s", tag, s.digest(tag))
		}
	}
}

// TestKey_isNotWritten looks at the publishes after a miss whose image may not have the key's tag.
func TestKey_isNotWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	publish := append(s.publish("-p:ContainerCacheKey=k"), "--no-restore")
	says(t, s.must(append(publish, "-p:GantryWriteCacheKey=false")...), "GantryWriteCacheKey is false")
	says(t, s.must(append(publish, "--no-build")...), "--no-build")
	// a tag that the check does not see: of a clock, of a version tool, of a target that is not in GantryCheckDependsOn
	s.add("console.csproj", `<Target Name="Clock" BeforeTargets="ComputeContainerConfig">
  <PropertyGroup>
    <ContainerImageTag Condition="'$(_GantryCheckOnly)' == 'true'">1020</ContainerImageTag>
    <ContainerImageTag Condition="'$(_GantryCheckOnly)' != 'true'">1021</ContainerImageTag>
  </PropertyGroup>
</Target>`)
	says(t, s.must(publish...), "the tag of ContainerCacheKey is not written", "ContainerImageTags=1021")
	s.hasTags("app", "1021", "latest")
}

func TestKey_repositoryOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	publish := append(s.publish("-p:ContainerCacheKey=k", "-p:GantryKeyRepository=keys/app"), "--no-restore")
	s.must(publish...)
	s.hasTags("app", "latest")
	s.hasTags("keys/app", "content-k")
	clone := s.clone()
	publish = slices.DeleteFunc(publish, func(a string) bool { return a == "--no-restore" })
	says(t, clone.must(append(publish, "-p:ContainerImageTag=2")...), "tags updated without rebuild: 2")
	clone.notCompiled()
	s.same("latest", "2")
}

func TestKey_secret(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	s.tag("app", "latest", "content-k") // by somebody who may push
	s.env = append(s.env, "GANTRY_KEY_SECRET=correct horse")
	publish := append(s.publish("-p:ContainerCacheKey=k"), "--no-restore")
	r := s.must(publish...)
	says(t, r, "GANTRY5006", "cache key content-k")
	calls := s.tool()
	says(t, s.must(publish...), "Image already present", "all tags are current")
	if got := calls(); slices.Contains(got, "push") {
		t.Errorf("the record does not make a hit: %q", got)
	}
	s.env = append(s.env, "GANTRY_KEY_SECRET=wrong")
	says(t, s.must(append(publish, "-p:GantryWriteCacheKey=false")...), "GANTRY5006")
	if got := calls(); !slices.Contains(got, "push") {
		t.Errorf("another secret's record made a hit: %q", got)
	}
	if strings.Contains(r.Output, "correct horse") {
		t.Errorf("the secret is in the output:\n%s", r.Output)
	}
}

// TestKey_outage has the registry fail when it is asked for the key: neither a hit nor a miss.
func TestKey_outage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	proxy := s.behind()
	s.push()
	s.tag("app", "latest", "content-k")
	proxy.Inject(func(r *http.Request) *testenv.Fault {
		if strings.HasSuffix(r.URL.Path, "/manifests/content-k") {
			return &testenv.Fault{Status: http.StatusInternalServerError, Header: http.Header{"Retry-After": {"0"}}}
		}
		return nil
	})
	clone := s.clone()
	proxy.Reset()
	r := clone.dotnet(s.publish("-p:ContainerCacheKey=k")...)
	if r.Code == 0 || !strings.Contains(r.Output, ": error CONTAINER") || strings.Contains(r.Output, "Pushed") || strings.Contains(r.Output, "present") {
		t.Errorf("exit code %d:\n%s", r.Code, r.Output)
	}
	if got := manifestWrites(proxy, "app"); len(got) != 0 {
		t.Errorf("written: %q", got)
	}
	clone.notCompiled()
}
