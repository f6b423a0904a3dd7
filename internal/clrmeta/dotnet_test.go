package clrmeta

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// variant is a class library: properties, and a text to replace in its source. folder is the name of its folder.
type variant struct {
	name, folder string
	properties   string
	old, new     string
}

const mapped = "<PathMap>$(MSBuildProjectDirectory)/=/_/</PathMap>"

func revision(r string) string { return mapped + "<SourceRevisionId>" + r + "</SourceRevisionId>" }

var variants = []variant{
	{name: "base", properties: revision("abc")},
	{name: "revision", properties: revision("def")},
	{name: "folder", properties: "<SourceRevisionId>abc</SourceRevisionId>"},
	{name: "random", properties: revision("abc") + "<Deterministic>false</Deterministic>"},
	{name: "randomAgain", properties: revision("abc") + "<Deterministic>false</Deterministic>"},
	{name: "version", properties: revision("abc") + "<Version>1.2.3</Version>"},
	{name: "embedded", properties: revision("abc") + "<DebugType>embedded</DebugType>"},
	{name: "embeddedFolder", properties: "<SourceRevisionId>abc</SourceRevisionId><DebugType>embedded</DebugType>"},
	{name: "x64", properties: revision("abc") + "<PlatformTarget>x64</PlatformTarget>"},
	{name: "x64Revision", properties: revision("a-longer-one") + "<PlatformTarget>x64</PlatformTarget>"},
	{name: "code", properties: revision("abc"), old: "n * 3", new: "n * 4"},
	{name: "text", properties: revision("abc"), old: `"EUR"`, new: `"USD"`},
	{name: "data", properties: revision("abc"), old: "16, 17", new: "16, 18"},
	{name: "comment", properties: revision("abc"), old: "// a comment", new: "// another comment"},
	{name: "method", properties: revision("abc"), old: "// a comment", new: "public static int More() => 1;"},
}

const librarySource = `namespace Shop;

public static class Price
{
    public static readonly byte[] Table = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    public static int Total(int n) => n * 3;
    public static string Currency() => "EUR";
    public static int Safe(int n)
    {
        try { return System.Math.Abs(n); }
        catch (System.OverflowException) { return 0; }
    }
    // a comment
}
`

func TestMain(m *testing.M) {
	stop := testenv.ShareCompiler()
	code := m.Run()
	stop()
	os.Exit(code)
}

