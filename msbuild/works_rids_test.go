package msbuild

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// oddValues are those that the SDK cuts at a colon or splits at a semicolon on their way to the builds of the runtime
// identifiers.
var oddValues = map[string]string{
	"COLON":   "http://+:8080/path:x",
	"LIST":    "a;b;;c",
	"PERCENT": "100% %25 %3B %41",
	"QUOTES":  `he said "it's"`,
	"LINES":   "first\nsecond\n\tthird",
	"DOLLAR":  "$(HOME) @(Compile) %(Identity)",
	"UNICODE": "naïve ☃ 漢字",
	"SPACES":  "  in  front and behind  ",
	"JSON":    `{"a":["b"]}`,
	"EMPTY":   "",
}

// oddItems is a project's XML with these values as environment variables and labels.
func oddItems(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("<ItemGroup>\n")
	for name, value := range oddValues {
		v := escapeXML(t, escapeMSBuild(value))
		fmt.Fprintf(&b, "<ContainerEnvironmentVariable Include=%q Value=\"%s\" />\n", name, v)
		fmt.Fprintf(&b, "<ContainerLabel Include=%q Value=\"%s\" />\n", "odd."+strings.ToLower(name), v)
	}
	b.WriteString("</ItemGroup>")
	return b.String()
}

// hasOddValues checks that they are all in an image, as they were written.
func (s *site) hasOddValues(reference string) {
	s.t.Helper()
	c := s.config("app", reference).Config
	for name, want := range oddValues {
		if !slices.Contains(c.Env, name+"="+want) {
			s.t.Errorf("%s: environment: %q is not in %q", reference, name+"="+want, c.Env)
		}
		if got, ok := c.Labels["odd."+strings.ToLower(name)]; !ok || got != want {
			s.t.Errorf("%s: label %s: got %q, want %q", reference, name, got, want)
		}
	}
}

func TestRuntimeIdentifiers_makeAnIndex(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	other := s.also()
	s.add("rids.csproj", oddItems(t))
	r := s.must(append([]string{"publish", "--no-restore", "-p:GantryAlsoPushTo=" + other.Host() + "/copy", "-getProperty:GeneratedImageIndex", "-getItem:GeneratedContainer"},
		s.container()...)...)
	s.hasTags("app", "latest", "latest-linux-arm64", "latest-linux-x64")
	for _, tag := range s.registry.Tags("app") { // the other destination has the same
		if _, digest, _ := other.Registry().Manifest("copy", tag); digest != s.digest(tag) {
			t.Errorf("%s: %s in the other destination, want %s", tag, digest, s.digest(tag))
		}
	}
	index := s.index("app", "latest")
	for platform, rid := range map[string]string{"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64"} {
		s.hasOddValues("latest-" + rid)
		s.holds("app", "latest-"+rid, filepath.Join(s.dir, "bin", "Release", "net10.0", rid, "publish"))
		_, digest, _ := s.registry.Manifest("app", "latest-"+rid)
		if got := index[platform].Digest.String(); got != digest {
			t.Errorf("%s in the index: got %s, want %s", platform, got, digest)
		}
	}
	if len(index) != 2 || index["linux/arm64"].Platform.Variant != "v8" {
		t.Errorf("got %v", index)
	}
	out := outputs(t, r.Stdout)
	_, _, body := s.registry.Manifest("app", "latest")
	if got := out.Properties["GeneratedImageIndex"]; got != string(body) {
		t.Errorf("GeneratedImageIndex: got %s\nwant %s", got, body)
	}
	images := map[string]bool{} // each is there twice, as with the SDK
	for _, item := range out.Items["GeneratedContainer"] {
		images[item["ManifestDigest"]] = true
	}
	if len(images) != 2 || !images[index["linux/amd64"].Digest.String()] {
		t.Errorf("GeneratedContainer: got %v", images)
	}
}

func TestRuntimeIdentifiers_withoutPlatformTags(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	// dotnet build publishes each runtime identifier too, as the target does it
	s.must(append([]string{"build", "--no-restore", "-p:GantryPlatformTags=false"},
		s.container(`-p:ContainerImageTags="1.0;1.0.1"`)...)...)
	s.hasTags("app", "1.0", "1.0.1")
	for platform, m := range s.index("app", "1.0.1") {
		config := s.config("app", m.Digest.String())
		if got := config.OS + "/" + config.Architecture; got != platform {
			t.Errorf("got %s, want %s", got, platform)
		}
	}
}

// TestBase_isResolvedOncePerBuild publishes a solution of two apps for two runtime identifiers each through a recording proxy.
func TestBase_isResolvedOncePerBuild(t *testing.T) {
	t.Parallel()
	s := newSite(t, "shop")
	proxy := testenv.StartProxy(t, s.registry)
	s.host = proxy.Host()
	s.base = proxy.Reference("base/tiny", "1")
	args := append([]string{"publish", "shop.slnx", "--no-restore", "-m:2"}, slices.DeleteFunc(s.container(), func(a string) bool {
		return strings.HasPrefix(a, "-p:ContainerRepository=")
	})...)
	for _, build := range []string{"first", "second"} {
		proxy.Reset()
		s.must(args...)
		asked := 0
		for _, r := range proxy.Requests() {
			if r.Path == "/v2/base/tiny/manifests/1" {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("%s build: the base's tag was asked for %d times\n%s", build, asked, proxy.Log())
		}
	}
	for _, app := range []string{"site", "tool"} {
		s.hasTags(app, "latest", "latest-linux-arm64", "latest-linux-x64")
	}
	s.hasTags("lib")
}
