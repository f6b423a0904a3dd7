package msbuild

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gantry-build/gantry/internal/testenv"
)

// notCompiled checks that nothing was compiled or published below a folder.
func (s *site) notCompiled() {
	s.t.Helper()
	walk(s.t, s.dir, func(path string, e fs.DirEntry) {
		if !e.IsDir() && filepath.Ext(path) == ".dll" {
			s.t.Errorf("%s was made", strings.TrimPrefix(path, s.dir))
		}
	})
}

// tag gives a tag to what another tag names, past Gantry.
func (s *site) tag(repository, from, to string) {
	s.t.Helper()
	got, err := remote.Get(parseReference(s.t, s.registry.Reference(repository, from)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Tag(parseReference(s.t, s.registry.Reference(repository, to)).Context().Tag(to), got); err != nil {
		s.t.Fatal(err)
	}
}

// digest is what a tag of app names, empty for nothing.
func (s *site) digest(tag string) string {
	s.t.Helper()
	if !slices.Contains(s.registry.Tags("app"), tag) {
		return ""
	}
	_, digest, _ := s.registry.Manifest("app", tag)
	return digest
}

// same checks that tags of app name one image.
func (s *site) same(tags ...string) {
	s.t.Helper()
	for _, tag := range tags[1:] {
		if got, want := s.digest(tag), s.digest(tags[0]); got != want || got == "" {
			s.t.Errorf("%s names %q, and %s %q", tag, got, tags[0], want)
		}
	}
}

// publish is the command line with a key, that builds where it has to.
func (s *site) publish(more ...string) []string {
	s.t.Helper()
	return append([]string{"publish"}, s.container(more...)...)
}

// manifestWrites are the tags and digests that were written, in their order.
func manifestWrites(proxy *testenv.Proxy, repository string) []string {
	var refs []string
	for _, r := range proxy.Requests() {
		if ref, ok := strings.CutPrefix(r.Path, "/v2/"+repository+"/manifests/"); ok && r.Method == "PUT" {
			refs = append(refs, ref)
		}
	}
	return refs
}

func TestKey_missThenHit(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	proxy := s.behind()
	const wanted = "-getProperty:GeneratedContainerDigest,GeneratedContainerMediaType,GeneratedContainerManifest,GeneratedContainerConfiguration"
	miss := s.must(append(s.publish("-p:ContainerCacheKey=k1", `-p:ContainerImageTags="1;1.2"`), "--no-restore", wanted, "-getItem:GeneratedContainer")...)
	if got := manifestWrites(proxy, "app"); len(got) < 3 || got[len(got)-1] != "content-k1" {
		t.Errorf("the key's tag is not written last: %q", got)
	}
	s.same("1", "1.2", "content-k1")

	// another key for equal outputs: no layer and no config goes up
	proxy.Reset()
	says(t, s.must(append(s.publish("-p:ContainerCacheKey=k2", `-p:ContainerImageTags="1;1.2"`), "--no-restore")...), "content-k2 is not there", "cache key content-k2")
	s.same("1", "content-k1", "content-k2")
	if got := blobRequests(proxy); len(got) != 0 {
		t.Errorf("the second key sent blobs: %v", got)
	}

	clone := s.clone()
	var hit testenv.Result
	costs(t, proxy, "hit", 4, 0, func() {
		hit = clone.must(append(s.publish("-p:ContainerCacheKey=k1", "-p:ContainerImageTag=1"), wanted, "-getItem:GeneratedContainer")...)
	})
	clone.notCompiled()
	got, want := outputs(t, hit.Stdout), outputs(t, miss.Stdout)
	for name, value := range want.Properties {
		if got.Properties[name] != value || value == "" {
			t.Errorf("%s: got %q, want %q", name, got.Properties[name], value)
		}
	}
	for _, items := range [][]map[string]string{got.Items["GeneratedContainer"], want.Items["GeneratedContainer"]} {
		if len(items) == 0 || items[0]["ManifestDigest"] != want.Properties["GeneratedContainerDigest"] || items[0]["Configuration"] == "" {
			t.Errorf("GeneratedContainer: got %v", items)
		}
	}

	_, _, manifest := s.registry.Manifest("app", "1")
	costs(t, proxy, "hit that moves a tag", 5, int64(len(manifest)), func() {
		says(t, clone.must(s.publish("-p:ContainerCacheKey=k1", "-p:ContainerImageTag=new")...), "tags updated without rebuild: new")
	})
	costs(t, proxy, "hit that leaves tags alone", 4, 0, func() {
		clone.must(s.publish("-p:ContainerCacheKey=k1", "-p:ContainerImageTag=other", "-p:GantryTagsOnHit=none")...)
	})
	clone.notCompiled()
	s.hasTags("app", "1", "1.2", "content-k1", "content-k2", "new")
}

func TestKey_severalRuntimeIdentifiers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	proxy := s.behind()
	s.must(append(s.publish("-p:ContainerCacheKey=k"), "--no-restore")...)
	if got := manifestWrites(proxy, "app"); len(got) == 0 || got[len(got)-1] != "content-k" {
		t.Errorf("the key's tag is not written last: %q", got)
	}
	s.same("latest", "content-k")
	clone := s.clone()
	var hit testenv.Result
	// base, key, each platform by its tag, and the tag of the index
	costs(t, proxy, "hit", 5, 0, func() {
		hit = clone.must(append(s.publish("-p:ContainerCacheKey=k"), "-getProperty:GeneratedImageIndex", "-getItem:GeneratedContainer")...)
	})
	clone.notCompiled()
	clone = s.clone()
	costs(t, proxy, "hit without platform tags", 5, 0, func() {
		clone.must(s.publish("-p:ContainerCacheKey=k", "-p:GantryPlatformTags=false")...)
	})
	out := outputs(t, hit.Stdout)
	_, _, index := s.registry.Manifest("app", "latest")
	if got := out.Properties["GeneratedImageIndex"]; got != string(index) {
		t.Errorf("GeneratedImageIndex: got %s\nwant %s", got, index)
	}
	found := map[string]string{}
	for _, item := range out.Items["GeneratedContainer"] {
		found[item["ManifestDigest"]] = item["Manifest"]
	}
	for platform, m := range s.index("app", "latest") {
		_, _, body := s.registry.Manifest("app", m.Digest.String())
		if found[m.Digest.String()] != string(body) {
			t.Errorf("GeneratedContainer of %s: got %q", platform, found[m.Digest.String()])
		}
	}
	if len(found) != 2 {
		t.Errorf("GeneratedContainer: got %v", out.Items["GeneratedContainer"])
	}
	// each of the index's tags that a hit writes has the tags of its platforms
	clone.must(s.publish("-p:ContainerCacheKey=k", "-p:ContainerImageTag=2")...)
	s.same("latest", "2")
	s.same("latest-linux-x64", "2-linux-x64")
	s.same("latest-linux-arm64", "2-linux-arm64")
	clone.notCompiled()
}

// TestKey_certainOfContainer publishes in all the ways in which it is certain, before the compile, that a container is published.
func TestKey_certainOfContainer(t *testing.T) {
	t.Parallel()
	noTarget := func(args []string) []string {
		return slices.DeleteFunc(args, func(a string) bool { return a == "-t:PublishContainer" })
	}
	for _, tt := range []struct {
		name, kind string
		args       func(s *site) []string
	}{
		{"web profile", "web", func(s *site) []string {
			return append(noTarget(s.publish()), "-p:PublishProfile=DefaultContainer")
		}},
		{"worker profile", "worker", func(s *site) []string { return append(noTarget(s.publish()), "-p:WebPublishMethod=Container") }},
		{"property and response file", "console", func(s *site) []string {
			text := strings.Join(append(s.container()[1:], "-p:ContainerCacheKey=k", "-p:GantryPublish=container", "/t:Publish,PublishContainer"), "\n")
			if err := os.WriteFile(filepath.Join(s.dir, "all.rsp"), []byte(text), 0o644); err != nil {
				s.t.Fatal(err)
			}
			return []string{"publish", "@all.rsp"}
		}},
		{"quoted list of targets", "console", func(s *site) []string {
			return append(noTarget(s.publish()), "-target:Publish;PublishContainer")
		}},
		{"solution", "solution", func(s *site) []string {
			return append(s.publish("-p:GantryPublish=container"), "app/app.csproj", "-m:2")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.kind)
			s.push(slices.Concat(map[bool][]string{true: {"app/app.csproj"}}[tt.kind == "solution"])...)
			s.tag("app", "latest", "content-k")
			clone := s.clone()
			args := append(tt.args(clone), "-p:ContainerCacheKey=k")
			says(t, clone.must(args...), "Image already present", "all tags are current")
			clone.notCompiled()
		})
	}
}

// TestKey_solution publishes a solution with the property: its apps are not published, though libraries are compiled first.
func TestKey_solution(t *testing.T) {
	t.Parallel()
	s := newSite(t, "solution")
	publish := []string{"publish", "shop.slnx", "--no-restore", "-m:2", "-p:GantryPublish=container"}
	publish = append(publish, s.container("-p:ContainerCacheKey=k")...)
	s.must(publish...)
	s.same("latest", "content-k")
	calls := s.tool()
	says(t, s.must(publish...), "Image already present", "all tags are current", "the libraries of a solution started a compile")
	if got := calls(); slices.Contains(got, "push") || slices.Contains(got, "scan") || !slices.Contains(got, "check") {
		t.Errorf("a hit called %q", got)
	}
	publish[1] = "app/app.csproj"
	says(t, s.must(append(publish, "-graph")...), "Image already present", "all tags are current", "-graph")
	if got := calls(); slices.Contains(got, "push") || !slices.Contains(got, "check") {
		t.Errorf("a hit in a graph called %q", got)
	}
}
