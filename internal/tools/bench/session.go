package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// session is one app with one tool: a folder with the sources, and everything that the tool keeps on a machine.
type session struct {
	app      app
	tool     string
	dir      string
	store    string // Gantry's content store
	tmp      string // temporary files; the SDK keeps layers there
	env      []string
	registry *registry
	bases    *bases

	// repository is the prefix of the projects' repositories; it changes when a publish is to be cold.
	repository string
	// images are what the last publish left, by project.
	images []image
	// files is the publish folder after the last publish with a container.
	files map[string]file

	restarts, line, seed int
	version              string // of the changed package
}

// newSession writes the sources. Both tools have the same packages folder and the same sources but for one reference.
func newSession(work string, o options, a app, tool string, r *registry, b *bases) (*session, error) {
	top := filepath.Join(work, a.folder+"-"+tool)
	s := &session{
		app: a, tool: tool, registry: r, bases: b, version: versionCold,
		dir: filepath.Join(top, "src"), store: filepath.Join(top, "store"), tmp: filepath.Join(top, "tmp"),
	}
	s.env = append(
		os.Environ(),
		// no server outlives a publish: its time would count for nobody, or for the next
		"MSBUILDDISABLENODEREUSE=1", "UseSharedCompilation=false", "UseRazorBuildServer=false", "DOTNET_CLI_USE_MSBUILD_SERVER=0",
		"DOTNET_NOLOGO=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1", "DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE=true", "MSBUILDTERMINALLOGGER=off",
		"NUGET_PACKAGES="+packagesDir(work), "NUGET_FALLBACK_PACKAGES="+globalPackages(),
		"GANTRY_CACHE_DIR="+s.store, "TMPDIR="+s.tmp, "DOCKER_CONFIG="+filepath.Join(work, "docker"),
	)
	props := "  <PropertyGroup>\n" +
		property("ContainerBaseImage", fmt.Sprintf("%s/%s:%s", r.host, baseRepository, s.baseTag())) +
		property("ContainerRegistry", r.host) + property("ContainerRepository", "$(BENCH_REPOSITORY)/$(MSBuildProjectName)") + "  </PropertyGroup>\n"
	if tool == results.Gantry {
		props += fmt.Sprintf("  <ItemGroup>\n    <PackageReference Include=\"Gantry.Containers\" Version=%q PrivateAssets=\"all\" />\n  </ItemGroup>\n", o.version)
	}
	if err := writeApp(s.dir, a, props); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("<configuration><packageSources><add key=\"gantry\" value=\"%s\" /></packageSources></configuration>\n", o.feed)
	return s, writeFile(filepath.Join(s.dir, "NuGet.config"), []byte(config))
}

func packagesDir(work string) string { return filepath.Join(work, "packages") }

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

// baseTag is one for each session, as bases move one by one.
func (s *session) baseTag() string { return "10.0-" + s.app.folder + "-" + s.tool }

// command is dotnet with a verb, for the solution if there is one.
func (s *session) command(verb string, more ...string) []string {
	args := []string{"dotnet", verb}
	if s.app.projects > 1 {
		args = append(args, solution)
	}
	return append(append(args, "-nologo"), more...)
}

func (s *session) plain(ctx context.Context) (usage, error) {
	settle()
	return measured(ctx, s.dir, s.environment(), s.command("publish", "--no-restore")...)
}

func (s *session) container(ctx context.Context) (usage, error) {
	settle()
	return measured(ctx, s.dir, s.environment(), s.command("publish", "--no-restore", "-t:PublishContainer")...)
}

func (s *session) environment() []string {
	return append(s.env[:len(s.env):len(s.env)], "BENCH_REPOSITORY="+s.repository)
}

// restore is not measured.
func (s *session) restore(ctx context.Context) error {
	args := s.command("restore")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.dir, s.environment()
	endWithParent(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("in %s: %s: %w\n%s", s.dir, strings.Join(args, " "), err, out)
	}
	return nil
}

// forget removes all that the tool keeps on a machine outside the projects.
func (s *session) forget() error {
	for _, dir := range []string{s.store, s.tmp} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(s.tmp, 0o755)
}
