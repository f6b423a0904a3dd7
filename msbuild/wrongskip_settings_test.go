package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestWrongSkip_settings changes properties, items and the tool. The changes add up; the last case takes them all back.
func TestWrongSkip_settings(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console", "-p:Mode=a", "-p:Team=x")
	items := `<ItemGroup>
  <ContainerEnvironmentVariable Include="MODE" Value="$(Mode)" />
  <ContainerEnvironmentVariable Include="OTHER" Value="1" />
  <ContainerLabel Include="org.example.team" Value="$(Team)" />
</ItemGroup>`
	k.add("console.csproj", items)
	k.first()
	first := k.last
	start := k.more
	// what all stages that may be skipped are called, in their order
	const all, config, layers = "select-base compute-config create-layers", "compute-config", "create-layers"
	edit := func(old, replacement string) func() {
		return func() { testenv.Edit(k.t, filepath.Join(k.dir, "console.csproj"), old, replacement) }
	}
	tests := []struct {
		name   string
		change func()
		more   []string // properties from here on
		runs   string
		same   bool
	}{
		// endless misses: a publish of the same thing has nothing to do
		{name: "nothing", same: true},
		// build arguments left out of the key: skaffold#2922, dt#1505
		{name: "environment variable", more: []string{"-p:Mode=b"}, runs: config},
		{name: "label", more: []string{"-p:Team=y"}, runs: config},
		{name: "user", more: []string{"-p:ContainerUser=1000"}, runs: config + " " + layers},
		{name: "working directory", more: []string{"-p:ContainerWorkingDirectory=/srv/"}, runs: config + " " + layers},
		{name: "epoch", more: []string{"-p:SOURCE_DATE_EPOCH=1700000000"}, runs: config + " " + layers},
		{name: "layers", more: []string{"-p:GantryLayers=single"}, runs: layers, same: true}, // the console app is one layer anyhow
		{name: "format", more: []string{"-p:ContainerImageFormat=Docker"}, runs: all},
		// names and order left out: skaffold#1740
		{
			name: "two values change places", runs: config,
			change: edit(`Include="MODE" Value="$(Mode)"`, `Include="MODE" Value="1"`), more: []string{"-p:Mode=1"},
		},
		{name: "a name that reads like two", runs: config, change: edit(`Include="OTHER" Value="1"`, `Include="OTHER_1" Value=""`)},
		// builder or tool kind left out: skaffold#5504
		{name: "another tool in the same place, with the same time", runs: all, same: true, change: func() {
			old := time.Unix(1700000000, 0)
			testenv.Edit(k.t, k.script, "#!/bin/sh", "#!/bin/sh\n# built anew")
			k.check(os.Chtimes(k.script, old, old))
			k.push(k.more...)
			k.calls()
			testenv.Edit(k.t, k.script, "built anew", "built more")
			k.check(os.Chtimes(k.script, old, old))
		}},
		// what was there before is not there now, so a result that was once right is made again
		{name: "back to the first", runs: all, change: func() {
			k.more = start
			edit(`Include="MODE" Value="1"`, `Include="MODE" Value="$(Mode)"`)()
			edit(`Include="OTHER_1" Value=""`, `Include="OTHER" Value="1"`)()
		}},
	}
	for _, tt := range tests {
		k.in(t, tt.name, func(*testing.T) {
			k.more = append(k.more[:len(k.more):len(k.more)], tt.more...)
			if tt.change != nil {
				tt.change()
			}
			k.again(tt.runs, !tt.same)
		})
	}
	if k.last != first {
		t.Errorf("the settings of the first publish gave %s, and give %s now", first, k.last)
	}
}

// TestWrongSkip_option has options that are not known, or not supported: nothing is left out in silence (earthly PR#3870).
func TestWrongSkip_option(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console")
	k.first()
	wantError(t, k.tryPush("-p:ContainerBaseImageSource=archive"), "GANTRY2005", "archive")
	file := filepath.Join(k.gantryDir(), "linux-x64", "scan.request.json")
	testenv.Edit(t, file, `"stage": "scan"`, `"stage": "scan", "follow": true`)
	cmd := exec.CommandContext(t.Context(), packagedTool(t), "scan", "--request", file, "--response", filepath.Join(t.TempDir(), "scan.json"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `follow`) {
		t.Errorf("a field that nobody knows: %v\n%s", err, out)
	}
	// the request is written anew, as what is there is not what the project says
	k.again("", false)
}
