package testenv

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Package is Gantry.Containers, packed from this source tree.
type Package struct {
	// Feed is the folder with the nupkg, a NuGet source.
	Feed string
	// Version names the content, so that a folder of packages never serves
	// an older one for it.
	Version string
}

// packed has what PackGantry returned in this process, by runtime identifiers.
var packed sync.Map

// PackGantry packs Gantry.Containers with scripts/pack, for this machine
// alone unless rids names others. The same sources are packed once, also across
// test runs.
func PackGantry(t testing.TB, rids ...string) Package {
	t.Helper()
	Require(t, "dotnet", "go", "bash")
	if len(rids) == 0 {
		rids = []string{hostRID()}
	}
	key := strings.Join(rids, " ")
	if p, ok := packed.Load(key); ok {
		return p.(Package)
	}
	p := packSources(t, rids)
	packed.Store(key, p)
	return p
}

// packSources packs the sources as they are now, unless that was done before.
func packSources(t testing.TB, rids []string) Package {
	t.Helper()
	root := Root(t)
	p := Package{Version: "0.1.0-test." + sourceHash(t, root, rids)}
	feeds := cacheDir(t, "feed")
	p.Feed = filepath.Join(feeds, p.Version)
	lock := flock.New(filepath.Join(feeds, p.Version+".lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := os.Stat(p.Feed); err == nil {
		return p
	}
	forgetOld(t, feeds)
	forgetOld(t, filepath.Join(PackagesDir(t), "gantry.containers"))
	tmp := filepath.Join(t.TempDir(), "feed")
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "scripts", "pack"), tmp)
	cmd.Dir = root
	cmd.Env = append(os.Environ(),
		"GANTRY_PACK_RIDS="+strings.Join(rids, " "), "GANTRY_VERSION="+p.Version,
		"MSBUILDDISABLENODEREUSE=1", "UseSharedCompilation=false")
	must(t, cmd)
	// a copy beside the target and a rename: the temp folder may be on
	// another file system
	half := p.Feed + ".half"
	if err := os.RemoveAll(half); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(half, os.DirFS(tmp)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, p.Feed); err != nil {
		t.Fatal(err)
	}
	return p
}

// hostRID is the runtime identifier of the machine, as far as tests know one.
func hostRID() string {
	if runtime.GOARCH == "arm64" {
		return "linux-arm64"
	}
	return "linux-x64"
}

// Use adds a reference to the package to a project file, and the feed to the
// sources of its folder. Nothing else of the project is changed.
func (p Package) Use(t testing.TB, projectFile string) {
	t.Helper()
	p.WriteNuGetConfig(t, filepath.Dir(projectFile))
	Edit(t, projectFile, "</Project>", fmt.Sprintf(
		"  <ItemGroup>\n    <PackageReference Include=\"Gantry.Containers\" Version=\"%s\" />\n  </ItemGroup>\n</Project>",
		p.Version))
}

// WriteNuGetConfig adds the feed to the machine's own sources, for everything
// below dir.
func (p Package) WriteNuGetConfig(t testing.TB, dir string) {
	t.Helper()
	text := fmt.Sprintf(`<configuration>
  <packageSources>
    <add key="gantry-test" value="%s" />
  </packageSources>
</configuration>
`, p.Feed)
	if err := os.WriteFile(filepath.Join(dir, "NuGet.config"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// builtGantry has what BuildGantry returned in this process.
var builtGantry sync.Map

// BuildGantry builds cmd/gantry as scripts/pack does and returns the binary's
// path, which is every test's. The same sources are built once, also across
// test runs.
func BuildGantry(t testing.TB) string {
	t.Helper()
	Require(t, "go")
	if file, ok := builtGantry.Load(""); ok {
		return file.(string)
	}
	root, binaries := Root(t), cacheDir(t, "bin")
	dir := filepath.Join(binaries, "gantry-test."+sourceHash(t, root, nil))
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	file := filepath.Join(dir, "gantry")
	if _, err := os.Stat(file); err != nil {
		forgetOld(t, binaries)
		half := file + ".half"
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-s -w -X main.version=0.1.0-test", "-o", half, "./cmd/gantry")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		must(t, cmd)
		if err := os.Rename(half, file); err != nil {
			t.Fatal(err)
		}
	}
	builtGantry.Store("", file)
	return file
}

// BuildTool builds internal/tools/NAME to a file, without the race detector.
func BuildTool(t testing.TB, name, file string) {
	t.Helper()
	Require(t, "go")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "./internal/tools/"+name)
	cmd.Dir = Root(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	must(t, cmd)
}

// GantryEnvironment is for a gantry that is run alone: content store and
// credentials are the test's own.
func GantryEnvironment(t testing.TB) []string {
	t.Helper()
	private := privateDir(t)
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + private,
		"DOCKER_CONFIG=" + filepath.Join(private, "docker"), "GANTRY_CACHE_DIR=" + filepath.Join(private, "gantry"),
	}
}

// notPacked are folders that the package does not depend on.
var notPacked = []string{"internal/testenv", "internal/tools", "targets/bin", "targets/obj"}

// sourceHash is over everything that the package is made from.
func sourceHash(t testing.TB, root string, rids []string) string {
	t.Helper()
	h := sha256.New()
	fmt.Fprintln(h, rids)
	for _, top := range []string{"go.mod", "go.sum", "LICENSE", "scripts/pack", "cmd", "internal", "tasks", "targets"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if e.IsDir() {
				if slices.Contains(notPacked, filepath.ToSlash(rel)) || e.Name() == "testdata" {
					return fs.SkipDir
				}
				return nil
			}
			if strings.HasSuffix(path, "_test.go") {
				return nil
			}
			return hashFile(h, rel, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func hashFile(h io.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(h, name)
	_, err = io.Copy(h, f)
	return err
}

// forgetOld removes what test runs of other days left.
func forgetOld(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing there yet
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.Contains(e.Name(), "-test.") || time.Since(info.ModTime()) < 24*time.Hour {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Log(err)
		}
	}
}
