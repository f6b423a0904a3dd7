package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tool is one of the two ways to publish, with a project folder of its own.
type tool struct {
	name     string
	project  string
	store    string
	env      []string
	registry *registry
}

const (
	cold      = "cold"
	unchanged = "unchanged"
	oneLine   = "one line changed"
	greeting  = "hello from the first publish"
)

// prepare makes the two projects and restores their packages, which is no
// part of what is measured.
func prepare(ctx context.Context, s setup, work string, r *registry) ([]*tool, error) {
	var tools []*tool
	for _, name := range []string{"sdk", "gantry"} {
		t := &tool{name: name, project: filepath.Join(work, name, "demo"), store: filepath.Join(work, name, "store"), registry: r}
		t.env = append(os.Environ(),
			"MSBUILDDISABLENODEREUSE=1", "UseSharedCompilation=false", "DOTNET_CLI_USE_MSBUILD_SERVER=0",
			"DOTNET_NOLOGO=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1", "MSBUILDTERMINALLOGGER=off",
			"GANTRY_CACHE_DIR="+t.store, "DOCKER_CONFIG="+filepath.Join(work, "docker"))
		if err := copyProject(filepath.Join(s.root, "testdata", "projects", "demo"), t.project); err != nil {
			return nil, err
		}
		if name == "gantry" {
			if err := reference(t.project, s, work); err != nil {
				return nil, err
			}
			t.env = append(t.env, "NUGET_PACKAGES="+filepath.Join(work, "packages"), "NUGET_FALLBACK_PACKAGES="+globalPackages())
		}
		tools = append(tools, t)
	}
	for _, t := range tools {
		if err := t.dotnet(ctx, "restore"); err != nil {
			return nil, err
		}
	}
	return tools, nil
}

// reference adds the package to the project, from a feed of its own.
func reference(project string, s setup, work string) error {
	config := fmt.Sprintf("<configuration><packageSources><add key=\"gantry\" value=\"%s\" /></packageSources></configuration>\n", s.feed)
	if err := os.WriteFile(filepath.Join(project, "NuGet.config"), []byte(config), 0o644); err != nil {
		return err
	}
	line := fmt.Sprintf("<ItemGroup><PackageReference Include=\"Gantry.Containers\" Version=\"%s\" /></ItemGroup>\n</Project>", s.version)
	return replace(filepath.Join(project, "demo.csproj"), "</Project>", line)
}

// measure does the three publishes of one pair. Cold is: nothing compiled, no
// content store, a repository that does not exist; packages are restored.
func (t *tool) measure(ctx context.Context, i int, results *results) error {
	for _, dir := range []string{t.store, filepath.Join(t.project, "bin")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	repository := fmt.Sprintf("bench/%s%d", t.name, i)
	if err := t.cleanObj(); err != nil {
		return err
	}
	for _, c := range []string{cold, unchanged, oneLine} {
		if c == oneLine {
			old, changed := fmt.Sprintf("%s %d", greeting, i-1), fmt.Sprintf("%s %d", greeting, i)
			if i == 0 {
				old = greeting
			}
			if err := replace(filepath.Join(t.project, "Program.cs"), old+`"`, changed+`"`); err != nil {
				return err
			}
		}
		t.registry.rec.Reset()
		began := time.Now()
		err := t.dotnet(ctx, "publish", "-t:PublishContainer",
			"-p:ContainerBaseImage="+t.registry.host+"/"+base,
			"-p:ContainerRegistry="+t.registry.host, "-p:ContainerRepository="+repository)
		took := time.Since(began)
		if err != nil {
			return err
		}
		stats, err := t.registry.stats(ctx)
		if err != nil {
			return err
		}
		results.add(c, t.name, took, stats)
	}
	return nil
}

// cleanObj removes what was compiled and keeps what restore wrote.
func (t *tool) cleanObj() error {
	entries, err := os.ReadDir(filepath.Join(t.project, "obj"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := os.RemoveAll(filepath.Join(t.project, "obj", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tool) dotnet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "dotnet", args...)
	cmd.Dir, cmd.Env = t.project, t.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: dotnet %s: %w\n%s", t.name, strings.Join(args, " "), err, out)
	}
	return nil
}

// startTime is the median of n starts of "gantry version", in milliseconds.
func startTime(ctx context.Context, gantry string, n int) (float64, error) {
	var all []float64
	for range n {
		began := time.Now()
		if out, err := exec.CommandContext(ctx, gantry, "version").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s version: %w\n%s", gantry, err, out)
		}
		all = append(all, float64(time.Since(began).Microseconds())/1000)
	}
	return median(all), nil
}

// globalPackages is where the machine has its NuGet packages already.
func globalPackages() string {
	if dir := os.Getenv("NUGET_PACKAGES"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(home, ".nuget", "packages")
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// copyProject copies the sources and nothing that a build left there.
func copyProject(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "obj"} {
		if err := os.RemoveAll(filepath.Join(to, dir)); err != nil {
			return err
		}
	}
	return nil
}

func replace(file, old, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(data, []byte(old)) {
		return fmt.Errorf("%s: %q is not in it", file, old)
	}
	return os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(text), 1), 0o644)
}
