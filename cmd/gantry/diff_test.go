package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/imagediff"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// shopProject is an app with a library; the path map makes two folders compile to the same.
const shopProject = `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework><AssemblyName>%s</AssemblyName>` +
	`<OutputType>%s</OutputType><UseAppHost>false</UseAppHost><OutDir>$(MSBuildProjectDirectory)/../out/</OutDir>%s</PropertyGroup>%s</Project>`

const pathMap = `<PathMap>$(MSBuildProjectDirectory)/=/_/</PathMap>`

// shop is one build of the app: the properties of both projects, and the library's code.
type shop struct {
	name, properties, code string
}

// buildShops compiles all in one run of dotnet and returns the folders with the output.
func buildShops(t *testing.T, shops []shop) map[string]string {
	t.Helper()
	dir, out := t.TempDir(), map[string]string{}
	items := ""
	for _, s := range shops {
		top := filepath.Join(dir, s.name)
		files := map[string]string{
			"lib/lib.csproj":   fmt.Sprintf(shopProject, "lib", "Library", s.properties, ""),
			"lib/Price.cs":     "public static class Price { public static int Total(int n) => " + s.code + "; }",
			"shop/shop.csproj": fmt.Sprintf(shopProject, "shop", "Exe", s.properties, `<ItemGroup><ProjectReference Include="../lib/lib.csproj" /></ItemGroup>`),
			"shop/Program.cs":  "System.Console.WriteLine(Price.Total(3));",
		}
		for name, text := range files {
			file := filepath.Join(top, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		items += fmt.Sprintf(`<V Include="%s/shop/shop.csproj" />`, s.name)
		out[s.name] = filepath.Join(top, "out")
	}
	all := `<Project><ItemGroup>` + items + `</ItemGroup><Target Name="Build">` +
		`<MSBuild Projects="@(V)" Targets="Restore" Properties="Restoring=1" /><MSBuild Projects="@(V)" Targets="Build" BuildInParallel="true" /></Target></Project>`
	if err := os.WriteFile(filepath.Join(dir, "all.proj"), []byte(all), 0o644); err != nil {
		t.Fatal(err)
	}
	testenv.MustDotnet(t, dir, nil, "msbuild", "all.proj", "-m:2", "-v:q")
	return out
}

// TestDiff_realApps compares images of apps that the real compiler made, in a real registry.
func TestDiff_realApps(t *testing.T) {
	testenv.Require(t, "dotnet", "docker-registry")
	registry := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, registry, "dotnet/tiny", "1", basemaker.TinyOptions{Layers: 2})
	gantry := testenv.BuildGantry(t)
	env := testenv.GantryEnvironment(t)
	run := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(gantry, args...)
		cmd.Env = env
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	revision := func(r string) string { return pathMap + "<SourceRevisionId>" + r + "</SourceRevisionId>" }
	folders := buildShops(t, []shop{
		{"abc", revision("abc"), "n * 3"},
		{"def", revision("def"), "n * 3"},
		{"code", revision("def"), "n * 4"},
		{"stable1", pathMap + "<IncludeSourceRevisionInInformationalVersion>false</IncludeSourceRevisionInInformationalVersion><SourceRevisionId>abc</SourceRevisionId>", "n * 3"},
		{"stable2", pathMap + "<IncludeSourceRevisionInInformationalVersion>false</IncludeSourceRevisionInInformationalVersion><SourceRevisionId>def</SourceRevisionId>", "n * 3"},
	})
	for name, folder := range folders {
		if out, code := run("publish", folder, "--base", base.Reference, "--to", registry.Host()+"/shop", "--tag", name); code != 0 {
			t.Fatalf("publish %s: %d %s", name, code, out)
		}
	}
	tests := []struct{ a, b, cause, remedy string }{
		{"abc", "def", "lib.dll differs only in its MVID and InformationalVersion 1.0.0+abc → 1.0.0+def", "IncludeSourceRevisionInInformationalVersion=false"},
		{"abc", "code", "lib.dll is another program: it differs in the code of Price.Total", ""},
		{"stable1", "stable2", "equal: ", ""},
	}
	for _, test := range tests {
		t.Run(test.a+" and "+test.b, func(t *testing.T) {
			ref := func(tag string) string { return registry.Reference("shop", tag) }
			text, code := run("diff", ref(test.a), ref(test.b))
			if want := map[bool]int{true: 0, false: 1}[strings.HasPrefix(test.cause, "equal")]; code != want {
				t.Errorf("exit status %d, want %d", code, want)
			}
			first, rest, _ := strings.Cut(text, "\n")
			if !strings.HasPrefix(first, test.cause) || !strings.Contains(rest, test.remedy) {
				t.Errorf("got\n%s\nwant the first line %q and a remedy with %q", text, test.cause, test.remedy)
			}
			var report imagediff.Report
			out, _ := run("diff", "--json", ref(test.a), ref(test.b))
			if err := json.Unmarshal([]byte(out), &report); err != nil || report.Cause != first {
				t.Errorf("JSON: %v, cause %q, want %q", err, report.Cause, first)
			}
			if out, code := run("diff", folders[test.b], ref(test.b)); code != 0 {
				t.Errorf("an image and its folder: %d\n%s", code, out)
			}
			if out, code := run("diff", folders[test.a], ref(test.b)); !strings.HasPrefix(test.cause, "equal") && (code != 1 || !strings.HasPrefix(out, test.cause)) {
				t.Errorf("a folder and another image: %d\n%s", code, out)
			}
		})
	}
}
