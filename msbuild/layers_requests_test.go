package msbuild

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayers_request has ContainerLayer items as people write them, and looks at what the tool is told.
func TestLayers_request(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	for _, name := range []string{"extra/a.bin", "extra/deep/er/b c%.bin", "extra/no.tmp", "rules/x.json"} {
		writeText(t, filepath.Join(s.dir, name), name)
	}
	s.push()
	s.has("resolve-layers.request.json", false)
	s.add("console.csproj", `<ItemGroup>
  <ContainerLayer Include="extra/**" Exclude="extra/*.tmp" Layer="expanded" TargetPath="/opt/extra" />
  <ContainerLayer Include="rules; &quot;two&quot; words" Type="Files" Files="rules/**;%2A.csproj" Except="**/*.tmp;
      w\*" Mode="0644" Owner="1654:1654" Order="AfterApp" Platform="linux-x64;linux-arm64" Description="50%25 of $(HOME) %40(Compile) %24(x)" />
</ItemGroup>
<Target Name="AddLayer" BeforeTargets="PublishContainer">
  <ItemGroup><ContainerLayer Include="rules/*.json" Layer="added" /></ItemGroup>
</Target>`)
	s.env = append(s.env, "HOME="+os.Getenv("HOME"))
	s.push("-p:GantryStrict=true", "-p:GantryTrustLayerKeys=false", "-p:GantryPullPolicy=missing", "-p:ContainerUser=1000", "-p:ContainerWorkingDirectory=/srv")
	many := `"description":"50% of ` + os.Getenv("HOME") + ` @(Compile) $(x)","except":"**/*.tmp;\n      w/*","files":"rules/**;*.csproj",` +
		`"include":%s,"mode":"0644","order":"AfterApp","owner":"1654:1654","platform":"linux-x64;linux-arm64","type":"Files"}`
	want := []string{
		`{"include":"extra/a.bin","layer":"expanded","targetDirectory":"/opt/extra"}`,
		`{"include":"extra/deep/er/b c%.bin","layer":"expanded","recursiveDir":"deep/er/","targetDirectory":"/opt/extra"}`,
		`{` + strings.Replace(many, "%s", `"rules"`, 1), `{` + strings.Replace(many, "%s", `"\"two\" words"`, 1),
		`{"include":"rules/x.json","layer":"added"}`,
	}
	if got := s.field("resolve-layers.request.json", "items"); got != "["+strings.Join(want, ",")+"]" {
		t.Errorf("items:\n got %s\nwant %s", got, strings.Join(want, ",\n"))
	}
	for field, want := range map[string]string{
		"projectFolderPath": `"` + s.dir + `"`, "runtimeIdentifier": `"linux-x64"`, "baseRegistry": `"` + s.host + `"`, "outputRegistry": `"` + s.host + `"`,
		"workingDirectory": `"/srv"`, "user": `"1000"`, "pullPolicy": `"missing"`, "strict": "true", "trustLayerKeys": "false",
		"recallRequestPath": `"recall.request.json"`, "recordPath": `"resolve-layers.record.json"`,
	} {
		if got := s.field("resolve-layers.request.json", field); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
	for field, want := range map[string]string{"extraLayersPath": `"resolve-layers.json"`, "strict": "true"} {
		if got := s.field("create-layers.request.json", field); got != want {
			t.Errorf("%s of create-layers: got %s, want %s", field, got, want)
		}
	}
}

// has checks whether a document of an image's stages is there.
func (s *site) has(document string, want bool) {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.gantryDir(), "*", document))
	if err != nil || (len(found) > 0) != want {
		s.t.Errorf("%s: got %q, %v", document, found, err)
	}
}

// writeText makes a file and its folders.
func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
