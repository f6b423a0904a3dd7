package msbuild

import (
	"encoding/xml"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// published holds projects that reference the package, restored, built and published to a folder once for all tests: a copy of
// one costs nothing, and a publish of the copy without a build is under a second.
var published struct {
	sync.Mutex
	dir   string
	kinds map[string]*sync.Once
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gantry-msbuild-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	published.dir, published.kinds = dir, map[string]*sync.Once{}
	stop := testenv.ShareCompiler()
	// one more than there are processors: dotnet waits for files and registries now and then
	if err := flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := m.Run()
	stop()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// publishedProject is the shared folder of a kind; nobody may write to it.
func publishedProject(t *testing.T, kind string) string {
	t.Helper()
	published.Lock()
	once := published.kinds[kind]
	if once == nil {
		once = &sync.Once{}
		published.kinds[kind] = once
	}
	published.Unlock()
	dir := filepath.Join(published.dir, kind)
	// not published to another name and moved: the build's own files name the folder, and web projects read it again
	done := dir + ".done"
	once.Do(func() {
		copyWithTimes(t, sourceOf(t, kind), dir)
		useGantry(t, dir)
		testenv.MustDotnet(t, dir, nil, "publish", "-nologo")
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(done); err != nil {
		t.Fatalf("the project %s could not be published, see the first test that uses it", kind)
	}
	return dir
}

// sourceOf is the folder of a project's sources, among those that all tests share or this package's own.
func sourceOf(t *testing.T, kind string) string {
	t.Helper()
	dir := filepath.Join(testenv.Root(t), "testdata", "projects", kind)
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join(testenv.Root(t), "msbuild", "testdata", "e2e", kind)
	}
	return dir
}

// useGantry references the package from each project below a folder.
func useGantry(t *testing.T, dir string) {
	t.Helper()
	p := testenv.PackGantry(t)
	walk(t, dir, func(path string, e fs.DirEntry) {
		if filepath.Ext(path) == ".csproj" {
			p.Use(t, path)
		}
	})
	p.WriteNuGetConfig(t, dir)
}

func walk(t *testing.T, dir string, f func(path string, e fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			f(path, e)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyWithTimes copies files with their times, which decide what a build does again.
func copyWithTimes(t *testing.T, from, to string) {
	t.Helper()
	walk(t, from, func(path string, e fs.DirEntry) {
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			if err := os.MkdirAll(target, 0o755); err != nil {
				t.Fatal(err)
			}
			return
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, data, info.Mode()); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(target, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	})
}

// site is a project that references the package, and a registry with a base image for it.
type site struct {
	t *testing.T
	// dir is the project's folder, published already by newSite.
	dir      string
	registry *testenv.Registry
	// host is the registry as the project names it: a test may put a proxy in front.
	host string
	base string
	env  []string
	// credential is the user whom dotnet runs as, nil for the tests' own.
	credential *syscall.Credential
}

// twoPlatforms is a base for linux-x64 and linux-arm64.
var twoPlatforms = basemaker.TinyOptions{Platforms: []basemaker.Platform{
	{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"},
}}

// newSite copies a published project; parts are a folder of its own for it.
func newSite(t *testing.T, kind string, parts ...string) *site {
	t.Helper()
	testenv.Require(t, "dotnet", "docker-registry")
	if len(parts) == 0 {
		parts = []string{kind}
	}
	dir := filepath.Join(append([]string{t.TempDir()}, parts...)...)
	copyWithTimes(t, publishedProject(t, kind), dir)
	r := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, r, "base/tiny", "1", twoPlatforms)
	// the SDK takes no address of loopback for insecure but the name localhost
	env := []string{"DOTNET_CONTAINER_INSECURE_REGISTRIES=" + r.Host()}
	return &site{t: t, dir: dir, registry: r, host: r.Host(), base: base.Reference, env: env}
}

// container are the properties that make an image "app" in the registry.
func (s *site) container(more ...string) []string {
	return append([]string{
		"-t:PublishContainer", "-p:ContainerRegistry=" + s.host, "-p:ContainerRepository=app",
		"-p:ContainerBaseImage=" + s.base,
	}, more...)
}

// dotnet runs dotnet in the project's folder.
func (s *site) dotnet(args ...string) testenv.Result {
	s.t.Helper()
	if s.credential == nil {
		return testenv.Dotnet(s.t, s.dir, s.env, args...)
	}
	cmd := testenv.DotnetCommand(s.t, s.dir, s.env, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return testenv.Result{Code: cmd.ProcessState.ExitCode(), Stdout: string(out), Output: string(out)}
}

// must is dotnet for what has to succeed.
func (s *site) must(args ...string) testenv.Result {
	s.t.Helper()
	r := s.dotnet(args...)
	if r.Code != 0 {
		s.t.Fatalf("dotnet %s: exit code %d\n%s", strings.Join(args, " "), r.Code, r.Output)
	}
	return r
}

// asNobody gives the project to another user, who runs dotnet from now on.
func (s *site) asNobody() {
	s.t.Helper()
	home := s.t.TempDir()
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, dir := range []string{s.dir, home} {
		output(s.t, exec.Command("chown", "-R", "65534:65534", dir))
	}
	s.env = append(s.env, "HOME="+home, "DOTNET_CLI_HOME="+home, "TMPDIR="+home, "GANTRY_CACHE_DIR="+filepath.Join(home, "store"))
	s.credential = &syscall.Credential{Uid: 65534, Gid: 65534}
}

// noBuild publishes what is built. Release is named, as dotnet reads the project once more to know it: a fifth of the whole.
func noBuild() []string { return []string{"publish", "--no-build", "-c", "Release"} }

// push publishes the image app without a build, and has to succeed.
func (s *site) push(more ...string) testenv.Result {
	s.t.Helper()
	return s.must(append(noBuild(), s.container(more...)...)...)
}

// tryPush is push for what may fail.
func (s *site) tryPush(more ...string) testenv.Result {
	s.t.Helper()
	return s.dotnet(append(noBuild(), s.container(more...)...)...)
}

// add puts XML at the end of the project file.
func (s *site) add(file, text string) {
	s.t.Helper()
	testenv.Edit(s.t, filepath.Join(s.dir, file), "</Project>", text+"\n</Project>")
}

// publishDir is where a publish of the project leaves its files.
func (s *site) publishDir() string {
	return filepath.Join(s.dir, "bin", "Release", "net10.0", "publish")
}

// gantryDir is where the requests and responses of an image lie.
func (s *site) gantryDir() string { return filepath.Join(s.dir, "obj", "Release", "net10.0", "gantry") }

// image pulls an image's manifest and configuration with a client that is not ours.
func (s *site) image(repository, reference string) v1.Image {
	s.t.Helper()
	return pull(s.t, s.registry.Reference(repository, reference))
}

func pull(t *testing.T, reference string) v1.Image {
	t.Helper()
	image, err := remote.Image(parseReference(t, reference))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (s *site) config(repository, reference string) *v1.ConfigFile {
	s.t.Helper()
	config, err := s.image(repository, reference).ConfigFile()
	if err != nil {
		s.t.Fatal(err)
	}
	return config
}

// index is an image index, by platform.
func (s *site) index(repository, tag string) map[string]v1.Descriptor {
	s.t.Helper()
	index, err := remote.Index(parseReference(s.t, s.registry.Reference(repository, tag)))
	if err != nil {
		s.t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		s.t.Fatal(err)
	}
	if manifest.MediaType != types.OCIImageIndex {
		s.t.Errorf("media type of the index: got %s", manifest.MediaType)
	}
	found := map[string]v1.Descriptor{}
	for _, m := range manifest.Manifests {
		found[m.Platform.OS+"/"+m.Platform.Architecture] = m
	}
	return found
}

func parseReference(t *testing.T, s string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// hasTags checks the tags of a repository.
func (s *site) hasTags(repository string, want ...string) {
	s.t.Helper()
	if got := s.registry.Tags(repository); !slices.Equal(got, want) {
		s.t.Errorf("tags of %s: got %q, want %q", repository, got, want)
	}
}

// tool makes the project use a script that notes each call of the tool and passes it on; calls returns the stages called since
// it was asked last.
func (s *site) tool() (calls func() []string) {
	s.t.Helper()
	dir := s.t.TempDir()
	log, script := filepath.Join(dir, "calls"), filepath.Join(dir, "gantry")
	text := fmt.Sprintf("#!/bin/sh\necho \"$1\" >> '%s'\nexec '%s' \"$@\"\n", log, packagedTool(s.t))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "GANTRY_PATH="+script)
	return func() []string {
		s.t.Helper()
		data, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
		if err := os.RemoveAll(log); err != nil {
			s.t.Fatal(err)
		}
		return strings.Fields(string(data))
	}
}

// packagedTool is the binary in the package as it was restored.
func packagedTool(t *testing.T) string {
	t.Helper()
	return filepath.Join(testenv.PackagesDir(t), "gantry.containers", testenv.PackGantry(t).Version, "tools", "linux-x64", "gantry")
}

// escapeXML is for values in project files.
func escapeXML(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// escapeMSBuild writes what MSBuild gives a meaning to as %XX.
func escapeMSBuild(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte("%$@'\"();?*", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// output runs another program, which has to succeed.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}
