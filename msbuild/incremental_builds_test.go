package msbuild

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIncremental_frameworks publishes a project with two target frameworks, each to its own image, as a publish for both is refused.
func TestIncremental_frameworks(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	testenv.Edit(t, m.source("matrix.csproj"), "<TargetFramework>net10.0</TargetFramework>", "<TargetFrameworks>net10.0;net9.0</TargetFrameworks>")
	ten, nine := []string{"-f", "net10.0"}, []string{"-f", "net9.0"}
	m.must("restore", "-nologo")
	m.all(t, []row{
		{name: "the first", state: "10", runs: everyStage, switches: ten},
		{name: "the second", state: "9", runs: everyStage, switches: nine},
		{name: "the first again", state: "10", switches: ten},
	})
	m.compare()
}

// TestIncremental_solution publishes the projects of a solution side by side.
func TestIncremental_solution(t *testing.T) {
	t.Parallel()
	const n = 2
	k := newSkips(t, "console")
	proxy := k.throughProxy()
	manyProjects(t, k.site, n)
	for i := range n {
		app := filepath.Join(k.dir, fmt.Sprintf("app%d", i))
		k.check(os.WriteFile(filepath.Join(app, "own.txt"), fmt.Appendf(nil, "of app%d", i), 0o644))
		testenv.Edit(t, filepath.Join(app, filepath.Base(app)+".csproj"), "</Project>",
			`<ItemGroup><Content Include="own.txt" CopyToPublishDirectory="PreserveNewest" /></ItemGroup></Project>`)
	}
	publish := []string{"publish", "many.slnx", "-m:2", "-t:PublishContainer", "-p:ContainerRegistry=" + k.host, "-p:ContainerBaseImage=" + k.base}
	ran := func(times map[string]int) {
		t.Helper()
		got := map[string]int{}
		for _, stage := range k.calls() {
			got[stage]++
		}
		if fmt.Sprint(got) != fmt.Sprint(times) {
			t.Errorf("the tool was called for %v, want %v", got, times)
		}
	}
	k.must(publish...)
	ran(map[string]int{"resolve-base": 1, "select-base": n, "compute-config": n, "create-layers": n, "push": 4 * n})
	publish = append(publish, "--no-restore")
	costs(t, proxy, "nothing changed", n+1, 0, func() { k.must(publish...) })
	ran(map[string]int{"resolve-base": 1, "push": n})
	k.check(os.WriteFile(filepath.Join(k.dir, "app1", "own.txt"), []byte("another of app1"), 0o644))
	k.must(publish...)
	ran(map[string]int{"resolve-base": 1, "create-layers": 1, "push": n + 1})

	// a clean clone that pushes to a registry which has nothing
	other := testenv.StartRegistry(t)
	clone := k.clone()
	clone.env = append(clone.env, "DOTNET_CONTAINER_INSECURE_REGISTRIES="+other.Host()+";"+proxy.Host())
	clone.must("publish", "many.slnx", "-m:2", "-t:PublishContainer", "-p:ContainerRegistry="+other.Host(), "-p:ContainerBaseImage="+k.base)
	var digests []string
	for i := range n {
		app := fmt.Sprintf("app%d", i)
		_, got, _ := k.registry.Manifest(app, "latest")
		_, want, _ := other.Manifest(app, "latest")
		if got != want || slices.Contains(digests, got) {
			t.Errorf("%s: got %s, a clean clone gives %s; others: %q", app, got, want, digests)
		}
		digests = append(digests, got)
	}
}

// TestIncremental_userTarget has a target of the user's that changes a published file, and one that adds a file: what it wrote is not
// taken for a copy that fell behind its source.
func TestIncremental_userTarget(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	m.add("matrix.csproj", `<Target Name="Sign" AfterTargets="Publish">
  <WriteLinesToFile File="$(PublishDir)data/a.txt" Overwrite="true" WriteOnlyWhenDifferent="$(OnlyWhenDifferent)"
                    Lines="signed: $([System.IO.File]::ReadAllText('$(MSBuildProjectDirectory)/data/a.txt').Trim())" />
  <WriteLinesToFile File="$(PublishDir)added/by-target.txt" Lines="added" Overwrite="true" WriteOnlyWhenDifferent="$(OnlyWhenDifferent)" />
</Target>`)
	seldom := []string{"-p:OnlyWhenDifferent=true"}
	has := func(text string) {
		t.Helper()
		files := appFiles(t, m.image("app", "latest"), 3)
		if files["app/data/a.txt"] != digestOf(t, strings.NewReader(text+"\n")) || files["app/added/by-target.txt"] == "" {
			t.Errorf("the image has not what the target wrote: %v", files)
		}
	}
	m.all(t, []row{{name: "the first publish", state: "signed", runs: everyStage, switches: seldom}})
	has("signed: content of a")
	m.all(t, []row{
		{name: "nothing changed, and nothing written", state: "signed", switches: seldom, requests: 2},
		{name: "nothing changed, and written anew", state: "signed", switches: []string{"-p:OnlyWhenDifferent=false"}, requests: 2},
		{name: "the source changed", state: "changed", runs: "create-layers", switches: seldom, change: func() {
			m.put("data/a.txt", "another content of a")
		}},
	})
	has("signed: another content of a")
	m.compare()
}

// TestIncremental_web publishes a web app, whose web.config is written anew by each publish, and whose static files are no items of the
// publish: the SDK copies them in another way, and takes none out.
func TestIncremental_web(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	testenv.Edit(t, m.source("matrix.csproj"), "Microsoft.NET.Sdk", "Microsoft.NET.Sdk.Web")
	m.put("wwwroot/site.css", "body { color: black }")
	m.put("wwwroot/deep/old.css", "body { color: grey }")
	written := func() time.Time {
		info, err := os.Stat(filepath.Join(m.publishDir(), "web.config"))
		m.check(err)
		return info.ModTime()
	}
	m.all(t, []row{{name: "the first publish", state: "first", runs: everyStage, restore: true}})
	before := written()
	m.all(t, []row{
		{name: "nothing changed", state: "first", requests: 2},
		{name: "static files deleted, and replaced by one with an older time", state: "changed", runs: "create-layers", change: func() {
			old := time.Unix(1000000000, 0)
			m.put("wwwroot/site.css", "body { color: white }")
			m.check(os.Chtimes(m.source("wwwroot/site.css"), old, old))
			m.check(os.RemoveAll(m.source("wwwroot/deep")))
		}},
	})
	if written().Equal(before) {
		t.Error("web.config was not written anew: the rows show nothing")
	}
	m.compare()
}

// TestIncremental_freshRunner publishes what was published elsewhere, on a machine that has nothing but the published files.
func TestIncremental_freshRunner(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	m.must(m.line(row{})...)
	m.all(t, []row{{name: "nothing changed", state: "first", runs: everyStage, requests: 3, change: m.forget}})
	if made := m.made("app"); len(made) > 0 {
		t.Errorf("nothing changed, and these layers were made: %q", made)
	}
	// the packages' layer is taken as it is, the app's is made
	m.all(t, []row{{name: "a file edited", state: "edited", runs: everyStage, change: func() {
		m.forget()
		m.put("data/a.txt", "another content of a")
	}}})
	if made := m.made("app"); len(made) != 1 {
		t.Errorf("a file of the app edited, and these layers were made: %q", made)
	}
	m.compare()
}
