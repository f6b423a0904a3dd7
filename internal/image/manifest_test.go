package image

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

const (
	goodConfigDesc = `"config":{"mediaType":"` + OCIConfig + `","digest":"` + digestA + `","size":7}`
	goodLayerDesc  = `{"mediaType":"` + OCILayerGzip + `","digest":"` + digestB + `","size":9}`
	goodManifest   = `{"schemaVersion":2,"mediaType":"` + OCIManifest + `",` + goodConfigDesc + `,"layers":[` + goodLayerDesc + `]}`
	goodIndex      = `{"schemaVersion":2,"mediaType":"` + OCIIndex + `","manifests":[{"mediaType":"` + OCIManifest + `","digest":"` + digestA +
		`","size":5,"platform":{"architecture":"arm","os":"linux","variant":"v7","os.version":"1","os.features":["f"]}}]}`
)

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest([]byte(goodManifest), OCIManifest)
	if err != nil {
		t.Fatal(err)
	}
	want := &Manifest{
		MediaType: OCIManifest,
		Config:    Descriptor{MediaType: OCIConfig, Digest: digestA, Size: 7},
		Layers:    []Descriptor{{MediaType: OCILayerGzip, Digest: digestB, Size: 9}},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	back, err := m.Encode()
	if err != nil || string(back) != goodManifest {
		t.Errorf("encoded:\n%s, %v\nwant:\n%s", back, err, goodManifest)
	}
}

