package msbuild

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestPublish_anyWay publishes one project in all the ways that dotnet knows, and looks at what arrived.
func TestPublish_anyWay(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside") + "/"
	tests := []struct {
		name, kind string
		setUp      func(t *testing.T, s *site)
		command    string
		// folder is where the files of the image come from, below the project unless it is absolute.
		folder string
	}{
		{name: "from the sources", kind: "web", setUp: clean, command: "publish"},
		{name: "no restore", kind: "console", command: "publish --no-restore"},
		{name: "no build", kind: "console", command: "publish --no-build"},
		{name: "output", kind: "console", command: "publish --no-build -o out", folder: "out"},
		{name: "folder outside", kind: "console", command: "publish --no-build -p:PublishDir=" + outside, folder: outside},
		{name: "graph", kind: "console", command: "publish --no-build -graph"},
		{name: "profile", kind: "web", command: "publish --no-build -p:PublishProfile=DefaultContainer"},
		{name: "debug", kind: "console", command: "publish --no-restore -c Debug", folder: "bin/Debug/net10.0/publish"},
		{
			name: "artifacts", kind: "console", setUp: useArtifacts, command: "publish",
			folder: "artifacts/publish/console/release",
		},
		{name: "a runtime identifier", kind: "rids", command: "publish --no-restore -r linux-x64", folder: "bin/Release/net10.0/linux-x64/publish"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.kind)
			if tt.setUp != nil {
				tt.setUp(t, s)
			}
			args := append(strings.Fields(tt.command), s.container()...)
			if tt.name == "profile" { // asks for the target by itself
				args = slices.DeleteFunc(args, func(a string) bool { return a == "-t:PublishContainer" })
			}
			r := s.must(args...)
			if got := strings.Count(r.Output, "Pushed image"); got != 1 {
				t.Errorf("%d lines say what was pushed:\n%s", got, r.Output)
			}
			folder := s.publishDir()
			if tt.folder != "" {
				folder = filepath.Join(s.dir, tt.folder)
				if filepath.IsAbs(tt.folder) {
					folder = tt.folder
				}
			}
			s.hasTags("app", "latest")
			s.holds("app", "latest", folder)
		})
	}
}

func clean(t *testing.T, s *site) {
	t.Helper()
	for _, dir := range []string{"bin", "obj"} {
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
}

func useArtifacts(t *testing.T, s *site) {
	t.Helper()
	clean(t, s)
	text := "<Project><PropertyGroup><UseArtifactsOutput>true</UseArtifactsOutput></PropertyGroup></Project>\n"
	if err := os.WriteFile(filepath.Join(s.dir, "Directory.Build.props"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holds checks that an image is valid, and that its files above the base's three layers are those of a folder.
func (s *site) holds(repository, reference, folder string) {
	s.t.Helper()
	image := s.image(repository, reference)
	if err := validate.Image(image); err != nil {
		s.t.Error(err)
	}
	got := appFiles(s.t, image, 3)
	want := folderFiles(s.t, folder)
	if len(want) == 0 {
		s.t.Fatalf("%s is empty", folder)
	}
	for path, content := range want {
		// the times of static web assets are written anew in the image
		if c, ok := got["app/"+path]; !ok || c != content && !strings.HasSuffix(path, ".staticwebassets.endpoints.json") {
			s.t.Errorf("%s of the publish folder is missing in the image, or differs", path)
		}
		delete(got, "app/"+path)
	}
	for path := range got {
		s.t.Errorf("%s is in the image and not in the publish folder", path)
	}
}

func TestPublishFolder_isUntouched(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"publish --no-build", "publish --no-build -p:PublishProfile=DefaultContainer"} {
		s := newSite(t, "console")
		calls := s.tool()
		want := folderFiles(t, s.publishDir())
		s.must(append(strings.Fields(args), s.container()[1:]...)...)
		if got := folderFiles(t, s.publishDir()); len(got) != len(want) {
			t.Errorf("%s: got %d files, want %d", args, len(got), len(want))
		}
		if got := calls(); len(got) != 0 {
			t.Errorf("%s started the tool: %q", args, got)
		}
		hasNoGantryFolder(t, s.dir)
		s.hasTags("app")
	}
}

func TestPublishSolution_pushesItsApps(t *testing.T) {
	t.Parallel()
	s := newSite(t, "solution")
	s.must(append([]string{"publish", "shop.slnx", "--no-restore", "-m:2"}, s.container()...)...)
	s.hasTags("app", "latest")
	s.holds("app", "latest", filepath.Join(s.dir, "app", "bin", "Release", "net10.0", "publish"))
}
