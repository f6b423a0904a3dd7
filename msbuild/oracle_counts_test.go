package msbuild

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// behind puts a proxy in front of the registry, for destination and base.
func (s *site) behind() *testenv.Proxy {
	s.t.Helper()
	proxy := testenv.StartProxy(s.t, s.registry)
	s.host, s.base = proxy.Host(), proxy.Reference("base/tiny", "1")
	return proxy
}

// clone copies the sources alone to a folder of its own, with an empty content store: a fresh CI runner.
func (s *site) clone(parts ...string) *site {
	s.t.Helper()
	c := *s
	if len(parts) == 0 {
		parts = []string{filepath.Base(s.dir)}
	}
	c.dir = filepath.Join(append([]string{s.t.TempDir()}, parts...)...)
	walk(s.t, s.dir, func(path string, e fs.DirEntry) {
		rel := strings.TrimPrefix(path, s.dir)
		if e.IsDir() || slices.ContainsFunc(strings.Split(rel, "/"), func(d string) bool { return d == "bin" || d == "obj" || d == ".git" }) {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		target := filepath.Join(c.dir, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			s.t.Fatal(err)
		}
	})
	c.env = append(slices.Clone(s.env), "GANTRY_CACHE_DIR="+filepath.Join(s.t.TempDir(), "store"))
	return &c
}

// costs runs what has to cost so many requests at most, and bytes of bodies up; requests of authentication there are none.
func costs(t *testing.T, proxy *testenv.Proxy, name string, requests int, up int64, run func()) {
	t.Helper()
	proxy.Reset()
	run()
	if n := proxy.Counts(); n.Requests > requests || n.Up != up {
		t.Errorf("%s: got %d requests and %d bytes up, want at most %d and %d\n%s", name, n.Requests, n.Up, requests, up, proxy.Log())
	}
}

// blobRequests are those that are about blobs.
func blobRequests(proxy *testenv.Proxy) []recorder.Request {
	return slices.DeleteFunc(proxy.Requests(), func(r recorder.Request) bool { return !strings.Contains(r.Path, "/blobs/") })
}

// says checks that a build's output has texts.
func says(t *testing.T, r testenv.Result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Output, text) {
			t.Errorf("%q is not said:\n%s", text, r.Output)
		}
	}
}

func TestUnchanged_oneImage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	proxy := s.behind()
	s.push()
	size := func() int64 {
		_, _, body := s.registry.Manifest("app", "latest")
		return int64(len(body))
	}
	costs(t, proxy, "base by tag", 2, 0, func() {
		says(t, s.push(), "Image already present in '"+s.host+"/app'", "all tags are current")
	})
	costs(t, proxy, "one more tag", 4, size(), func() {
		says(t, s.push(`-p:ContainerImageTags="latest;1.2"`), "tags updated without rebuild: 1.2")
	})
	s.hasTags("app", "1.2", "latest")
	_, digest, _ := s.registry.Manifest("base/tiny", "1")
	byDigest := "-p:ContainerBaseImage=" + strings.TrimSuffix(s.base, ":1") + "@" + digest
	s.push(byDigest)
	costs(t, proxy, "base by digest", 1, 0, func() { s.push(byDigest) })
}

func TestUnchanged_freshClone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.add("console.csproj", `<PropertyGroup>
  <ContinuousIntegrationBuild>true</ContinuousIntegrationBuild>
  <PathMap>$(MSBuildProjectDirectory)=/src</PathMap>
</PropertyGroup>`)
	proxy := s.behind()
	clones := []*site{s.clone("one"), s.clone("two", "deeper")}
	clones[0].must(append([]string{"publish"}, s.container()...)...)
	costs(t, proxy, "fresh clone", 3, 0, func() {
		says(t, clones[1].must(append([]string{"publish"}, s.container()...)...), "all tags are current")
	})
}

func TestUnchanged_index(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	proxy := s.behind()
	publish := append([]string{"publish", "--no-restore"}, s.container()...)
	s.must(publish...)
	publish = append(publish, "--no-build")
	costs(t, proxy, "index", 4, 0, func() { says(t, s.must(publish...), "all tags are current") })
	publish = append(publish, "-p:GantryPlatformTags=false")
	costs(t, proxy, "index without platform tags", 2, 0, func() { s.must(publish...) })
}

// manyProjects makes a solution of apps whose compiler is a copy of an assembly.
func manyProjects(t *testing.T, s *site, n int) {
	t.Helper()
	assembly := filepath.Join(s.dir, "bin", "Release", "net10.0", "console.dll")
	files := map[string]string{"Directory.Build.targets": `<Project>
  <Target Name="CoreCompile"><Copy SourceFiles="` + assembly + `" DestinationFiles="@(IntermediateAssembly->'%(FullPath)')" /></Target>
</Project>`}
	var projects string
	app, err := os.ReadFile(filepath.Join(s.dir, "console.csproj"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		file := fmt.Sprintf("app%d/app%d.csproj", i, i)
		files[file] = strings.Replace(string(app), "</PropertyGroup>", "<UseAppHost>false</UseAppHost><DebugType>none</DebugType><ProduceReferenceAssembly>false</ProduceReferenceAssembly></PropertyGroup>", 1)
		projects += fmt.Sprintf("  <Project Path=%q />\n", file)
	}
	files["many.slnx"] = "<Solution>\n" + projects + "</Solution>\n"
	dir := t.TempDir()
	useFeed, err := os.ReadFile(filepath.Join(s.dir, "NuGet.config"))
	if err != nil {
		t.Fatal(err)
	}
	files["NuGet.config"] = string(useFeed)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.dir = dir
}

func TestUnchanged_twentyProjects(t *testing.T) {
	t.Parallel()
	const n = 20
	s := newSite(t, "console")
	proxy := s.behind()
	manyProjects(t, s, n)
	publish := []string{
		"publish", "many.slnx", "-m:2", "-t:PublishContainer", "-p:ContainerRegistry=" + s.host,
		"-p:ContainerBaseImage=" + s.base, "-p:GantryImageRefs=images%3Bof the build.txt",
	}
	s.must(publish...)
	costs(t, proxy, "20 projects", n+1, 0, func() { s.must(append(publish, "--no-build")...) })
	var want []string
	for i := range n {
		repository := fmt.Sprintf("app%d", i)
		_, digest, _ := s.registry.Manifest(repository, "latest")
		want = append(want, s.host+"/"+repository+"@"+digest)
	}
	slices.Sort(want)
	got, err := os.ReadFile(filepath.Join(s.dir, "images;of the build.txt"))
	if err != nil || string(got) != strings.Join(want, "\n")+"\n" {
		t.Errorf("the list of images: %v, got\n%s", err, got)
	}
}
