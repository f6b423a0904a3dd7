package msbuild

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSkip_isSwitchedOff pushes an image that is there.
func TestSkip_isSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	proxy := s.behind()
	s.push()
	for _, tt := range []struct {
		property, message string
		uploads           bool
	}{
		{property: "ContainerSkipPushIfAlreadyPresent=false"},
		{property: "ContainerPushNoCache=true", message: "ContainerPushNoCache=true"},
		{property: "GantryForcePush=true", uploads: true},
	} {
		proxy.Reset()
		says(t, s.push("-p:"+tt.property), "Pushed image", tt.message)
		var up int64
		for _, r := range blobRequests(proxy) {
			up += r.Up
		}
		if got := len(blobRequests(proxy)); got == 0 || (up > 0) != tt.uploads {
			t.Errorf("%s: %d requests about blobs, %d bytes up\n%s", tt.property, got, up, proxy.Log())
		}
	}
}

// report is a part of GantryReport's document.
type report struct {
	Reference, Digest string
	Pushed            *bool
	Tags              []struct{ Tag, State string }
}

func readReport(t *testing.T, file string) report {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil || r.Pushed == nil {
		t.Fatalf("%v: %s", err, data)
	}
	return r
}

func TestReport_saysWhatWasDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console", "odd $(name); 100%", "console")
	summary := filepath.Join(s.dir, "summary.md")
	s.env = append(s.env, "GITHUB_STEP_SUMMARY="+summary)
	file := filepath.Join(s.dir, "what; was done.json")
	s.add("console.csproj", `<PropertyGroup>
  <GantryReport>what%3B was done.json</GantryReport>
  <GantryImageRefs>$([MSBuild]::Escape($(MSBuildProjectDirectory)))/refs</GantryImageRefs>
</PropertyGroup>`)
	for i, pushed := range []bool{true, false, false} {
		if i == 2 { // a hit of the cache key has a report, too
			s.tag("app", "latest", "content-k")
			s.push("-p:ContainerCacheKey=k")
		} else {
			s.push()
		}
		got := readReport(t, file)
		if *got.Pushed != pushed || got.Digest != s.digest("latest") || got.Reference != s.host+"/app" || len(got.Tags) != 1 {
			t.Errorf("publish %d: got %+v", i, got)
		}
	}
	if data, err := os.ReadFile(filepath.Join(s.dir, "refs")); string(data) != s.host+"/app@"+s.digest("latest")+"\n" {
		t.Errorf("%v, got %q", err, data)
	}
	data, err := os.ReadFile(summary)
	if err != nil || strings.Count(string(data), s.digest("latest")) != 3 || !strings.Contains(string(data), "| yes |") {
		t.Errorf("%v, got the summary\n%s", err, data)
	}
	// a publish that fails leaves no report of an earlier one
	s.registry.Stop()
	if r := s.tryPush(); r.Code == 0 {
		t.Errorf("a publish without a registry succeeds:\n%s", r.Output)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the report of the publish before is still there: %v", err)
	}
}
