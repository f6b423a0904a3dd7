package publish

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/runner"
	"github.com/gantry-build/gantry/tasks/scan"
)

// folder makes a folder of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out [1]*") // no pattern may be read into the name
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindApp(t *testing.T) {
	const (
		netCore    = `{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "10.0.1"}}}`
		aspNet     = `{"runtimeOptions": {"frameworks": [{"name": "Microsoft.AspNetCore.App", "version": "8.0.0"}, {"name": "Microsoft.NETCore.App", "version": "8.0.0"}]}}`
		selfAspNet = `{"runtimeOptions": {"includedFrameworks": [{"name": "Microsoft.NETCore.App", "version": "9.0.3"}, {"name": "Microsoft.AspNetCore.App", "version": "9.0.3"}]}}`
		preview    = `{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "11.0.0-rc.1.26400.1"}}}`
	)
	tests := []struct {
		name, config string
		files        []string
		workdir      string
		command      []string
		base         string
	}{
		{"framework-dependent", netCore, nil, "/app/", []string{"dotnet", "/app/shop.dll"}, "mcr.microsoft.com/dotnet/runtime:10.0"},
		{"with apphost", netCore, []string{"shop"}, "/app/", []string{"dotnet", "/app/shop.dll"}, "mcr.microsoft.com/dotnet/runtime:10.0"},
		{"no slash at the end", aspNet, nil, "/srv", []string{"dotnet", "/srv/shop.dll"}, "mcr.microsoft.com/dotnet/aspnet:8.0"},
		{"self-contained", selfAspNet, []string{"shop"}, "/app/", []string{"/app/shop"}, "mcr.microsoft.com/dotnet/runtime-deps:9.0"},
		{"self-contained for Windows", selfAspNet, []string{"shop.exe"}, `C:\app`, []string{`C:\app\shop.exe`}, "mcr.microsoft.com/dotnet/runtime-deps:9.0"},
		{"self-contained without apphost", selfAspNet, nil, "/app/", []string{"dotnet", "/app/shop.dll"}, "mcr.microsoft.com/dotnet/runtime-deps:9.0"},
		{"preview", preview, nil, "/app/", []string{"dotnet", "/app/shop.dll"}, "mcr.microsoft.com/dotnet/runtime:11.0"},
		{"no framework", `{}`, nil, "/app/", []string{"dotnet", "/app/shop.dll"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{"shop.runtimeconfig.json": test.config, "shop.dll": ""}
			for _, f := range test.files {
				files[f] = ""
			}
			a, err := findApp(folder(t, files))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.command(test.workdir); !slices.Equal(got, test.command) {
				t.Errorf("got command %q, want %q", got, test.command)
			}
			got, err := a.base(false)
			if got != test.base || (err != nil) != (test.base == "") {
				t.Errorf("got base %q, %v, want %q", got, err, test.base)
			}
			if got, err := a.base(true); err == nil {
				t.Errorf("got base %q for Windows, want an error", got)
			}
		})
	}
}

func TestFindApp_refused(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		code  diag.Code
	}{
		{"none", map[string]string{"a": ""}, diag.BadUsage},
		{"two", map[string]string{"a.runtimeconfig.json": "{}", "b.runtimeconfig.json": "{}"}, diag.BadUsage},
		{"no JSON", map[string]string{"a.runtimeconfig.json": "<"}, diag.InvalidSetting},
		{"deps are no JSON", map[string]string{"a.runtimeconfig.json": "{}", "a.deps.json": "<"}, diag.InvalidSetting},
	}
	for _, test := range tests {
		if _, err := findApp(folder(t, test.files)); diag.CodeOf(err) != test.code || err == nil {
			t.Errorf("%s: got %v, want code %s", test.name, err, test.code)
		}
	}
	if _, err := findApp(filepath.Join(t.TempDir(), "nowhere")); diag.CodeOf(err) != diag.PublishFolderMissing {
		t.Errorf("got %v, want code %s", err, diag.PublishFolderMissing)
	}
}

