package msbuild

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIncremental_offline has a base whose registry is away, while the destination is there.
func TestIncremental_offline(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	away := testenv.StartRegistry(t)
	bases := testenv.StartProxy(t, away)
	testenv.PushTinyBase(t, away, "base/tiny", "1", twoPlatforms)
	m.base = bases.Reference("base/tiny", "1")
	m.env = append(m.env, "DOTNET_CONTAINER_INSECURE_REGISTRIES="+m.host+";"+bases.Host()+";"+m.registry.Host())
	missing, never := []string{"-p:GantryPullPolicy=missing"}, []string{"-p:GantryPullPolicy=never"}
	label := append(never, "-p:Team=x")
	m.must(m.line(row{switches: missing})...)
	m.put("data/a.txt", "another content of a")
	m.know(row{state: "edited"})
	m.know(row{state: "label", switches: label[1:]})
	m.build()
	bases.Reset()
	m.all(t, []row{{name: "missing: the tag is known", state: "edited", runs: "create-layers", switches: missing}})
	if n := bases.Counts().Requests; n != 0 {
		t.Errorf("missing: the base was asked for:\n%s", bases.Log())
	}
	away.Stop()
	bases.Inject(func(*http.Request) *testenv.Fault { return &testenv.Fault{Drop: true} })
	m.all(t, []row{
		{name: "never", state: "edited", runs: everyStage, switches: never, requests: 1},
		{name: "never: a label changed", state: "label", runs: "compute-config", switches: label},
	})
	if n := bases.Counts().Requests; n != 0 {
		t.Errorf("never: the base was asked for:\n%s", bases.Log())
	}
	m.in(t, "never: a base that is not in the store", func(*testing.T) {
		unknown := strings.Replace(m.base, ":1", ":2", 1)
		wantError(m.t, m.dotnet(m.line(row{switches: append(never, "-p:ContainerBaseImage="+unknown)})...), "GANTRY2006", unknown)
	})
	m.in(t, "always", func(*testing.T) {
		if r := m.dotnet(m.line(row{})...); r.Code == 0 {
			m.t.Errorf("the registry of the base is away, and nobody noticed:\n%s", r.Output)
		}
	})
	m.compare()
}

// TestIncremental_storeUnusable has a content store that cannot be written: the image is made all the same, and one line says so.
func TestIncremental_storeUnusable(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	testenv.Require(t, "mount", "umount")
	m := newMatrix(t, "matrix")
	m.must(m.line(row{})...)
	want := m.digest("app")
	mount := func(dir, options string) {
		m.t.Helper()
		m.check(os.Mkdir(dir, 0o755))
		output(m.t, exec.CommandContext(m.t.Context(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir))
		m.t.Cleanup(func() { output(t, exec.Command("umount", "-l", dir)) })
	}
	for _, tt := range []struct {
		name string
		make func(store string)
	}{
		{"a file in its place", func(store string) { m.check(os.WriteFile(store, nil, 0o644)) }},
		{"read-only", func(store string) { mount(store, "ro") }},
		{"full", func(store string) { mount(store, "size=64k") }},
	} {
		m.in(t, tt.name, func(t *testing.T) {
			store := filepath.Join(t.TempDir(), "store")
			tt.make(store)
			defer func(env []string) { m.env = env }(m.env)
			// what takes its place lies among the temporary files
			m.env = append(m.env[:len(m.env):len(m.env)], "GANTRY_CACHE_DIR="+store, "TMPDIR="+t.TempDir())
			m.check(os.RemoveAll(m.gantryDir()))
			repository := strings.ReplaceAll(tt.name, " ", "-")
			r := m.must(m.line(row{}, "-p:ContainerRepository="+repository)...)
			if n := strings.Count(r.Output, "GANTRY4015"); n != 1 || strings.Contains(r.Output, "warning") {
				t.Errorf("%d messages GANTRY4015, want one and no warning:\n%s", n, r.Output)
			}
			if got := m.digest(repository); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
