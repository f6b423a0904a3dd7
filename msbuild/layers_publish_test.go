package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/testenv"
)

// manyLayers is a project with an item of each type, through a proxy, and the digests of the layers that have one.
func manyLayers(t *testing.T) (s *site, proxy *testenv.Proxy, agent []string, image []string) {
	t.Helper()
	s = newSite(t, "console")
	agent = s.pushLayers("tools/agent", nil, files{"opt/agent/one": "1"}, files{"opt/agent/two": "2"})
	image = s.pushLayers("tools/image", s.image("base/tiny", "1"), files{"opt/image/low": "low"}, files{"opt/image/high": "high"})
	for name, text := range (files{"models/a.onnx": "a", "models/deep/b.onnx": "b", "models/c.tmp": "c", "rules/one/x.json": "x", "rules/y.json": "y"}) {
		writeText(t, filepath.Join(s.dir, name), text)
	}
	writeText(t, filepath.Join(s.dir, "static.tgz"), string(files{"srv/static": "static"}.gzip(t)))
	proxy = s.behind()
	_, base, _ := s.registry.Manifest("base/tiny", "1")
	s.layerItems("console.csproj",
		`<ContainerLayer Include="`+agent[1]+`" Repository="tools/agent" Description="the second of the agent" />`,
		`<ContainerLayer Include="models" Files="models/**" Except="**/*.tmp" TargetPath="/models" Mode="0640" Owner="1654:1655" Order="AfterApp" />`,
		`<ContainerLayer Include="static.tgz" />`,
		`<ContainerLayer Include="rules/**" Layer="rules" TargetPath="/etc/rules" />`,
		`<ContainerLayer Include="image" Type="Image" Repository="tools/image" Reference="1" Base="`+s.host+`/base/tiny@`+base+`" />`)
	return s, proxy, agent, image
}

// TestLayers_ofAllTypes publishes them, looks at the image with a client that is not ours, and publishes again.
func TestLayers_ofAllTypes(t *testing.T) {
	t.Parallel()
	s, proxy, agent, image := manyLayers(t)
	calls := s.tool()
	s.push()
	got := s.image("app", "latest")
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	order := []string{"opt/agent/two", "srv/static", "etc/rules/y.json", "opt/image/low", "opt/image/high", "app/console.dll", "models/a.onnx"}
	last := 2 // the base's layers
	for _, path := range order {
		if n := layerOf(t, got, path); n != last+1 {
			t.Errorf("%s is in layer %d, want %d", path, n, last+1)
		} else {
			last = n
		}
	}
	found := appFiles(t, got, 3)
	for path, there := range map[string]bool{
		"models/deep/b.onnx": true, "models/c.tmp": false, "etc/rules/one/x.json": true, "opt/agent/one": false,
	} {
		if _, ok := found[path]; ok != there {
			t.Errorf("%s: got %t, want %t", path, ok, there)
		}
	}
	digests := s.layerDigests("app", "latest")
	for _, want := range []string{agent[1], image[0], image[1]} {
		if !slices.Contains(digests, want) {
			t.Errorf("the layer %s is not in %q", want, digests)
		}
	}
	config, err := got.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	history := ""
	for _, h := range config.History {
		history += h.CreatedBy + "\n"
	}
	if !strings.Contains(history, "the second of the agent") {
		t.Errorf("the description is not in the history:\n%s", history)
	}
	for _, r := range proxy.Requests() {
		if r.Method == "GET" && strings.Contains(r.Path, "/blobs/"+image[0]) {
			t.Errorf("a layer whose configuration is known, and that can be mounted, was fetched: %s", r.Path)
		}
	}

	// one process; the base's tag, the tag of the item of type Image, the destination's tag: nothing about layers by digest
	calls()
	costs(t, proxy, "unchanged", 3, 0, func() { says(t, s.push(), "Image already present", "all tags are current") })
	if got := calls(); !slices.Equal(got, []string{"push"}) {
		t.Errorf("an unchanged publish called %q", got)
	}
	for _, r := range proxy.Requests() {
		if strings.Contains(r.Path, "/tools/agent/") || strings.Contains(r.Path, "/blobs/") {
			t.Errorf("%s %s of an unchanged publish", r.Method, r.Path)
		}
	}

	// another machine makes the same image from the same sources, and learns of the layer by digest from the image that it replaces:
	// the base's tag, the tag of type Image and that image's configuration, the image and its own
	before := s.digest("latest")
	s.env = append(s.env, "GANTRY_CACHE_DIR="+t.TempDir())
	if err := os.RemoveAll(s.gantryDir()); err != nil {
		t.Fatal(err)
	}
	costs(t, proxy, "another machine", 5, 0, func() { s.push() })
	if after := s.digest("latest"); after != before {
		t.Errorf("without a store: got %s, want %s", after, before)
	}
}

// TestLayers_inAnArchive has the blobs themselves: of other repositories, too.
func TestLayers_inAnArchive(t *testing.T) {
	t.Parallel()
	s, proxy, _, _ := manyLayers(t)
	calls := s.tool()
	archive := filepath.Join(t.TempDir(), "app.tar")
	publish := []string{"publish", "--no-build", "-t:PublishContainer", "-p:ContainerRepository=app", "-p:ContainerBaseImage=" + s.base, "-p:ContainerArchiveOutputPath=" + archive}
	s.must(publish...)
	image, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := appFiles(t, image, 3)
	for _, path := range []string{"opt/agent/two", "srv/static", "etc/rules/y.json", "opt/image/low", "opt/image/high", "app/console.dll", "models/deep/b.onnx"} {
		if found[path] == "" {
			t.Errorf("the archive lacks %s", path)
		}
	}
	calls()
	costs(t, proxy, "unchanged", 2, 0, func() { says(t, s.must(publish...), "Image already present") })
	if got := calls(); !slices.Equal(got, []string{"save"}) {
		t.Errorf("an unchanged publish called %q", got)
	}
}