func TestParseManifest_refused(t *testing.T) {
	edit := func(old, with string) string {
		if !strings.Contains(goodManifest, old) {
			t.Fatalf("no %q to replace", old)
		}
		return strings.Replace(goodManifest, old, with, 1)
	}
	for name, tc := range map[string]struct {
		body string
		code diag.Code
	}{
		"empty":               {``, diag.InvalidBaseManifest},
		"cut":                 {goodManifest[:40], diag.InvalidBaseManifest},
		"list":                {`[]`, diag.InvalidBaseManifest},
		"trailing data":       {goodManifest + `{}`, diag.InvalidBaseManifest},
		"no UTF-8":            {edit(`"size":9`, "\"size\":9,\"x\":\"\xff\""), diag.InvalidBaseManifest},
		"name twice":          {edit(`"schemaVersion":2,`, `"schemaVersion":2,"layers":[],`), diag.InvalidBaseManifest},
		"nested name twice":   {edit(`"size":9`, `"size":9,"size":9`), diag.InvalidBaseManifest},
		"too deep":            {edit(`"size":9`, `"size":9,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)), diag.InvalidBaseManifest},
		"schema 1":            {edit(`"schemaVersion":2`, `"schemaVersion":1`), diag.InvalidBaseManifest},
		"no schema":           {edit(`"schemaVersion":2,`, ``), diag.InvalidBaseManifest},
		"other media type":    {edit(OCIManifest, DockerManifest), diag.InvalidBaseManifest},
		"media type a number": {edit(`"`+OCIManifest+`"`, `1`), diag.InvalidBaseManifest},
		"index as well":       {edit(`"layers"`, `"manifests":[],"layers"`), diag.InvalidBaseManifest},
		"schema 1 as well":    {edit(`"layers"`, `"fsLayers":[],"layers"`), diag.InvalidBaseManifest},
		"no config":           {edit(goodConfigDesc+`,`, ``), diag.InvalidBaseManifest},
		"config null":         {edit(goodConfigDesc, `"config":null`), diag.InvalidBaseManifest},
		"config of an artefact": {
			edit(OCIConfig, "application/vnd.cncf.helm.config.v1+json"), diag.InvalidBaseManifest,
		},
		"no layers":           {edit(`,"layers":[`+goodLayerDesc+`]`, ``), diag.InvalidBaseManifest},
		"layers an object":    {edit(`[`+goodLayerDesc+`]`, `{}`), diag.InvalidBaseManifest},
		"layer null":          {edit(goodLayerDesc, `null`), diag.InvalidBaseManifest},
		"negative size":       {edit(`"size":9`, `"size":-9`), diag.InvalidBaseManifest},
		"size of a fraction":  {edit(`"size":9`, `"size":9.5`), diag.InvalidBaseManifest},
		"size over 64 bits":   {edit(`"size":9`, `"size":99999999999999999999`), diag.InvalidBaseManifest},
		"no size":             {edit(`,"size":9`, ``), diag.InvalidBaseManifest},
		"upper-case digest":   {edit(digestB, "sha256:"+strings.Repeat("B", 64)), diag.InvalidBaseManifest},
		"digest with a path":  {edit(digestB, "sha256:../../etc/passwd"), diag.InvalidBaseManifest},
		"other algorithm":     {edit(digestB, "sha512:"+strings.Repeat("b", 128)), diag.InvalidBaseManifest},
		"urls of numbers":     {edit(`"size":9`, `"size":9,"urls":[1]`), diag.InvalidBaseManifest},
		"unknown layer":       {edit(OCILayerGzip, "application/x-tar"), diag.UnknownMediaType},
		"layer without type":  {edit(OCILayerGzip, ""), diag.InvalidBaseManifest},
		"case of a name":      {edit(`"layers"`, `"Layers"`), diag.InvalidBaseManifest},
		"annotations a list":  {edit(`"layers"`, `"annotations":[],"layers"`), diag.InvalidBaseManifest},
		"more layers than OK": {edit(goodLayerDesc, strings.Repeat(goodLayerDesc+",", maxLayers)+goodLayerDesc), diag.InvalidBaseManifest},
		"more bytes than OK":  {goodManifest + strings.Repeat(" ", MaxManifestBytes), diag.InvalidBaseManifest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest([]byte(tc.body), OCIManifest)
			wantCode(t, err, tc.code)
		})
	}
	for _, mt := range []string{"", OCIIndex, "application/vnd.docker.distribution.manifest.v1+prettyjws"} {
		_, err := ParseManifest([]byte(goodManifest), mt)
		wantCode(t, err, diag.UnknownManifest)
	}
}

func TestParseIndex(t *testing.T) {
	x, err := ParseIndex([]byte(goodIndex), OCIIndex)
	if err != nil {
		t.Fatal(err)
	}
	p := Platform{Architecture: "arm", OS: "linux", Variant: "v7", OSVersion: "1", OSFeatures: []string{"f"}}
	want := &Index{OCIIndex, []Descriptor{{MediaType: OCIManifest, Digest: digestA, Size: 5, Platform: &p}}}
	if d := cmp.Diff(want, x); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for name, body := range map[string]string{
		"no manifests":       `{"schemaVersion":2}`,
		"layers as well":     strings.Replace(goodIndex, `"manifests"`, `"layers":[],"manifests"`, 1),
		"config as well":     strings.Replace(goodIndex, `"manifests"`, `"config":{},"manifests"`, 1),
		"platform a string":  strings.Replace(goodIndex, `{"architecture":"arm","os":"linux","variant":"v7","os.version":"1","os.features":["f"]}`, `"x"`, 1),
		"os a number":        strings.Replace(goodIndex, `"linux"`, `1`, 1),
		"features a string":  strings.Replace(goodIndex, `["f"]`, `"f"`, 1),
		"manifest a number":  `{"schemaVersion":2,"manifests":[1]}`,
		"manifests a number": `{"schemaVersion":2,"manifests":1}`,
	} {
		_, err := ParseIndex([]byte(body), OCIIndex)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantCode(t, err, diag.InvalidBaseManifest)
	}
	_, err = ParseIndex([]byte(goodIndex), OCIManifest)
	wantCode(t, err, diag.UnknownManifest)
}

func TestNewIndex(t *testing.T) {
	entry := func(s string, p Platform) Descriptor {
		return Descriptor{MediaType: OCIManifest, Digest: cas.DigestOf([]byte(s)), Size: 1, Platform: &p}
	}
	entries := []Descriptor{
		entry("w2", Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.2"}),
		entry("v7", Platform{OS: "linux", Architecture: "arm", Variant: "v7"}),
		entry("w1", Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1"}),
		entry("v6", Platform{OS: "linux", Architecture: "arm", Variant: "v6"}),
		entry("a", Platform{OS: "linux", Architecture: "amd64"}),
	}
	x, err := NewIndex(FormatDocker, entries)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range x.Manifests {
		got = append(got, PlatformName(*m.Platform))
	}
	want := []string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "windows/amd64 (10.0.1)", "windows/amd64 (10.0.2)"}
	if d := cmp.Diff(want, got); d != "" || x.MediaType != DockerIndex {
		t.Errorf("%s (-want +got):\n%s", x.MediaType, d)
	}
	_, err = NewIndex(FormatOCI, append(entries, entry("again", Platform{OS: "linux", Architecture: "amd64"})))
	wantCode(t, err, diag.IndexMismatch)
}

func TestLayerType(t *testing.T) {
	for _, tc := range []struct {
		in, format, want string
		code             diag.Code
	}{
		{DockerLayerGzip, FormatOCI, OCILayerGzip, ""},
		{OCILayerGzip, FormatDocker, DockerLayerGzip, ""},
		{OCILayerTar, FormatDocker, DockerLayerTar, ""},
		{DockerLayerTar, FormatOCI, OCILayerTar, ""},
		{DockerForeignGzip, FormatOCI, OCIForeignGzip, ""},
		{OCIForeignGzip, FormatDocker, DockerForeignGzip, ""},
		{OCILayerZstd, FormatOCI, OCILayerZstd, ""},
		{OCILayerZstd, FormatDocker, "", diag.ZstdUnderDocker},
		{OCIForeignZstd, FormatDocker, "", diag.ZstdUnderDocker},
		{"", FormatOCI, "", diag.UnknownMediaType},
		{"application/vnd.oci.image.layer.v1.tar+encrypted", FormatOCI, "", diag.UnknownMediaType},
	} {
		got, err := LayerType(tc.in, tc.format)
		if got != tc.want {
			t.Errorf("LayerType(%s, %s) = %s, want %s", tc.in, tc.format, got, tc.want)
		}
		if tc.code != "" {
			wantCode(t, err, tc.code)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for in, want := range map[string]string{"": "", "Docker": FormatDocker, "OCI": FormatOCI} {
		if got, err := ParseFormat(in); got != want || err != nil {
			t.Errorf("ParseFormat(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"oci", "docker", "1", " OCI"} {
		_, err := ParseFormat(in)
		wantCode(t, err, diag.InvalidImageFormat)
	}
}

func TestSniff(t *testing.T) {
	for body, want := range map[string]string{
		goodManifest: OCIManifest, goodIndex: OCIIndex, `{"manifests":[]}`: OCIIndex, `{"layers":[]}`: OCIManifest, `{}`: "", `x`: "",
		`{"mediaType":"a/b","layers":[]}`: "a/b",
	} {
		if got := Sniff([]byte(body)); got != want {
			t.Errorf("Sniff(%.40s) = %q, want %q", body, got, want)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(goodManifest), OCIManifest)
	f.Add([]byte(strings.ReplaceAll(goodManifest, "oci", "x")), DockerManifest)
	f.Fuzz(func(t *testing.T, body []byte, mediaType string) {
		m, err := ParseManifest(body, mediaType)
		if err != nil {
			if diag.CodeOf(err) == diag.Internal {
				t.Errorf("uncoded error: %v", err)
			}
			return
		}
		once, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseManifest(once, mediaType)
		if err != nil {
			t.Fatalf("what was encoded cannot be read: %v\n%s", err, once)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("not stable:\n%s\n%s", once, twice)
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(goodIndex), "linux-arm")
	f.Add([]byte(strings.ReplaceAll(goodIndex, "arm", "amd64")), "linux-musl-x64")
	f.Fuzz(func(t *testing.T, body []byte, rid string) {
		x, err := ParseIndex(body, OCIIndex)
		if err != nil {
			if diag.CodeOf(err) == diag.Internal {
				t.Errorf("uncoded error: %v", err)
			}
			return
		}
		if _, err := x.Select(BuiltinGraph(), rid, "base"); err != nil && diag.CodeOf(err) == diag.Internal {
			t.Errorf("uncoded error: %v", err)
		}
	})
}
