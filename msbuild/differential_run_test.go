package msbuild

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// differentialRun publishes every case twice, by the SDK and by Gantry, in one run of dotnet: to start the engine and to load its
// tasks costs more than to publish. Each side of a case is a project in a folder of its own, so that a line of the log names it.
type differentialRun struct {
	t     testing.TB
	root  string
	since time.Time
	// sdk and gantry have the bases and take what is pushed; other has a base only.
	sdk, gantry, other *testenv.Registry
	bases              *differentialBaseSet
	// log has the errors and warnings of each project, answers what its target returned.
	log     map[string][]logged
	answers map[string]string
	output  string
}

type logged struct{ level, code, text string }

// build restores and publishes the kinds once.
func (r *differentialRun) build() {
	r.t.Helper()
	gantry := testenv.PackGantry(r.t)
	for name, kind := range differentialKinds {
		dir := filepath.Join(r.root, "kinds", name)
		if err := os.CopyFS(dir, os.DirFS(testenv.Project(r.t, kind.project))); err != nil {
			r.t.Fatal(err)
		}
		file := filepath.Join(dir, kind.project+".csproj")
		for old, replacement := range kind.edits {
			testenv.Edit(r.t, file, old, replacement)
		}
		if !kind.plain {
			gantry.Use(r.t, file)
		}
		publish := filepath.Join(dir, "bin", "Release", kind.framework(), "publish")
		for path, mode := range kind.files {
			writeFile(r.t, publish, path, mode)
		}
		for name, target := range kind.links {
			if err := os.Symlink(target, filepath.Join(publish, name)); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	testenv.MustDotnet(r.t, r.root, nil, r.project("kinds.proj", `<Project>
  <ItemGroup>
    <Kind Include="kinds/*/*.csproj" />
    <Single Include="@(Kind)" Exclude="kinds/rids/*" />
    <Rid Include="linux-x64;linux-arm64" />
  </ItemGroup>
  <Target Name="Build">
    <MSBuild Projects="@(Kind)" Targets="Restore" Properties="MSBuildRestoreSessionId=kinds" BuildInParallel="true" />
    <MSBuild Projects="@(Single)" Targets="Publish" Properties="Configuration=Release;_IsPublishing=true" BuildInParallel="true" />
    <MSBuild Projects="kinds/rids/console.csproj" Targets="Publish" Properties="Configuration=Release;_IsPublishing=true;RuntimeIdentifier=%(Rid.Identity)" />
  </Target>
</Project>
`)...)
}

// writeFile writes a file, or a folder when its name ends with a slash.
func writeFile(t testing.TB, dir, name string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if strings.HasSuffix(name, "/") {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("content of "+filepath.Base(path)), mode); err != nil {
		t.Fatal(err)
	}
}

// project writes a project file and returns the arguments that run it.
func (r *differentialRun) project(name, text string) []string {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.root, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return []string{"msbuild", name, "-nologo", "-m:2", "-verbosity:quiet", "-consoleLoggerParameters:NoSummary;ForceNoAlign"}
}

// publish runs all cases, both sides.
func (r *differentialRun) publish(cases []differentialCase) {
	r.t.Helper()
	var items strings.Builder
	for _, c := range cases {
		target := c.target
		if target == "" {
			target = "PublishContainer"
		}
		if c.publish {
			target = "Publish;" + target
		}
		for _, side := range []string{"sdk", "gantry"} {
			enabled := "GantryEnabled=" + fmt.Sprint(side == "gantry" && !c.plain)
			if c.plain && side == "sdk" {
				enabled = "PlainSide=true"
			}
			fmt.Fprintf(&items, "    <Case Include=%q Targets=%q AdditionalProperties=%q />\n", r.place(c, side), target, enabled)
		}
	}
	result := testenv.Dotnet(r.t, r.root, nil, r.project("cases.proj", `<Project>
  <ItemGroup>
`+items.String()+`  </ItemGroup>
  <Target Name="Build">
    <MSBuild Projects="@(Case)" Targets="%(Case.Targets)" BuildInParallel="true" ContinueOnError="true" Properties="Configuration=Release;_IsPublishing=true;NoBuild=true" />
    <!-- One failed project takes the answers of all others with it, so each is asked again: the engine has them in its cache. -->
    <MSBuild Projects="%(Case.Identity)" Targets="%(Case.Targets)" ContinueOnError="true" Properties="Configuration=Release;_IsPublishing=true;NoBuild=true;%(Case.AdditionalProperties)">
      <Output TaskParameter="TargetOutputs" ItemName="Answer" />
    </MSBuild>
    <WriteLinesToFile File="answers.txt" Overwrite="true" Lines="@(Answer->'%(MSBuildSourceProjectFile)|%(Identity)|%(ManifestDigest)|%(ManifestMediaType)')" />
    <Message Importance="high" Text="all cases ran" />
  </Target>
</Project>
`)...)
	r.output = result.Output
	if !strings.Contains(r.output, "all cases ran") && r.read("answers.txt") == "" {
		r.t.Fatalf("dotnet did not run the cases: exit code %d\n%s", result.Code, r.output)
	}
	r.parse()
}

func (r *differentialRun) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.output)
	}
	return string(text)
}

// logLine ends with the project, but for an error in the project file itself, which begins with it.
var logLine = regexp.MustCompile(`(?m)^(?:(/[^(\n]*)\([\d,]+\))?.*?: (error|warning)(?: ([A-Z0-9]+))? ?: (.*?) *(?:\[([^\]\n]*?)(?:::[^\]\n]*)?\])?$`)