// built compiles all variants in one run of dotnet and reads their assemblies.
func built(t *testing.T) (assemblies, pdbs map[string][]byte) {
	t.Helper()
	testenv.Require(t, "dotnet")
	dir := t.TempDir()
	var list strings.Builder
	for _, v := range variants {
		folder := v.folder
		if folder == "" {
			folder = v.name
		}
		project := fmt.Sprintf(`<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework><AssemblyName>lib</AssemblyName>`+
			`<OutDir>%s/</OutDir>%s</PropertyGroup></Project>`, filepath.Join(dir, "out", v.name), v.properties)
		write(t, filepath.Join(dir, folder, "lib.csproj"), project)
		write(t, filepath.Join(dir, folder, "Price.cs"), strings.Replace(librarySource, v.old, v.new, 1))
		fmt.Fprintf(&list, `<V Include="%s/lib.csproj" />`, folder)
	}
	write(t, filepath.Join(dir, "all.proj"), `<Project><ItemGroup>`+list.String()+`</ItemGroup><Target Name="Build">`+
		`<MSBuild Projects="@(V)" Targets="Restore" Properties="Restoring=1;Configuration=Release" BuildInParallel="true" />`+
		`<MSBuild Projects="@(V)" Targets="Build" Properties="Configuration=Release" BuildInParallel="true" /></Target></Project>`)
	testenv.MustDotnet(t, dir, nil, "msbuild", "all.proj", "-m:2", "-v:q")
	assemblies, pdbs = map[string][]byte{}, map[string][]byte{}
	for _, v := range variants {
		assemblies[v.name] = read(t, filepath.Join(dir, "out", v.name, "lib.dll"))
		if b, err := os.ReadFile(filepath.Join(dir, "out", v.name, "lib.pdb")); err == nil {
			pdbs[v.name] = b
		}
	}
	return assemblies, pdbs
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t *testing.T, b []byte) *Assembly {
	t.Helper()
	a, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// reasons are the fields that differ without those that follow.
func reasons(changes []Change) string {
	seen := map[string]bool{}
	for _, c := range changes {
		if !c.Field.Derived() {
			seen[string(c.Field)] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), ", ")
}

// TestCompare_realAssemblies holds the comparison to what the compiler makes of changes that are known.
func TestCompare_realAssemblies(t *testing.T) {
	assemblies, pdbs := built(t)
	tests := []struct {
		a, b, reasons string
		mvid          bool
	}{
		{"base", "revision", "InformationalVersion", true},
		{"base", "folder", "PDB path", true},
		{"random", "randomAgain", "", true},
		{"base", "version", "AssemblyVersion, FileVersion, InformationalVersion", true},
		{"embedded", "embeddedFolder", "embedded PDB", true},
		{"x64", "x64Revision", "InformationalVersion", true},
		{"base", "code", "code", true},
		{"base", "text", "text literals", true},
		{"base", "comment", "", true},
	}
	for _, test := range tests {
		t.Run(test.a+" and "+test.b, func(t *testing.T) {
			changes := Compare(mustParse(t, assemblies[test.a]), mustParse(t, assemblies[test.b]))
			if got := reasons(changes); got != test.reasons {
				t.Errorf("got %q, want %q: %+v", got, test.reasons, changes)
			}
			mvid := slices.ContainsFunc(changes, func(c Change) bool { return c.Field == MVID })
			if mvid != test.mvid || mvid == bytes.Equal(assemblies[test.a], assemblies[test.b]) {
				t.Errorf("MVID differs: %v, want %v", mvid, test.mvid)
			}
			back := Compare(mustParse(t, assemblies[test.b]), mustParse(t, assemblies[test.a]))
			if reasons(back) != test.reasons || len(back) != len(changes) {
				t.Errorf("the other way round: %+v", back)
			}
		})
	}
	for _, test := range []struct{ b, field, name string }{
		{"data", "initial data", ""},
		{"method", "declarations", ""},
		{"method", "code", "Shop.Price.More"},
		{"code", "code", "Shop.Price.Total"},
		{"revision", "InformationalVersion", ""},
	} {
		changes := Compare(mustParse(t, assemblies["base"]), mustParse(t, assemblies[test.b]))
		if !slices.ContainsFunc(changes, func(c Change) bool { return string(c.Field) == test.field && c.Name == test.name }) {
			t.Errorf("%s: %+v has no %s %s", test.b, changes, test.field, test.name)
		}
		if slices.ContainsFunc(changes, func(c Change) bool { return c.Field == Other }) {
			t.Errorf("%s: %+v is not complete", test.b, changes)
		}
	}
	checkPDBs(t, pdbs)
}

// checkBytes changes each byte of an assembly: whatever the comparison calls complete must not be hidden in a field it is not in.
func checkBytes(t *testing.T, data []byte) {
	t.Helper()
	a := mustParse(t, data)
	masked := make([]bool, len(data))
	for _, s := range a.masks {
		for i := s.start; i < s.end; i++ {
			masked[i] = true
		}
	}
	silent := 0
	for i := range data {
		other := bytes.Clone(data)
		other[i] ^= 0x15
		b, err := Parse(other)
		if err != nil {
			continue
		}
		changes := Compare(a, b)
		if len(changes) == 0 {
			t.Fatalf("byte %#x: no difference was found", i)
		}
		named := !slices.ContainsFunc(changes, func(c Change) bool {
			return !c.Field.Derived() && c.Field != PDBPath && c.Field != InformationalVersion
		})
		if named && !masked[i] {
			silent++
			t.Errorf("byte %#x is not that of a stamp, and yet: %+v", i, changes)
		}
		if silent > 10 {
			t.FailNow()
		}
	}
}

func checkPDBs(t *testing.T, pdbs map[string][]byte) {
	t.Helper()
	for _, test := range []struct{ a, b, want string }{
		{"base", "base", ""},
		{"base", "folder", PDBPaths},
		{"base", "comment", PDBSources},
		{"base", "revision", PDBSources}, // the source that the SDK writes for attributes
	} {
		x, err := ParsePDB(pdbs[test.a])
		if err != nil {
			t.Fatal(err)
		}
		y, err := ParsePDB(pdbs[test.b])
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range ComparePDB(x, y) {
			if got == "" {
				got = c.Kind
			}
		}
		if got != test.want {
			t.Errorf("PDB of %s and %s: got %q, want %q", test.a, test.b, got, test.want)
		}
	}
}
