package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

func readGraph(t testing.TB, file string) *Graph {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseGraph(body)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// indexOf makes an index with one entry a platform.
func indexOf(platforms ...Platform) *Index {
	x := &Index{MediaType: OCIIndex}
	for i, p := range platforms {
		x.Manifests = append(x.Manifests, Descriptor{
			MediaType: OCIManifest, Digest: cas.DigestOf([]byte{byte(i)}), Size: 1, Platform: &p,
		})
	}
	return x
}

// TestIndex_Select_asSDK holds the choice to what the SDK really chose, with its graph and with the built-in one.
func TestIndex_Select_asSDK(t *testing.T) {
	type row struct {
		Index     []Platform `json:"index"`
		RID       string     `json:"rid"`
		Want      int        `json:"want"`
		Available []string   `json:"available"`
	}
	for name, g := range map[string]*Graph{"file": readGraph(t, "testdata/rid-graph.json"), "built-in": BuiltinGraph()} {
		for _, r := range readCases[row](t, "testdata/sdk-select.json") {
			if r.Index[0].Architecture == "386" {
				continue // on purpose: the SDK has a typing error there
			}
			got, err := indexOf(r.Index...).Select(g, r.RID, "base")
			if r.Want < 0 {
				wantCode(t, err, diag.NoImageForRID)
				for _, a := range r.Available {
					if !strings.Contains(err.Error(), a) {
						t.Errorf("%s: %s in %v: %q does not name %s", name, r.RID, r.Index, err, a)
					}
				}
				continue
			}
			if want := cas.DigestOf([]byte{byte(r.Want)}); err != nil || got.Digest != want {
				t.Errorf("%s: %s in %v: got %s, %v; want entry %d", name, r.RID, r.Index, got.Digest, err, r.Want)
			}
		}
	}
}

func TestIndex_Select(t *testing.T) {
	amd64 := Platform{OS: "linux", Architecture: "amd64"}
	x := indexOf(Platform{OS: "linux", Architecture: "386"})
	if _, err := x.Select(BuiltinGraph(), "linux-x86", "base"); err != nil {
		t.Errorf("386: %v", err)
	}
	x = indexOf(Platform{OS: "unknown", Architecture: "unknown"})
	_, err := x.Select(BuiltinGraph(), "linux-x64", "base")
	wantCode(t, err, diag.NoImageForRID)
	x = indexOf(amd64)
	x.Manifests[0].MediaType = OCIIndex
	_, err = x.Select(BuiltinGraph(), "linux-x64", "base")
	wantCode(t, err, diag.UnknownManifest)
	x.Manifests[0].Platform = nil
	_, err = x.Select(BuiltinGraph(), "linux-x64", "base")
	wantCode(t, err, diag.NoImageForRID)
}

func TestGraph_Expand(t *testing.T) {
	g := readGraph(t, "testdata/rid-graph.json")
	for _, tc := range []struct {
		rid  string
		want []string
	}{
		{"linux-musl-x64", []string{"linux-musl-x64", "linux-musl", "linux-x64", "linux", "unix-x64", "unix", "any", "base"}},
		{"win-x64", []string{"win-x64", "win", "any", "base"}},
		{"nonsense", []string{"nonsense"}},
	} {
		if d := cmp.Diff(tc.want, g.Expand(tc.rid)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.rid, d)
		}
	}
	cycle, err := ParseGraph([]byte(`{"runtimes":{"a":{"#import":["b"]},"b":{"#import":["a"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, cycle.Expand("a")); d != "" {
		t.Errorf("cycle (-want +got):\n%s", d)
	}
}

// TestBuiltinGraph_asSDK compares the fallback with the file of the installed SDK: over all identifiers that an image can have, both
// choose the same.
func TestBuiltinGraph_asSDK(t *testing.T) {
	testenv.Require(t, "dotnet")
	dotnet, err := testenv.Look("dotnet")
	if err != nil {
		t.Fatal(err)
	}
	if dotnet, err = filepath.EvalSymlinks(dotnet); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(dotnet), "sdk", "*", "PortableRuntimeIdentifierGraph.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no graph beside %s: %v", dotnet, err)
	}
	g := readGraph(t, files[len(files)-1])
	var images []string
	for _, system := range []string{"linux", "windows"} {
		for _, cpu := range []string{"amd64", "386", "arm", "arm64", "ppc64le", "s390x", "riscv64", "loongarch64"} {
			images = append(images, PlatformRID(Platform{OS: system, Architecture: cpu}))
		}
	}
	images = append(images, "linux-armv6")
	only := func(rids []string) (out []string) {
		for _, r := range rids {
			if slices.Contains(images, r) {
				out = append(out, r)
			}
		}
		return out
	}
	for rid := range g.imports {
		if strings.HasPrefix(rid, "android") {
			continue // its apps do not run in these images
		}
		if d := cmp.Diff(only(g.Expand(rid)), only(BuiltinGraph().Expand(rid))); d != "" {
			t.Errorf("%s (-SDK +built-in):\n%s", rid, d)
		}
	}
}

func TestServes(t *testing.T) {
	for _, tc := range []struct {
		p    Platform
		rid  string
		want bool
	}{
		{Platform{OS: "linux", Architecture: "amd64"}, "linux-x64", true},
		{Platform{OS: "linux", Architecture: "amd64"}, "linux-musl-x64", true},
		{Platform{OS: "linux", Architecture: "amd64"}, "linux-arm64", false},
		{Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}, "win-x64", true},
		{Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}, "win10-x64", true},
		{Platform{OS: "windows", Architecture: "amd64"}, "linux-x64", false},
		{Platform{OS: "plan9", Architecture: "amd64"}, "", false},
	} {
		if got := Serves(tc.p, tc.rid); got != tc.want {
			t.Errorf("Serves(%v, %s) = %v, want %v", tc.p, tc.rid, got, tc.want)
		}
	}
}

func TestParseGraph_refused(t *testing.T) {
	for _, body := range []string{``, `[]`, `{}`, `{"runtimes":[]}`, `{"runtimes":{"a":[]}}`, `{"runtimes":{"a":{"#import":"b"}}}`, `{"runtimes":{"a":{"#import":[1]}}}`, `{"runtimes":{"a":{},"a":{}}}`} {
		_, err := ParseGraph([]byte(body))
		wantCode(t, err, diag.InvalidValue)
	}
}

func FuzzParseGraph(f *testing.F) {
	f.Add([]byte(`{"runtimes":{"linux-x64":{"#import":["linux","unix-x64"]},"linux":{"#import":[]}}}`), "linux-x64")
	f.Add([]byte(`{"runtimes":{"a":{"#import":["a"]}}}`), "a")
	f.Fuzz(func(t *testing.T, body []byte, rid string) {
		g, err := ParseGraph(body)
		if err != nil {
			wantCode(t, err, diag.InvalidValue)
			return
		}
		out := g.Expand(rid)
		if out[0] != rid {
			t.Errorf("%q expands to %q", rid, out)
		}
		sorted := slices.Sorted(slices.Values(out))
		if len(slices.Compact(sorted)) != len(out) {
			t.Errorf("%q expands to one identifier twice: %q", rid, out)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Error(err)
		}
	})
}
