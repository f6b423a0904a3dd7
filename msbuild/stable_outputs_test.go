package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gantry-build/gantry/internal/testenv"
)

// commit makes a git repository with one commit out of a folder; the message makes the revision.
func commit(t *testing.T, dir, message string) {
	t.Helper()
	testenv.Require(t, "git")
	git := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a",
			"GIT_COMMITTER_EMAIL=a@example.org", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		output(t, cmd)
	}
	git("init", "-q")
	// a host for which the SDK writes a Source Link document, with the revision in it
	git("remote", "add", "origin", "https://github.com/example/console.git")
	git("add", "Program.cs")
	git("commit", "-q", "-m", message)
}

// commitImages builds and pushes one project from two folders, each with a revision of its own.
func commitImages(t *testing.T, more ...string) (images []v1.Image) {
	t.Helper()
	for i, parts := range [][]string{{"one", "console"}, {"two", "dee=per, and", "console"}} {
		s := newSite(t, "console", parts...)
		clean(t, s)
		commit(t, s.dir, []string{"first", "second"}[i])
		s.add("console.csproj", `<PropertyGroup><PublishRepositoryUrl>true</PublishRepositoryUrl></PropertyGroup>`)
		s.host = s.registry.LocalHost()
		s.must(append([]string{"publish"}, s.container(append(more, "-p:ContainerBaseImage="+s.host+"/base/tiny:1")...)...)...)
		images = append(images, s.image("app", "latest"))
	}
	return images
}

func TestStableOutputs_twoCommitsAreOneImage(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{
		{"-p:GantryStableOutputs=true"},
		{"-p:GantryStableOutputs=true", "-p:ContinuousIntegrationBuild=true"},
	} {
		images := commitImages(t, more...)
		sameApart(t, images[0], images[1])
		if files := appFiles(t, images[0], 3); strings.Contains(files["app/console.dll"], "one/console") {
			t.Errorf("%q: the assembly names the folder", more)
		}
	}
}

func TestStableOutputs_isAskedFor(t *testing.T) {
	t.Parallel()
	images := commitImages(t)
	a, b := appFiles(t, images[0], 3), appFiles(t, images[1], 3)
	if a["app/console.dll"] == b["app/console.dll"] {
		t.Error("two commits gave one assembly without GantryStableOutputs")
	}
	if a["app/console.dll"] == "" {
		t.Error("there is no assembly")
	}
}

// TestStableOutputs_recordsTheRevision builds a project, and again after a commit that changes nothing: the first image stays, with the
// revision that it was made from beside it.
func TestStableOutputs_recordsTheRevision(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	commit(t, s.dir, "first")
	git := exec.CommandContext(t.Context(), "git", "remote", "set-url", "origin", "https://user:"+canary+"@github.com/example/console.git")
	git.Dir = s.dir
	output(t, git)
	publish := append([]string{"publish"}, s.container("-p:GantryStableOutputs=true")...)
	revision := func() string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD")
		cmd.Dir = s.dir
		return strings.TrimSpace(output(t, cmd))
	}
	for _, message := range []string{"first", "second"} {
		clean(t, s)
		if message == "second" {
			git := exec.CommandContext(t.Context(), "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", message)
			git.Dir = s.dir
			output(t, git)
		}
		s.must(publish...)
		first := revision()
		if message == "second" {
			first = strings.TrimSpace(output(t, exec.CommandContext(t.Context(), "git", "-C", s.dir, "rev-parse", "HEAD~")))
		}
		digest, err := s.image("app", "latest").Digest()
		if err != nil {
			t.Fatal(err)
		}
		list, err := remote.Referrers(parseReference(t, s.registry.Reference("app", "latest")).Context().Digest(digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		index, err := list.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(index.Manifests) != 1 {
			t.Fatalf("%s: %d records", message, len(index.Manifests))
		}
		got := index.Manifests[0].Annotations
		if got["org.opencontainers.image.revision"] != first || got["org.opencontainers.image.source"] != "https://github.com/example/console.git" {
			t.Errorf("%s: got %v", message, got)
		}
	}
	request, err := os.ReadFile(filepath.Join(s.gantryDir(), "linux-x64", "push.request.json"))
	if err != nil || strings.Contains(string(request), canary) {
		t.Errorf("the request has the URL's password: %v", err)
	}
}

// TestStableOutputs_theUsersOwnStays reads the properties after evaluation.
func TestStableOutputs_theUsersOwnStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	property := func(name string) string {
		t.Helper()
		return strings.TrimSpace(s.must("msbuild", "-getProperty:"+name, "-p:GantryStableOutputs=true").Stdout)
	}
	names := []string{"IncludeSourceRevisionInInformationalVersion", "PathMap", "ContainerGenerateLabelsImageRevision"}
	if got := property(names[0]); got != "false" {
		t.Errorf("%s: got %q", names[0], got)
	}
	if got := property(names[1]); !strings.HasPrefix(got, s.dir+"=/_/,") {
		t.Errorf("%s: got %q", names[1], got)
	}
	s.add("console.csproj", `<PropertyGroup>
  <IncludeSourceRevisionInInformationalVersion>true</IncludeSourceRevisionInInformationalVersion>
  <PathMap>/own=/path</PathMap>
  <ContainerGenerateLabelsImageRevision>true</ContainerGenerateLabelsImageRevision>
</PropertyGroup>`)
	for i, want := range []string{"true", "/own=/path", "true"} {
		if got := property(names[i]); got != want {
			t.Errorf("%s: got %q, want %q", names[i], got, want)
		}
	}
	// in the project file it works as on the command line, and the off switch holds
	s.add("console.csproj", `<PropertyGroup><GantryStableOutputs>true</GantryStableOutputs><PathMap /></PropertyGroup>`)
	if got := strings.TrimSpace(s.must("msbuild", "-getProperty:PathMap").Stdout); !strings.HasPrefix(got, s.dir) {
		t.Errorf("PathMap: got %q", got)
	}
	if got := strings.TrimSpace(s.must("msbuild", "-getProperty:PathMap", "-p:GantryEnabled=false").Stdout); got != "" {
		t.Errorf("PathMap with GantryEnabled=false: got %q", got)
	}
}
