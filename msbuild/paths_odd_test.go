package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// oddFolders are folder names with characters that a shell, MSBuild or JSON gives a meaning to. The SDK's own restore and build
// fail in a project folder with ";", with "%" and two hexadecimal digits, or with "@(x)", so these are only tried for folders
// where the SDK can work.
var oddFolders = []string{
	"two words & 100% sure", `it's "quoted"`, "$(x) $HOME `id`", "naïve ☃ 漢字", "-p (a|b)<c>{d}!#~^[e]",
}

func TestPaths_project(t *testing.T) {
	t.Parallel()
	for _, folder := range oddFolders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "console", folder, "console")
			s.push()
			s.hasTags("app", "latest")
			s.holds("app", "latest", s.publishDir())
		})
	}
}

// TestPaths_projectBuilt has all of them at once, and the build and the scan of several runtime identifiers in it.
func TestPaths_projectBuilt(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids", "100% of `all` & 'these' \"$(x)\" ☃", "rids")
	s.must(append([]string{"publish", "--no-restore"}, s.container()...)...)
	s.holds("app", "latest-linux-x64", filepath.Join(s.dir, "bin", "Release", "net10.0", "linux-x64", "publish"))
	s.hasTags("app", "latest", "latest-linux-arm64", "latest-linux-x64")
}

func TestPaths_publishFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	for _, folder := range []string{"a;b", "p%20c at@(x)", "& 100% it's \"quoted\" $(x) $HOME `id` ☃ (a|b)<c>{d}!#~^"} {
		dir := filepath.Join(t.TempDir(), folder)
		s.push("-p:PublishDir=" + escapeMSBuild(dir) + "/")
		s.holds("app", "latest", dir)
	}
}

// TestPaths_store has the content store in such a folder.
func TestPaths_store(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	store := filepath.Join(t.TempDir(), "a;b & 'c' \"d\" $(x) `e` p%20c ☃")
	s.push("-p:GantryCacheDir=" + escapeMSBuild(store))
	s.hasTags("app", "latest")
	if _, err := os.Stat(filepath.Join(store, "blobs")); err != nil {
		t.Error(err)
	}
}

// privatePackages makes the project use a folder of its own for NuGet packages, with our package in it, and returns the path of
// the tool there.
func (s *site) privatePackages(dir string) string {
	s.t.Helper()
	p := testenv.PackGantry(s.t)
	copyWithTimes(s.t, filepath.Join(testenv.PackagesDir(s.t), "gantry.containers", p.Version), filepath.Join(dir, "gantry.containers", p.Version))
	s.env = append(s.env, "NUGET_PACKAGES="+dir)
	s.must("restore")
	return filepath.Join(dir, "gantry.containers", p.Version, "tools", "linux-x64", "gantry")
}

func TestPaths_packages(t *testing.T) {
	t.Parallel()
	// NuGet's own files do not work in a folder with ";" or "%" and two digits
	for _, folder := range []string{"100% of `all` & 'these'", `"$(x)" ☃`} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "console")
			s.privatePackages(filepath.Join(t.TempDir(), folder))
			s.push()
			s.hasTags("app", "latest")
			s.push("-p:ContainerImageTag=again")
		})
	}
}

// TestPackages_ofAnotherUser has the tool as NuGet extracts it, executable for its owner alone, and publishes as somebody else.
func TestPackages_ofAnotherUser(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	s := newSite(t, "console")
	tool := s.privatePackages(filepath.Join(t.TempDir(), "packages"))
	if err := os.Chmod(tool, 0o744); err != nil {
		t.Fatal(err)
	}
	s.asNobody()
	for _, tag := range []string{"first", "second"} {
		s.push("-p:ContainerImageTag=" + tag)
	}
	s.hasTags("app", "first", "second")
}

func TestPackages_mountedNoexec(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	testenv.Require(t, "mount", "umount")
	s := newSite(t, "console")
	dir := mountTmpfs(t, "noexec,size=64m")
	tool := s.privatePackages(dir)
	if err := exec.Command(tool, "version").Run(); err == nil {
		t.Fatal("the mount lets programs run")
	}
	for _, tag := range []string{"first", "second"} {
		s.push("-p:ContainerImageTag=" + tag)
	}
	s.hasTags("app", "first", "second")
}

// mountTmpfs mounts memory at a new folder until the test ends.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	output(t, exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir))
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	return dir
}