// parse sorts the log and the answers by project.
func (r *differentialRun) parse() {
	r.log, r.answers = map[string][]logged{}, map[string]string{}
	for _, m := range logLine.FindAllStringSubmatch(r.output, -1) {
		project := m[5]
		if project == "" {
			project = m[1]
		}
		r.log[project] = append(r.log[project], logged{level: m[2], code: m[3], text: m[4]})
	}
	for line := range strings.Lines(r.read("answers.txt")) {
		project, answer, _ := strings.Cut(strings.TrimSpace(line), "|")
		r.answers[project] += strings.TrimRight(answer, "|") + "\n"
	}
}

// place is the project file of one side of a case.
func (r *differentialRun) place(c differentialCase, side string) string {
	return filepath.Join(r.root, "cases", c.name, side, differentialKinds[c.kindName()].project+".csproj")
}

func (c differentialCase) kindName() string {
	if c.kind == "" {
		return "console"
	}
	return c.kind
}

func (c differentialCase) landsIn() string {
	if c.repository == "" {
		return "cases/" + c.name
	}
	return c.repository
}

// write makes the two projects of a case.
func (r *differentialRun) write(c differentialCase) {
	r.t.Helper()
	kind, ok := differentialKinds[c.kindName()]
	if !ok {
		r.t.Fatalf("%s: there is no kind %s", c.name, c.kind)
	}
	for side, registry := range map[string]*testenv.Registry{"sdk": r.sdk, "gantry": r.gantry} {
		from := filepath.Join(r.root, "kinds", c.kindName())
		if c.plain && side == "sdk" {
			from = filepath.Join(r.root, "kinds", "plain")
		}
		to := filepath.Dir(r.place(c, side))
		own := map[string]string{"ContainerRegistry": registry.LocalHost(), "ContainerRepository": "cases/" + c.name}
		if c.base != "-" {
			own["ContainerBaseImage"] = registry.LocalHost() + "/bases:" + c.baseTag()
		}
		if c.publish || c.kind == "rids" {
			copyTree(r.t, from, to, nil)
		} else {
			copyTree(r.t, from, to, restored)
			own["PublishDir"] = filepath.Join(r.root, "kinds", c.kindName(), "bin", "Release", kind.framework(), kind.rid, "publish") + "/"
		}
		var properties strings.Builder
		for _, name := range slices.Sorted(maps.Keys(own)) {
			fmt.Fprintf(&properties, "    <%s>%s</%s>\n", name, own[name], name)
		}
		testenv.Edit(r.t, filepath.Join(to, kind.project+".csproj"), "</Project>",
			"  <PropertyGroup>\n"+properties.String()+"  </PropertyGroup>\n"+r.fill(c.xml, registry)+"\n</Project>")
	}
}

// fill puts digests of bases in the place of {TAG}, and the registries' names.
func (r *differentialRun) fill(xml string, own *testenv.Registry) string {
	xml = strings.NewReplacer("$(Registry)", own.LocalHost(), "$(OtherRegistry)", r.other.LocalHost()).Replace(xml)
	for tag, digest := range r.bases.digests {
		xml = strings.ReplaceAll(xml, "{"+tag+"}", digest)
	}
	return xml
}

func (c differentialCase) baseTag() string {
	if c.base == "" {
		return "oci"
	}
	return c.base
}

// restored says whether a file is the project or what restore made.
func restored(path string) bool {
	dir, name := filepath.Split(path)
	return dir == "" || dir == "obj/" && name != "Release"
}

// copyTree copies files with their times, which decide whether they are built again.
func copyTree(t testing.TB, from, to string, which func(path string) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || which != nil && !which(filepath.ToSlash(rel)) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, body, info.Mode()); err != nil {
			return err
		}
		return os.Chtimes(target, info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// facts are what one side of a case did: what landed, errors, warnings, the target's answer.
func (r *differentialRun) facts(c differentialCase, side string) facts {
	r.t.Helper()
	registry := r.sdk
	if side == "gantry" {
		registry = r.gantry
	}
	l := &landing{t: r.t, registry: registry, repository: c.landsIn(), bases: r.bases, since: r.since}
	project := r.place(c, side)
	var all facts
	if c.archive == "" {
		all = l.read()
	} else {
		all = l.readArchive(filepath.Join(filepath.Dir(project), c.archive))
	}
	warnings := map[string]bool{}
	for _, line := range r.log[project] {
		switch {
		case line.level == "warning":
			warnings[line.code] = true
		case all["error"] == "":
			all["error"] = line.code
			if line.code == "" {
				all["error"] = "none"
			}
		}
	}
	if len(warnings) > 0 {
		all["warnings"] = strings.Join(slices.Sorted(maps.Keys(warnings)), " ")
	}
	if c.target != "" {
		all["answer"] = r.answers[project]
	} else if answer := r.answers[project]; answer != "" {
		for digest, role := range l.roles {
			answer = strings.ReplaceAll(answer, digest, role)
		}
		if c.archive != "" { // a Docker archive has no manifest, so that the registry has another
			answer = hexDigest.ReplaceAllString(answer, "DIGEST")
		}
		all["returned"] = answer
	}
	hosts := strings.NewReplacer(registry.LocalHost(), "REGISTRY", registry.Host(), "REGISTRY", r.other.LocalHost(), "OTHER")
	for name, value := range all {
		all[name] = hosts.Replace(value)
	}
	return all
}
