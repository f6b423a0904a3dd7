package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// program is the web app. Its greeting is what a changed line changes.
const program = `var app = WebApplication.CreateBuilder(args).Build();
const string Greeting = "hello 0";
app.MapGet("/", () => Greeting);
app.Run();
`

const solution = "apps.slnx"

// writeApp writes the sources into a folder. Settings that hold for all projects, and differ between the tools, are in
// Directory.Build.props (props is XML).
func writeApp(dir string, a app, props string) error {
	files := map[string]string{"Directory.Build.props": "<Project>\n" + props + "</Project>\n"}
	var projects strings.Builder
	for i := range a.projects {
		name := projectName(a, i)
		at := name + "/"
		if a.projects == 1 {
			at = ""
		}
		files[at+name+".csproj"] = projectFile(a)
		files[at+"Program.cs"] = program
		fmt.Fprintf(&projects, "  <Project Path=%q />\n", at+name+".csproj")
	}
	if a.projects > 1 {
		files[solution] = "<Solution>\n" + projects.String() + "</Solution>\n"
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			return err
		}
	}
	if a.data == 0 {
		return nil
	}
	return writeFile(dataFile(dir), data(a.data, 0))
}

func projectName(a app, i int) string { return fmt.Sprintf("%s%d", a.folder, i+1) }

// projectDirs are the folders of the projects.
func projectDirs(dir string, a app) []string {
	if a.projects == 1 {
		return []string{dir}
	}
	var dirs []string
	for i := range a.projects {
		dirs = append(dirs, filepath.Join(dir, projectName(a, i)))
	}
	return dirs
}

func projectFile(a app) string {
	var b strings.Builder
	b.WriteString("<Project Sdk=\"Microsoft.NET.Sdk.Web\">\n  <PropertyGroup>\n    <TargetFramework>net10.0</TargetFramework>\n" +
		"    <Nullable>enable</Nullable>\n    <ImplicitUsings>enable</ImplicitUsings>\n")
	if a.selfContained {
		fmt.Fprintf(&b, "    <RuntimeIdentifier>%s</RuntimeIdentifier>\n    <SelfContained>true</SelfContained>\n", ownRID())
	}
	if len(a.rids) > 0 {
		// what needs no runtime or host from a package feed
		fmt.Fprintf(&b, "    <RuntimeIdentifiers>%s</RuntimeIdentifiers>\n    <UseAppHost>false</UseAppHost>\n    <SelfContained>false</SelfContained>\n"+
			"    <EnableRuntimePackDownload>false</EnableRuntimePackDownload>\n    <EnableAppHostPackDownload>false</EnableAppHostPackDownload>\n",
			strings.Join(a.rids, ";"))
	}
	b.WriteString("  </PropertyGroup>\n  <ItemGroup>\n")
	for _, p := range a.packages {
		fmt.Fprintf(&b, "    <PackageReference Include=%q Version=%q />\n", p.id, p.version)
	}
	if a.data > 0 {
		b.WriteString("    <Content Include=\"data/**\" CopyToPublishDirectory=\"PreserveNewest\" />\n" +
			"    <GantryLayer Include=\"data\" Files=\"data/**\" />\n")
	}
	b.WriteString("  </ItemGroup>\n</Project>\n")
	return b.String()
}

func ownRID() string {
	if runtime.GOARCH == "arm64" {
		return "linux-arm64"
	}
	return "linux-x64"
}

func dataFile(dir string) string { return filepath.Join(dir, "data", "table.bin") }

// data is content that no two seeds share and that compresses to about half, as assemblies do: letters of an alphabet of sixteen.
func data(size int64, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, size)
	for i := range out {
		out[i] = "etaoinshrdlucmfw"[r.Uint32()&15]
	}
	return out
}

// property is a line of Directory.Build.props.
func property(name, value string) string {
	var b bytes.Buffer
	// a buffer takes all that is written
	_ = xml.EscapeText(&b, []byte(value))
	return fmt.Sprintf("    <%s>%s</%s>\n", name, &b, name)
}

func writeFile(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// replace replaces a text that has to be in a file.
func replace(file, old, text string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(content, []byte(old)) {
		return fmt.Errorf("%s: %q is not in it", file, old)
	}
	return os.WriteFile(file, bytes.Replace(content, []byte(old), []byte(text), 1), 0o644)
}
