package msbuild

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequests_haveTheSettings sets what no other test does and looks into the requests.
func TestRequests_haveTheSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.add("console.csproj", `<ItemGroup>
  <GantryLayer Include="two &quot;words&quot;" Files="models/**;*.json;" Except="%2A.deps.json" />
  <GantryLayer Include="last">
    <Files>
      w\*;
      100%25.txt
    </Files>
  </GantryLayer>
</ItemGroup>`)
	s.push("-p:GantryCompression=zstd", "-p:GantryCompressionLevel=7", "-p:GantryPullPolicy=missing", "-p:GantryTrustLayerKeys=false", "-p:GantryCacheTag=cache",
		"-p:ContainerImageFormat=OCI", "-p:GantryCacheFrom="+s.host+"/app:main%3B"+s.host+"/app:other", "-p:GantryTransformedFiles=*.txt%3Ba/**")
	tests := []struct{ request, field, want string }{
		{"create-layers.request.json", "compression", `"zstd"`},
		{"create-layers.request.json", "compressionLevel", `7`},
		{"create-layers.request.json", "trustLayerKeys", `false`},
		{"create-layers.request.json", "ownLayers", `[{"except":["*.deps.json"],"files":["models/**","*.json"],"name":"two \"words\""},{"except":[],"files":["w/*","100%.txt"],"name":"last"}]`},
		{"recall.shared.json", "cacheFrom", `["` + s.host + `/app:main","` + s.host + `/app:other"]`},
		{"recall.shared.json", "cacheTag", `"cache"`},
		{"recall.shared.json", "tags", `["latest"]`},
		{"push.request.json", "cacheTag", `"cache"`},
		{"resolve-base.request.json", "pullPolicy", `"missing"`},
		{"select-base.request.json", "pullPolicy", `"missing"`},
		{"compute-config.request.json", "pullPolicy", `"missing"`},
		{"download-layers.request.json", "pullPolicy", `"missing"`},
		{"push.request.json", "pullPolicy", `"missing"`},
		{"scan.request.json", "transformed", `["web.config","*.staticwebassets.endpoints.json","*.txt","a/**"]`},
	}
	for _, tt := range tests {
		if got := s.field(tt.request, tt.field); got != tt.want {
			t.Errorf("%s of %s\n got %s\nwant %s", tt.field, tt.request, got, tt.want)
		}
	}
	s.hasTags("app", "cache", "latest")

	// what tells a file of the last publish from one of the user's outlives a clean
	record := strings.Trim(s.field("scan.request.json", "recordPath"), `"`)
	s.must("clean", "-c", "Release")
	for file, there := range map[string]bool{record: true, s.gantryDir(): false} {
		if _, err := os.Stat(file); (err == nil) != there {
			t.Errorf("after a clean: %s: %v", file, err)
		}
	}
}

// field is a field of a request, as JSON.
func (s *site) field(request, name string) string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.gantryDir(), "*", request))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("%s: %q, %v", request, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		s.t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		s.t.Fatal(err)
	}
	out, err := json.Marshal(unescaped(all[name]))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// unescaped undoes the percent-encoding of requests.
func unescaped(v any) any {
	switch v := v.(type) {
	case string:
		if u, err := url.PathUnescape(v); err == nil {
			return u
		}
	case []any:
		for i := range v {
			v[i] = unescaped(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = unescaped(v[k])
		}
	}
	return v
}
