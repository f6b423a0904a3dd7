package msbuild

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestWrongSkip_builds changes what the compiler reads, and compares with a publish of a copy of the sources in another folder.
func TestWrongSkip_builds(t *testing.T) {
	t.Parallel()
	s := newSite(t, "solution")
	clean(t, &site{t: t, dir: filepath.Join(s.dir, "app")})
	clean(t, &site{t: t, dir: filepath.Join(s.dir, "lib")})
	props := filepath.Join(s.dir, "Directory.Build.props")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(props, `<Project><PropertyGroup>
  <PathMap>$(MSBuildThisFileDirectory)=/src/</PathMap>
  <ContinuousIntegrationBuild>true</ContinuousIntegrationBuild>
</PropertyGroup></Project>
`)
	testenv.Edit(t, filepath.Join(s.dir, "app", "Program.cs"), "Console", "#if OTHER\nConsole.WriteLine();\n#endif\nConsole")
	publish := func(s *site, more []string) string {
		t.Helper()
		s.must(append(append([]string{"publish", "app"}, s.container()...), more...)...)
		_, digest, _ := s.registry.Manifest("app", "latest")
		return digest
	}
	sources := func(file string, dir bool) bool {
		return dir && slices.Contains([]string{"bin", "obj"}, filepath.Base(file))
	}
	last := publish(s, nil)
	tests := []struct {
		name   string
		change func(t *testing.T)
		more   []string
		file   string // of the publish folder, which must be another
	}{
		// intermediate stage inputs left out: dt#1455, dt#205, dt#440
		{name: "a referenced project's source", file: "lib.dll", change: func(t *testing.T) {
			testenv.Edit(t, filepath.Join(s.dir, "lib", "Greeting.cs"), "hello", "hullo")
		}},
		// build arguments left out of the key: skaffold#2922, dt#1505
		{name: "DefineConstants", file: "app.dll", more: []string{"-p:DefineConstants=OTHER"}},
		// config file left out: skaffold#8226, skaffold PR#2728
		{name: "Directory.Build.props", file: "app.runtimeconfig.json", more: []string{"-p:DefineConstants=OTHER"}, change: func(t *testing.T) {
			testenv.Edit(t, props, "</PropertyGroup>", "<InvariantGlobalization>true</InvariantGlobalization></PropertyGroup>")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := "app/" + tt.file
			before := appFiles(t, s.image("app", "latest"), 3)[file]
			if tt.change != nil {
				tt.change(t)
			}
			got := publish(s, tt.more)
			if got == last || appFiles(t, s.image("app", "latest"), 3)[file] == before {
				t.Errorf("%s is the old one", tt.file)
			}
			last = got
			other := *s
			other.t, other.dir = t, filepath.Join(t.TempDir(), "other")
			copySources(t, s.dir, other.dir, sources)
			other.env = append(slices.Clone(s.env), "GANTRY_CACHE_DIR="+t.TempDir())
			if want := publish(&other, append(slices.Clone(tt.more), "-p:ContainerImageTag=clean")); want == "" {
				t.Fatal("no image")
			}
			if _, want, _ := s.registry.Manifest("app", "clean"); got != want {
				t.Errorf("the image is %s, a publish from a clean copy makes %s", got, want)
				sameApart(t, s.image("app", "latest"), s.image("app", "clean"))
			}
		})
	}
}

// copySources copies a folder but for what skip leaves out.
func copySources(t *testing.T, from, to string, skip func(path string, dir bool) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case skip(path, e.IsDir()):
			return filepath.SkipDir
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
