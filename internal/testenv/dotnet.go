package testenv

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Dotnet runs dotnet in dir, with an environment that the machine's settings
// do not reach: no build servers but that of ShareCompiler, no telemetry, no
// look for vulnerable packages, English, no credentials. The NuGet packages
// are shared by all tests, and Gantry's content store is the test's own
// (GANTRY_CACHE_DIR). env holds additional "NAME=value".
func Dotnet(t testing.TB, dir string, env []string, args ...string) Result {
	t.Helper()
	return run(t, DotnetCommand(t, dir, env, args...))
}

// MustDotnet is Dotnet for a command that has to succeed.
func MustDotnet(t testing.TB, dir string, env []string, args ...string) Result {
	t.Helper()
	return must(t, DotnetCommand(t, dir, env, args...))
}

// DotnetCommand is the command that Dotnet runs, for tests that signal it or
// read while it runs.
func DotnetCommand(t testing.TB, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	Require(t, "dotnet")
	cmd := exec.CommandContext(t.Context(), "dotnet", args...)
	cmd.Dir = dir
	cmd.Env = append(dotnetEnvironment(t), env...)
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }) {
		cmd.Env = append(cmd.Env, "UseSharedCompilation=false") // the server's socket lies in TMPDIR, which goes with the test
	}
	return cmd
}

// kept are the variables that dotnet gets from the machine: how it is found,
// and how packages are fetched.
var kept = []string{
	"PATH", "HOME", "USER", "TMPDIR", "DOTNET_ROOT", "DOTNET_ROOT_X64",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NUGET_CERT_REVOCATION_MODE",
}

func dotnetEnvironment(t testing.TB) []string {
	t.Helper()
	var env []string
	for _, name := range kept {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	private := privateDir(t)
	env = append(env, compilerEnvironment()...)
	return append(
		env,
		"NUGET_PACKAGES="+PackagesDir(t),
		"DOTNET_CLI_HOME="+cacheDir(t, "home"),
		"DOCKER_CONFIG="+filepath.Join(private, "docker"),
		"GANTRY_CACHE_DIR="+filepath.Join(private, "gantry"),
		"DOTNET_CLI_TELEMETRY_OPTOUT=1", "DOTNET_NOLOGO=1", "DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1",
		"DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE=true", "DOTNET_GENERATE_ASPNET_CERTIFICATE=false",
		"DOTNET_CLI_UI_LANGUAGE=en", "LC_ALL=C.UTF-8",
		"MSBUILDDISABLENODEREUSE=1", "DOTNET_CLI_USE_MSBUILD_SERVER=0", "NuGetAudit=false",
		"UseRazorBuildServer=false", "MSBUILDTERMINALLOGGER=off",
	)
}

// PackagesDir is the folder of NuGet packages that the tests share.
func PackagesDir(t testing.TB) string {
	t.Helper()
	return cacheDir(t, "nuget")
}

// StoreDir is Gantry's content store in what Dotnet runs for this test.
func StoreDir(t testing.TB) string {
	t.Helper()
	return filepath.Join(privateDir(t), "gantry")
}

// Project copies testdata/projects/NAME to a folder of its own, whose path is
// returned; parts are added to the path, for tests of odd folder names. What
// a build left in the source is not copied.
func Project(t testing.TB, name string, parts ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{t.TempDir()}, parts...)...)
	if len(parts) == 0 {
		dir = filepath.Join(dir, name)
	}
	from := filepath.Join(Root(t), "testdata", "projects", name)
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "bin" || e.Name() == "obj") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// WriteFile writes a file, with the folders above it.
func WriteFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Edit replaces a text in a file; a text that is not there fails the test.
func Edit(t testing.TB, file, old, replacement string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s: %q is not in it", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, replacement, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