// TestLayers_severalRuntimeIdentifiers has items for one platform each, by metadata and by condition, and one that a target adds.
func TestLayers_severalRuntimeIdentifiers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	x64 := s.pushLayers("tools/agent", nil, files{"opt/agent": "x64"})
	arm64 := s.pushLayers("tools/agent", nil, files{"opt/agent": "arm64"})
	proxy := s.behind()
	calls := s.tool()
	writeText(t, filepath.Join(s.dir, "all.txt"), "all")
	writeText(t, filepath.Join(s.dir, "added.txt"), "added")
	s.layerItems("rids.csproj",
		`<ContainerLayer Include="`+x64[0]+`" Repository="tools/agent" Platform="linux-x64" />`,
		`<ContainerLayer Include="`+arm64[0]+`" Repository="tools/agent" Platform="linux-arm64" />`,
		`<ContainerLayer Include="all" Files="all.txt" TargetPath="/all" />`,
		`<ContainerLayer Include="own" Files="all.txt" TargetPath="/only/$(RuntimeIdentifier)" Condition="'$(RuntimeIdentifier)' == 'linux-arm64'" />`)
	s.add("rids.csproj", `<Target Name="AddLayer" BeforeTargets="ComputeContainerConfig">
  <ItemGroup><ContainerLayer Include="added" Files="added.txt" TargetPath="/added" Description="100%25 %2541; $(Empty)'&quot;" /></ItemGroup>
</Target>`)
	publish := append([]string{"publish", "--no-restore"}, s.container("-p:ContainerCacheKey=k")...)
	s.must(publish...)
	index := s.index("app", "latest")
	for platform, want := range map[string][]string{
		"linux/amd64": {"opt/agent", "all/all.txt", "added/added.txt"},
		"linux/arm64": {"opt/agent", "all/all.txt", "only/linux-arm64/all.txt", "added/added.txt"},
	} {
		digest := index[platform].Digest.String()
		got := appFiles(t, s.image("app", digest), 3)
		for path := range got {
			if !strings.HasPrefix(path, "app/") && !slices.Contains(want, path) {
				t.Errorf("%s has %s", platform, path)
			}
		}
		for _, path := range want {
			if _, ok := got[path]; !ok {
				t.Errorf("%s lacks %s", platform, path)
			}
		}
		if h := s.config("app", digest).History; !slices.ContainsFunc(h, func(h v1.History) bool { return h.CreatedBy == `100% %41; '"` }) {
			t.Errorf("%s: the description of the added layer is not in the history: %+v", platform, h)
		}
		own := map[string]string{"linux/amd64": x64[0], "linux/arm64": arm64[0]}[platform]
		if digests := s.layerDigests("app", digest); !slices.Contains(digests, own) {
			t.Errorf("%s lacks the layer %s: %q", platform, own, digests)
		}
	}
	publish = append(noBuild(), s.container()...)
	calls()
	costs(t, proxy, "unchanged", 4, 0, func() { says(t, s.must(publish...), "all tags are current") })
	if got := calls(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"push", "push", "push-index", "resolve-base"}) {
		t.Errorf("an unchanged publish called %q", got)
	}
	says(t, s.must(append(publish, "-p:ContainerCacheKey=k")...), "Image already present", "all tags are current")
	if got := calls(); !slices.Equal(got, []string{"resolve-base", "check"}) {
		t.Errorf("a hit called %q", got)
	}
}

// TestLayers_profiler has the runtime of a container started with a native profiler whose library comes as a layer of another
// repository, through nothing but environment variables.
func TestLayers_profiler(t *testing.T) {
	t.Parallel()
	testenv.Require(t, "gcc")
	podman := testenv.NewPodman(t)
	s := newSite(t, "console")
	s.base = testenv.PushRuntimeBase(t, s.registry, "base/runtime", "10.0").Reference
	library := filepath.Join(t.TempDir(), "profiler.so")
	output(t, exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", library, filepath.Join(testenv.Root(t), "msbuild", "testdata", "profiler", "profiler.c")))
	data, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	agent := s.pushLayers("tools/profiler", nil, files{"opt/profiler/profiler.so": string(data)})
	s.layerItems("console.csproj",
		`<ContainerLayer Include="`+agent[0]+`" Repository="tools/profiler" />`,
		`<ContainerEnvironmentVariable Include="CORECLR_ENABLE_PROFILING" Value="1" />`,
		`<ContainerEnvironmentVariable Include="CORECLR_PROFILER" Value="{8A8CC829-1111-2222-3333-444455556666}" />`,
		`<ContainerEnvironmentVariable Include="CORECLR_PROFILER_PATH" Value="/opt/profiler/profiler.so" />`)
	says(t, s.push(), "mounted")
	r := podman.Run(s.registry.Reference("app", "latest"), nil)
	if r.Code != 0 {
		t.Fatalf("exit code %d\n%s", r.Code, r.Output)
	}
	says(t, r, "the profiler was started by the runtime: attached", "hello from a container")
}
