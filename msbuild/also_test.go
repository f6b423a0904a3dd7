package msbuild

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/testenv"
)

// pushReport is the report of a publish.
func (s *site) pushReport() (r outcome.Result) {
	s.t.Helper()
	body, err := os.ReadFile(filepath.Join(s.dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// also puts another registry beside that of the project.
func (s *site) also() *testenv.Proxy {
	s.t.Helper()
	other := testenv.StartProxy(s.t, testenv.StartOlareg(s.t))
	s.env = []string{"DOTNET_CONTAINER_INSECURE_REGISTRIES=" + s.registry.Host() + ";" + other.Registry().Host()}
	return other
}

// TestAlsoPushTo: one project, published to three repositories of two registries, unchanged, with a registry that refuses, with a cache
// key, and to an archive.
func TestAlsoPushTo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	other, proxy := s.also(), s.behind()
	s.add("console.csproj", `<PropertyGroup Condition="'$(GantryAlsoPushTo)' == ''">
  <GantryAlsoPushTo>
    `+other.Host()+`/team/copy;
    `+proxy.Host()+`/mirror;
  </GantryAlsoPushTo>
</PropertyGroup>`)
	reports := []string{"-p:GantryReport=report.json", "-p:GantryImageRefs=refs.txt"}
	says(t, s.push(reports...), "Pushed image 'app:latest' to registry", "Pushed image 'team/copy:latest' to registry '"+other.Host(), "Pushed image 'mirror:latest' to registry")
	want := s.digest("latest")
	for repository, r := range map[string]*testenv.Registry{"team/copy": other.Registry(), "mirror": s.registry} {
		if _, digest, _ := r.Manifest(repository, "latest"); digest != want {
			t.Errorf("%s has %s, want %s", repository, digest, want)
		}
	}
	refs, err := os.ReadFile(filepath.Join(s.dir, "refs.txt"))
	if err != nil || strings.Count(string(refs), "@"+want+"\n") != 3 {
		t.Errorf("%v: the list of images is %q", err, refs)
	}
	if r := s.pushReport(); len(r.AlsoPushed) != 2 || r.AlsoPushed[1].Blobs.Uploaded.Count != 0 {
		t.Errorf("%+v", r)
	}

	proxy.Reset()
	other.Reset()
	s.push(reports...)
	if len(proxy.Requests()) != 3 || len(other.Requests()) != 1 { // the base, and each destination's tag
		t.Errorf("unchanged:\n%s%s", proxy.Log(), other.Log())
	}

	other.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method == http.MethodHead {
			return nil
		}
		return &testenv.Fault{Status: http.StatusForbidden}
	})
	failed := s.tryPush(append(reports, "-p:ContainerImageTag=2")...)
	s.failsWith(failed, "GANTRY5018")
	says(t, failed, "one of 3 destinations did not get the image: "+other.Host()+"/team/copy (CONTAINER", "Image already present in '"+proxy.Host()+"/mirror'")
	s.same("latest", "2")
	if r := s.pushReport(); r.Error != nil || r.AlsoPushed[0].Error == nil || r.AlsoPushed[1].Error != nil {
		t.Errorf("the report of a publish that failed: %+v", r)
	}
	if _, text := s.explain(); !strings.Contains(text, "the last publish failed: gantry : error GANTRY5018") {
		t.Errorf("the explanation is\n%s", text)
	}
	other.Inject(nil)

	// a key's hit, with a destination that has nothing
	s.tag("app", "latest", "content-k")
	hit := s.must(append(s.publish("-p:ContainerCacheKey=k", "-p:GantryAlsoPushTo="+other.Host()+"/keyed"), append(reports, "--no-restore")...)...)
	says(t, hit, "Image already present in '"+proxy.Host()+"/app'", "Pushed image 'keyed:latest' to registry '"+other.Host())
	if strings.Contains(hit.Output, "console -> ") {
		t.Errorf("it was built:\n%s", hit.Output)
	}
	if _, digest, _ := other.Registry().Manifest("keyed", "latest"); digest != want || len(s.pushReport().AlsoPushed) != 1 {
		t.Errorf("after a hit another destination has %s, want %s", digest, want)
	}

	s.save(append(reports, "-p:ContainerArchiveOutputPath=out.tar", "-p:GantryAlsoPushTo="+other.Host()+"/saved")...)
	if _, digest, _ := other.Registry().Manifest("saved", "latest"); digest != want {
		t.Errorf("beside an archive the registry has %s, want %s", digest, want)
	}
	if did := savedReport(t, filepath.Join(s.dir, "report.json")); !did.Written || len(did.AlsoPushed) != 1 {
		t.Errorf("%+v", did)
	}
}
