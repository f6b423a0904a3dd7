package imagelist

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

const infoFile = "testdata/image-info.json"

// TestImageInfo_roundTrip reads a file and writes the same bytes, what Gantry does not know included.
func TestImageInfo_roundTrip(t *testing.T) {
	data, err := os.ReadFile(infoFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := ParseImageInfo(infoFile, append([]byte("\ufeff"), data...))
	if err != nil {
		t.Fatal(err)
	}
	got, err := info.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(data) {
		t.Errorf("got\n%s\nwant\n%s", got, data)
	}
	from := info.Repos[0].Images[0].Platforms[0].FromImages
	if len(from) != 2 || !strings.HasSuffix(from["registry.example.org/demo/build:1 <&>"], strings.Repeat("b", 64)) {
		t.Errorf("fromImages are %v", from)
	}
}

// TestImageInfo_set builds the file for the images of a manifest, in any order.
func TestImageInfo_set(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	specs, err := Parse(filepath.Join(dir, "manifest.json"), []byte(`{"repos": [{"name": "x", "images": [
		{"productVersion": "8.0.1", "sharedTags": {"8.0": {}, "8": {}}, "platforms": [
			{"dockerfile": "b", "os": "linux", "osVersion": "alpine3.22", "architecture": "arm", "variant": "v7", "tags": {"8.0-arm": {}}},
			{"dockerfile": "a", "os": "linux", "osVersion": "alpine3.22", "tags": {"8.0-amd64": {}}}]},
		{"productVersion": "9.0.0", "platforms": [{"dockerfile": "a", "os": "Linux", "osVersion": "alpine3.22", "tags": {"9.0": {}}}]}]},
		{"name": "w", "images": [{"platforms": [{"dockerfile": "a", "os": "linux", "osVersion": "x", "tags": {}}]}]}]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 0, 3, 2}} {
		info := &ImageInfo{}
		for _, i := range order {
			info.Set(specs[i].Info, InfoPlatform{
				Digest: "x@sha256:" + strings.Repeat("a", 64), Created: "2026-01-02T03:04:05Z", CommitURL: "https://example.org/c",
				FromImages: map[string]string{"b:1": "b@sha256:1", "a:1": "a@sha256:2"},
			})
		}
		got, err := info.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if string(got) != string(first) {
			t.Errorf("order %v: got\n%s\nwant\n%s", order, got, first)
		}
		for i := range specs {
			if p := info.Platform(specs[i].Info); p == nil || p.FromImages["a:1"] != "a@sha256:2" {
				t.Errorf("%s is not found", specs[i].Name)
			}
		}
	}
	var info ImageInfo
	if err := json.Unmarshal(first, &info); err != nil {
		t.Fatal(err)
	}
	repo := info.Repos[1]
	if info.SchemaVersion != "2.0" || info.Repos[0].Repo != "w" || len(repo.Images) != 2 || len(repo.Images[0].Platforms) != 2 {
		t.Fatalf("%+v", info)
	}
	p := repo.Images[0].Platforms
	if p[0].Dockerfile != "a/Dockerfile" || p[1].Architecture != "arm32" || p[1].OSType != "Linux" || repo.Images[0].ProductVersion != "8.0.1" {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(repo.Images[0].Manifest.SharedTags, []string{"8.0", "8"}) || repo.Images[1].Manifest != nil {
		t.Errorf("shared tags %+v", repo.Images[0].Manifest)
	}
}

// TestImageInfo_setKeeps replaces an entry and keeps what else the file says of it.
func TestImageInfo_setKeeps(t *testing.T) {
	data, err := os.ReadFile(infoFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := ParseImageInfo(infoFile, data)
	if err != nil {
		t.Fatal(err)
	}
	key := &InfoKey{
		Repo: "demo/runtime", ProductVersion: "8.0.12", Dockerfile: "src/runtime/Dockerfile", OSType: "Linux", OSVersion: "bookworm",
		Architecture: "amd64", SimpleTags: []string{"8.0.12"}, SharedTags: []string{"8.0"},
	}
	info.Set(key, InfoPlatform{Digest: "new@sha256:" + strings.Repeat("c", 64)})
	got, err := info.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"digest": "new@sha256:`, `"productVersion": "8.0.12"`, `"8.0.12"`, `"future": [`, `"syndicatedRepo": "else/where"`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	if n := strings.Count(string(got), `"dockerfile"`); n != 2 {
		t.Errorf("%d platforms, want 2", n)
	}
	for _, other := range []InfoKey{{Repo: "x"}, {Repo: key.Repo, ProductVersion: "9.0"}, {Repo: key.Repo, ProductVersion: "8.0", Dockerfile: "y"}} {
		if info.Platform(&other) != nil {
			t.Errorf("%+v is found", other)
		}
	}
}

func TestParseImageInfo_errors(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "not JSON: the document ends too early",
		"[]":                       "it is an array",
		"{\n\"repos\": {}}":        "repos: it has to be an array: it is an object",
		`{"schemaVersion": "3.0"}`: `"3.0" is a version`,
		`{"repos": [{"images": [{"platforms": [{}]}]}]}`: "platforms[0].dockerfile: it is not there",
		"{\n\n!}": "line 3",
		"{} {}":   "text behind the document",
	} {
		_, err := ParseImageInfo("image-info.json", []byte(text))
		if err == nil || diag.CodeOf(err) != diag.InvalidImageList || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestImageInfo_oldLayers reads layers of schema version 1.
func TestImageInfo_oldLayers(t *testing.T) {
	info, err := ParseImageInfo("i", []byte(`{"schemaVersion": "1.0", "repos": [{"repo": "x", "images": [{"platforms": [
		{"dockerfile": "d", "layers": ["sha256:1", {"digest": "sha256:2", "size": 3}]}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []InfoLayer{{"sha256:1", 0}, {"sha256:2", 3}}
	if got := info.Repos[0].Images[0].Platforms[0].Layers; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
