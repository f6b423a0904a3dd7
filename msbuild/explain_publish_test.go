package msbuild

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/explain"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// explain runs gantry explain for the site's project, as JSON and as text.
func (s *site) explain() (report explain.Report, text string) {
	s.t.Helper()
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(s.t.Context(), packagedTool(s.t), append([]string{"explain", s.dir}, args...)...)
		return []byte(output(s.t, cmd))
	}
	if err := json.Unmarshal(run("--json"), &report); err != nil {
		s.t.Fatal(err)
	}
	return report, string(run())
}

// stage finds a stage in the only folder of a report.
func stage(t *testing.T, r explain.Report, name string) explain.Stage {
	t.Helper()
	if len(r.Folders) != 1 {
		t.Fatalf("%d folders", len(r.Folders))
	}
	for _, s := range r.Folders[0].Stages {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stage %s in %+v", name, r.Folders[0])
	return explain.Stage{}
}

// states are the states of the stages in the only folder of a report.
func states(r explain.Report) map[string]explain.State {
	out := map[string]explain.State{}
	for _, s := range r.Folders[0].Stages {
		out[s.Name] = s.State
	}
	return out
}

const canary = "canary-7f3a91"

// TestExplain publishes one project again and again, each time after another change.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.add("console.csproj", `<ItemGroup>
  <ContainerEnvironmentVariable Include="TOKEN" Value="`+canary+`-1" />
  <ContainerLabel Include="org.example.team" Value="`+canary+`-2" />
</ItemGroup>`)
	noSecret := func(text string) {
		t.Helper()
		if strings.Contains(text, canary) {
			t.Errorf("a value is shown:\n%s", text)
		}
	}

	r := s.push("-p:GantryExplain=true")
	noSecret(r.Output)
	report, text := s.explain()
	for _, name := range []string{"select-base", "compute-config", "create-layers"} {
		if got := stage(t, report, name); got.State != explain.Ran || !strings.Contains(got.Because, "no earlier result") {
			t.Errorf("first publish: got %+v", got)
		}
	}
	if strings.Count(r.Output, "compute-config") != 1 || !strings.Contains(r.Output, "no earlier result") {
		t.Errorf("GantryExplain printed nothing:\n%s", r.Output)
	}
	noSecret(text)

	s.push()
	report, text = s.explain()
	for name, got := range states(report) {
		want := explain.Skipped
		switch name {
		case "resolve-base", "scan":
			want = explain.Ran
		case "download-layers":
			want = explain.LeftOut
		}
		if got != want {
			t.Errorf("unchanged: %s: got %s, want %s\n%s", name, got, want, text)
		}
	}
	if got := stage(t, report, "create-layers"); got.ComparedWith != "stamp/create-layers" || !strings.Contains(got.Because, "is equal") {
		t.Errorf("unchanged: got %+v", got)
	}

	testenv.Edit(t, filepath.Join(s.dir, "console.csproj"), canary+"-2", canary+"-3")
	s.push()
	report, text = s.explain()
	got := stage(t, report, "compute-config")
	if got.State != explain.Ran || !strings.HasPrefix(got.Because, "labels[org.example.team].value of compute-config.shared.json: sha256:") {
		t.Errorf("label: got %+v", got)
	}
	if states(report)["create-layers"] != explain.Skipped || states(report)["push"] != explain.Ran {
		t.Errorf("label:\n%s", text)
	}
	noSecret(text)

	app := filepath.Join(filepath.Dir(s.publishDir()), "console.runtimeconfig.json") // what the publish copies
	data, err := os.ReadFile(app)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(app, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	s.push()
	report, text = s.explain()
	for _, name := range []string{"scan", "create-layers"} {
		if got := stage(t, report, name); got.State != explain.Ran || !strings.Contains(got.Because, "console.runtimeconfig.json") || len(got.Differences) != 1 {
			t.Errorf("file: got %+v", got)
		}
	}
	if states(report)["compute-config"] != explain.Skipped {
		t.Errorf("file:\n%s", text)
	}

	base := testenv.PushTinyBase(t, s.registry, "base/tiny", "1", basemaker.TinyOptions{Layers: 2})
	s.push()
	report, text = s.explain()
	for _, name := range []string{"resolve-base", "select-base"} {
		if got := stage(t, report, name); got.State != explain.Ran || !strings.Contains(got.Because, "digest of resolve-base.json: sha256:") || !strings.Contains(got.Because, base.Digest) {
			t.Errorf("base: got %+v", got)
		}
	}
	if got := stage(t, report, "compute-config"); !strings.Contains(got.Because, "of select-base.json") {
		t.Errorf("base: got %+v", got)
	}
	noSecret(text)

	tool := filepath.Join(t.TempDir(), "gantry")
	binary, err := os.ReadFile(packagedTool(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tool, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	s.push("-p:GantryToolPath=" + tool)
	report, text = s.explain()
	for _, name := range []string{"select-base", "compute-config", "create-layers"} {
		if got := stage(t, report, name); got.State != explain.Ran || !strings.Contains(got.Because, "of the tool: ") {
			t.Errorf("tool: got %+v", got)
		}
	}
	noSecret(text)
}

// TestExplain_severalPlatforms shows each image and the index, and a failed publish its error.
func TestExplain_severalPlatforms(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	publish := append([]string{"publish", "--no-restore"}, s.container("-p:GantryExplain=true")...)
	s.must(publish...)
	r := s.must(publish...)
	report, text := s.explain()
	var names []string
	for _, f := range report.Folders {
		names = append(names, f.RuntimeIdentifier)
	}
	if got := strings.Join(names, " "); got != "linux-x64 linux-arm64 index" {
		t.Errorf("folders: got %s\n%s", got, text)
	}
	if got := strings.Count(r.Output, "select-base      skipped"); got != 2 {
		t.Errorf("GantryExplain shows %d images:\n%s", got, r.Output)
	}
	if f := report.Folders[2]; len(f.Stages) != 1 || f.Stages[0].Name != "push-index" || f.Stages[0].State != explain.Skipped {
		t.Errorf("got %+v", f)
	}

	if r := s.dotnet(append(publish, "-p:ContainerBaseImage="+s.host+"/base/none:1")...); r.Code == 0 {
		t.Fatal("published from a base that does not exist")
	}
	_, text = s.explain()
	if !strings.Contains(text, "the last publish failed: gantry : error CONTAINER") {
		t.Errorf("got\n%s", text)
	}
}

// TestExplain_cacheKey has a miss, then a hit.
func TestExplain_cacheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	publish := append([]string{"publish", "--no-restore"}, s.container("-p:ContainerCacheKey=k1", "-p:GantryExplain=true")...)
	s.must(publish...)
	report, text := s.explain()
	if got := stage(t, report, "check"); !strings.Contains(got.Because, "content-k1, is no hit: ") {
		t.Errorf("miss:\n%s", text)
	}
	if got := stage(t, report, "push"); got.State != explain.Ran {
		t.Errorf("miss: got %+v", got)
	}
	r := s.must(publish...)
	report, text = s.explain()
	if got := stage(t, report, "check"); !strings.Contains(got.Because, "is there under the tag of the cache key, content-k1") || len(report.Folders[0].Stages) != 1 {
		t.Errorf("hit:\n%s", text)
	}
	if !strings.Contains(r.Output, "no other stage had to run") {
		t.Errorf("GantryExplain printed nothing:\n%s", r.Output)
	}
}

// TestExplain_names has names that mean something to JSON, MSBuild and shells, and must not make any publish look new.
func TestExplain_names(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	names := []string{`quo"te.txt`, `back\slash.txt`, "semi;colon%41.txt", "$(PATH)&'`.txt"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(s.publishDir(), name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.push()
	s.push()
	report, text := s.explain()
	if states(report)["create-layers"] != explain.Skipped {
		t.Errorf("unchanged:\n%s", text)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(s.publishDir(), name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.push()
		report, _ := s.explain()
		got := stage(t, report, "create-layers")
		if len(got.Differences) != 1 || got.Differences[0].Field != name {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestTrace_hasNoValues looks at the file itself.
func TestTrace_hasNoValues(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	data, err := os.ReadFile(filepath.Join(s.gantryDir(), "linux-x64", "trace"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		if len(bytes.Fields(line)) != 2 {
			t.Errorf("got the line %q", line)
		}
	}
}
