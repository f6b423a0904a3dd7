package msbuild

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sdkOutputs is what -getProperty, -getItem and -getTargetResult print.
type sdkOutputs struct {
	Properties    map[string]string
	Items         map[string][]map[string]string
	TargetResults map[string]struct {
		Result string
		Items  []map[string]string
	}
}

// TestOutputs_areTheSDKs compares the form of what a publish leaves in properties and items with what the SDK leaves, and the
// values with what is in the registry.
func TestOutputs_areTheSDKs(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	args := append([]string{
		"publish", "--no-build", "-getTargetResult:PublishContainer", "-getItem:GeneratedContainer",
		"-getProperty:GeneratedContainerManifest", "-getProperty:GeneratedContainerConfiguration",
		"-getProperty:GeneratedContainerDigest", "-getProperty:GeneratedContainerMediaType",
	}, s.container()...)
	got, want := outputs(t, s.must(args...).Stdout), outputs(t, s.must(append(args, "-p:GantryEnabled=false", "-p:ContainerImageTag=sdk")...).Stdout)
	mediaType, digest, manifest := s.registry.Manifest("app", "latest")
	config, err := s.image("app", "latest").RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GeneratedContainerManifest": string(manifest), "GeneratedContainerConfiguration": string(config),
		"GeneratedContainerDigest": digest, "GeneratedContainerMediaType": mediaType,
	} {
		if got.Properties[name] != value {
			t.Errorf("%s: got %s, want %s", name, got.Properties[name], value)
		}
		if g, w := form(t, got.Properties[name]), form(t, want.Properties[name]); g != w {
			t.Errorf("form of %s: got %s, the SDK's is %s", name, g, w)
		}
	}
	item := map[string]string{
		"Manifest": string(manifest), "Configuration": string(config), "ManifestDigest": digest, "ManifestMediaType": mediaType,
	}
	gotItems, wantItems := got.Items["GeneratedContainer"], want.Items["GeneratedContainer"]
	if len(gotItems) != len(wantItems) {
		t.Fatalf("items: got %d, the SDK has %d", len(gotItems), len(wantItems))
	}
	for i := range gotItems {
		if g, w := slices.Sorted(maps.Keys(gotItems[i])), slices.Sorted(maps.Keys(wantItems[i])); !slices.Equal(g, w) {
			t.Errorf("metadata: got %q, the SDK's is %q", g, w)
		}
		for name, value := range item {
			if gotItems[i][name] != value {
				t.Errorf("metadata %s: got %s, want %s", name, gotItems[i][name], value)
			}
		}
	}
	g, w := got.TargetResults["PublishContainer"], want.TargetResults["PublishContainer"]
	if g.Result != "Success" || len(g.Items) != len(w.Items) {
		t.Errorf("the target's result: got %v, the SDK's is %v", g, w)
	}
}

func outputs(t *testing.T, text string) sdkOutputs {
	t.Helper()
	var out sdkOutputs
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// form is a value without what differs between any two images: the keys of a JSON document, or the shape of a text.
func form(t *testing.T, s string) string {
	t.Helper()
	if !strings.HasPrefix(s, "{") {
		return regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(s, "HEX")
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(s), &document); err != nil {
		t.Fatal(err)
	}
	delete(document, "annotations") // the base's name and digest, which the SDK does not write
	return strings.Join(slices.Sorted(maps.Keys(document)), " ")
}

func TestOutputs_areThereForLaterTargets(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.add("console.csproj", `<Target Name="Show" AfterTargets="PublishContainer">
  <Message Importance="high" Text="pushed $(GeneratedContainerDigest) @(GeneratedContainer->'%(ManifestMediaType)') @(GeneratedContainerName)" />
</Target>`)
	r := s.push()
	mediaType, digest, _ := s.registry.Manifest("app", "latest")
	// the item is there twice, as with the SDK
	want := "pushed " + digest + " " + mediaType + ";" + mediaType + " " + s.host + "/app:latest"
	if !strings.Contains(r.Output, want) {
		t.Errorf("%s is not in\n%s", want, r.Output)
	}
}

// TestUnchanged_startsFewProcesses counts the calls of the tool: push answers for all that have no work.
func TestUnchanged_startsFewProcesses(t *testing.T) {
	t.Parallel()
	s := newSite(t, "web")
	calls := s.tool()
	publish := append([]string{"publish", "--no-restore"}, s.container()...)
	steps := []struct {
		name   string
		change func()
		more   string
		want   string
	}{
		{name: "first", want: "push select-base push compute-config push create-layers push"},
		{name: "nothing", want: "push"},
		{name: "a label", more: "-p:ContainerDescription=other", want: "push compute-config push"},
		{name: "nothing again", more: "-p:ContainerDescription=other", want: "push"},
		{name: "a tag", more: "-p:ContainerImageTag=two", want: "push compute-config push"},
		{name: "the working directory", more: "-p:ContainerWorkingDirectory=/srv/", want: "push compute-config push create-layers push"},
	}
	var first string
	for i, step := range steps {
		args := publish
		if step.more != "" {
			args = append(slices.Clone(publish), step.more)
		}
		s.must(args...)
		if got := calls(); strings.Join(got, " ") != step.want {
			t.Errorf("%s changed: the tool was called for %q, want %q", step.name, got, step.want)
		}
		_, digest, _ := s.registry.Manifest("app", "latest")
		if i == 0 {
			first = digest
		} else if i == 1 && digest != first {
			t.Errorf("nothing changed, but the digest did: %s to %s", first, digest)
		}
	}
}
