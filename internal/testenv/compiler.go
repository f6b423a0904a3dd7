package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// compiler names the compiler server of this process's tests; empty means none.
var compiler string

// ShareCompiler has all that Dotnet runs in this process compile in one server
// of its own name, as starting the compiler costs more than a small project
// does. It belongs in TestMain of a package with many builds, with stop at its
// end.
func ShareCompiler() (stop func()) {
	compiler = fmt.Sprintf("gantry-test-%d", os.Getpid())
	return func() {
		if err := stopCompiler(); err != nil {
			fmt.Fprintln(os.Stderr, "the compiler server goes on until it is idle for ten minutes:", err)
		}
	}
}

// stopCompiler asks the server to end; without one it does nothing.
func stopCompiler() error {
	if _, err := Look("dotnet"); err != nil {
		return nil // nor was there a server
	}
	version, err := exec.Command("dotnet", "--version").Output()
	if err != nil {
		return err
	}
	all, err := exec.Command("dotnet", "--list-sdks").Output()
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(all)) {
		name, folder, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == strings.TrimSpace(string(version)) {
			program := filepath.Join(strings.Trim(folder, "[]"), name, "Roslyn", "bincore", "VBCSCompiler.dll")
			return exec.Command("dotnet", "exec", program, "-shutdown", "-pipename:"+compiler).Run()
		}
	}
	return fmt.Errorf("dotnet --list-sdks does not name %s", version)
}

// compilerEnvironment are the variables by which MSBuild finds the server.
func compilerEnvironment() []string {
	if compiler == "" {
		return []string{"UseSharedCompilation=false"}
	}
	return []string{"UseSharedCompilation=true", "SharedCompilationId=" + compiler}
}
