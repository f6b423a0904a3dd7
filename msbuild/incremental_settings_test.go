package msbuild

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIncremental_settings changes what a publish reads beside the files, and what an earlier one left. The changes add up.
func TestIncremental_settings(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	folder := func(name string) string { return filepath.Join(m.gantryDir(), "linux-x64", filepath.FromSlash(name)) }
	set := func(properties ...string) func() {
		return func() { m.more = append(m.more[:len(m.more):len(m.more)], properties...) }
	}
	m.must(m.line(row{})...)
	m.all(t, []row{
		{name: "environment", state: "environment", runs: "compute-config", change: set("-p:Mode=b")},
		{name: "label", state: "label", runs: "compute-config", change: set("-p:Team=x")},
		{name: "property", state: "property", runs: "compute-config create-layers", change: set("-p:ContainerUser=1000")},
	})
	m.build() // on the base as it was
	m.moveBase("second")
	m.all(t, []row{
		{name: "base tag moved", state: "moved", runs: everyStage},
		{name: "tool updated", state: "moved", runs: everyStage, requests: 2, change: m.updateTool},
		{name: "response and stamp deleted", state: "moved", runs: "compute-config create-layers", requests: 2, change: func() {
			m.check(os.Remove(folder("create-layers.json")))
			m.check(os.Remove(folder("stamp/compute-config")))
		}},
		{name: "store emptied", state: "moved", requests: 3, change: func() { m.check(os.RemoveAll(m.store())) }},
		{name: "clean", state: "moved", runs: everyStage, requests: 3, change: func() { m.must("clean", "-c", "Release") }},
		{name: "other configuration", state: "debug", runs: everyStage, switches: []string{"-c", "Debug"}},
		{name: "other runtime identifier", state: "arm64", runs: everyStage, restore: true, switches: []string{"-r", "linux-arm64"}},
		{name: "and back", state: "moved"},
	})
	m.in(t, "dotnet build", func(*testing.T) {
		m.proxy.Reset()
		m.must(append([]string{"build", "--no-restore"}, m.container()[1:]...)...)
		if got := m.calls(); len(got) > 0 || m.proxy.Counts().Requests > 0 {
			m.t.Errorf("the tool was called for %q, with the requests\n%s", got, m.proxy.Log())
		}
	})
	m.in(t, "two builds at once", func(*testing.T) {
		m.forget()
		m.check(os.RemoveAll(filepath.Join(m.dir, "obj", "Debug", "net10.0", "gantry")))
		debug := row{name: "debug at once", state: "debug", switches: []string{"-c", "Debug"}}
		m.atOnce(m.line(row{}, "-p:ContainerRepository=release"), m.line(debug, "-p:ContainerRepository=debug"))
		m.is(row{name: "release at once", state: "moved"}, "release")
		m.is(debug, "debug")
	})
	m.in(t, "a run that fails", func(*testing.T) {
		m.put("data/a.txt", "another content of a")
		m.proxy.Inject(testenv.Times(-1, http.MethodPut, "/v2/app/", testenv.Fault{Status: http.StatusBadRequest}))
		if r := m.dotnet(m.line(row{})...); r.Code == 0 {
			m.t.Errorf("the registry refused the image, and the publish succeeded:\n%s", r.Output)
		}
		m.proxy.Inject(nil)
	})
	_, digest, _ := m.registry.Manifest("base/tiny", "1")
	pinned := []string{"-p:ContainerBaseImage=" + strings.TrimSuffix(m.base, ":1") + "@" + digest}
	m.all(t, []row{
		{name: "a good run after it", state: "edited"},
		{name: "base pinned", state: "pinned", runs: everyStage, switches: pinned},
		{name: "a pinned base again", state: "pinned", requests: 1, switches: pinned},
	})
	m.compare()
}

// updateTool puts another binary in the place of the tool: it does the same and has another content.
func (m *matrix) updateTool() {
	m.t.Helper()
	binary, err := os.ReadFile(packagedTool(m.t))
	m.check(err)
	m.check(os.WriteFile(m.script+".new", append(binary, "newer"...), 0o755))
	testenv.Edit(m.t, m.script, packagedTool(m.t), m.script+".new")
}

// atOnce runs dotnet several times side by side, each of which has to succeed.
func (m *matrix) atOnce(lines ...[]string) {
	m.t.Helper()
	results := make(chan testenv.Result)
	for _, line := range lines {
		go func() {
			out, err := testenv.DotnetCommand(m.t, m.dir, m.env, line...).CombinedOutput()
			code := 0
			if err != nil {
				code = 1
			}
			results <- testenv.Result{Code: code, Output: string(out)}
		}()
	}
	for range lines {
		if r := <-results; r.Code != 0 {
			m.t.Errorf("one of two builds at once failed:\n%s", r.Output)
		}
	}
	m.calls()
}