func TestOrigins(t *testing.T) {
	a, err := findApp(folder(t, map[string]string{
		"shop.runtimeconfig.json": "{}",
		"shop.deps.json": `{
			"runtimeTarget": {"name": ".NETCoreApp,Version=v10.0/linux-arm64", "signature": ""},
			"targets": {".NETCoreApp,Version=v10.0": {}, ".NETCoreApp,Version=v10.0/linux-arm64": {
				"shop/1.0.0": {"dependencies": {"Lib": "1.0.0"}, "runtime": {"shop.dll": {}}},
				"Lib/1.0.0": {"runtime": {"Lib.dll": {"assemblyVersion": "1.0.0.0"}}, "resources": {"de/Lib.resources.dll": {"locale": "de"}}},
				"Json/13.0.4": {"runtime": {"lib/net6.0/Json.dll": {}}, "native": {"runtimes/linux-arm64/native/libjson.so": {"fileVersion": "0"}},
					"runtimeTargets": {"runtimes/win/lib/net6.0/Json.dll": {"rid": "win", "assetType": "runtime"}}},
				"runtimepack.Microsoft.NETCore.App.Runtime.linux-arm64/10.0.0": {"runtime": {"System.Runtime.dll": {}}, "native": {"libcoreclr.so": {}}},
				"Other/1.0.0": {"runtime": {"Other.dll": {}}}
			}},
			"libraries": {
				"shop/1.0.0": {"type": "project"}, "Lib/1.0.0": {"type": "project"}, "Json/13.0.4": {"type": "package"},
				"runtimepack.Microsoft.NETCore.App.Runtime.linux-arm64/10.0.0": {"type": "runtimepack"}, "Other/1.0.0": {"type": "reference"}
			}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]scan.Item{}
	for _, i := range a.origins() {
		got[i.Path] = i
	}
	want := map[string]scan.Item{}
	add := func(origin, name, version string, paths ...string) {
		for _, p := range paths {
			want[p] = scan.Item{Path: p, Origin: origin, OriginName: name, OriginVersion: version}
		}
	}
	add(tasks.OriginProject, "Lib", "1.0.0", "Lib.dll", "Lib.pdb", "Lib.xml", "Lib.dll.config", "de/Lib.resources.dll")
	add(tasks.OriginPackage, "Json", "13.0.4", "Json.dll", "Json.pdb", "Json.xml", "Json.dll.config", "libjson.so", "runtimes/win/lib/net6.0/Json.dll")
	add(tasks.OriginRuntime, "runtimepack.Microsoft.NETCore.App.Runtime.linux-arm64", "10.0.0",
		"System.Runtime.dll", "System.Runtime.pdb", "System.Runtime.xml", "System.Runtime.dll.config", "libcoreclr.so")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	if got := a.rid(); got != "linux-arm64" {
		t.Errorf("got RID %s, want linux-arm64", got)
	}
}

// TestOrigins_dotnet holds the reading of deps.json against what the SDK writes for an app with a package and a library.
func TestOrigins_dotnet(t *testing.T) {
	testenv.Require(t, "dotnet")
	dir := testenv.Project(t, "solution")
	out := filepath.Join(t.TempDir(), "out")
	testenv.MustDotnet(t, filepath.Join(dir, "app"), nil, "publish", "-o", out)
	a, err := findApp(out)
	if err != nil {
		t.Fatal(err)
	}
	byOrigin := map[string][]string{}
	for _, i := range a.origins() {
		if exists(filepath.Join(out, i.Path)) {
			byOrigin[i.Origin] = append(byOrigin[i.Origin], i.Path)
		}
	}
	if got, want := byOrigin[tasks.OriginProject], []string{"lib.dll", "lib.pdb"}; !slices.Equal(got, want) {
		t.Errorf("got %q of projects, want %q", got, want)
	}
	for _, paths := range byOrigin {
		if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, "app.") }) {
			t.Errorf("the app's own files have another origin: %q", byOrigin)
		}
	}
}

func TestSettle(t *testing.T) {
	app := map[string]string{
		"shop.runtimeconfig.json": `{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "10.0.0"}}}`,
	}
	env := &runner.Env{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	tests := []struct {
		name string
		o    Options
		code diag.Code // empty: accepted
		text string
	}{
		{"least", Options{To: "localhost/shop"}, "", ""},
		{"all", Options{To: "r.example.com:5000/a/b", Tags: []string{"1"}, Environment: []string{"A=b=c", "E="}, Ports: []string{"80", "53/udp"}, Format: "OCI", Layers: "single"}, "", ""},
		{"no registry", Options{To: "team/shop"}, diag.BadUsage, "names no registry"},
		{"no repository", Options{To: "localhost"}, diag.BadUsage, "names no registry"},
		{"tag", Options{To: "localhost/shop:1"}, diag.BadUsage, "--tag"},
		{"repository", Options{To: "localhost/Shop"}, diag.InvalidRepository, ""},
		{"bad tag", Options{To: "localhost/shop", Tags: []string{"-x"}}, diag.InvalidTag, ""},
		{"no value", Options{To: "localhost/shop", Environment: []string{"hunter2"}}, diag.BadUsage, "--env has a value without"},
		{"no label name", Options{To: "localhost/shop", Labels: []string{"=x"}}, diag.BadUsage, "--label has"},
		{"format", Options{To: "localhost/shop", Format: "zip"}, diag.BadUsage, "not oci or docker"},
		{"layers", Options{To: "localhost/shop", Layers: "two"}, diag.BadUsage, "not auto or single"},
		{"Windows needs a base", Options{To: "localhost/shop", RuntimeIdentifier: "win-x64"}, diag.BadUsage, "--base"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.o.Folder = folder(t, app)
			s, err := settle(env, test.o)
			if test.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if s.WorkingDirectory != "/app/" || s.RuntimeIdentifier != hostRID() || len(s.Tags) != 1 || len(s.ports) != len(test.o.Ports) {
					t.Errorf("got %+v", s)
				}
				return
			}
			if err == nil || diag.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %s %v, want %s %s", diag.CodeOf(err), err, test.code, test.text)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error shows what may be a secret")
			}
		})
	}
}
