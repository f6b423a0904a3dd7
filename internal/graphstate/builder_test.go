package graphstate

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB    = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// A file as buildx 0.2x writes it, cut to what differs: for one platform with SLSA v0.2, for two with v1, and of a bake.
var metadataFiles = map[string]struct{ target, body string }{
	"one platform": {"", `{
  "buildx.build.provenance": {
    "builder": {"id": ""},
    "buildType": "https://mobyproject.org/buildkit@v1",
    "materials": [
      {"uri": "pkg:docker/docker/dockerfile@1", "digest": {"sha256": "` + hexB + `"}},
      {"uri": "pkg:docker/alpine@3.18?platform=linux%2Famd64", "digest": {"sha256": "` + hexB + `"}}
    ],
    "invocation": {"parameters": {"args": {"build-arg:A": "1", "build-arg:a": "2"}}}
  },
  "buildx.build.ref": "builder/builder0/x",
  "containerimage.config.digest": "` + digestA + `",
  "containerimage.descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "` + digestA + `", "size": 1},
  "containerimage.digest": "` + digestA + `"
}`},
	"two platforms": {"", `{
  "buildx.build.provenance/linux/amd64": {"buildDefinition": {"buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
    "resolvedDependencies": [{"uri": "pkg:docker/docker/dockerfile@1", "digest": {"sha256": "` + hexB + `"}}, {"uri": "https://github.com/a/b", "digest": {"sha1": "12"}}]}},
  "buildx.build.provenance/linux/arm64": {"buildDefinition": {"buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
    "resolvedDependencies": [{"uri": "pkg:docker/localhost%3A5000/a/b?digest=sha256:` + hexB + `&platform=linux%2Farm%2Fv7", "digest": {"sha256": "` + hexB + `"}}]}},
  "buildx.build.ref": "builder/builder0/x",
  "containerimage.digest": "` + digestA + `"
}`},
	"bake": {"app", `{"app": {"buildx.build.provenance": {"buildType": "x"}, "buildx.build.ref": "r", "containerimage.digest": "` + digestA + `"}, "db": {}}`},
}

func TestBuilder_metadata(t *testing.T) {
	for name, want := range map[string]string{
		"one platform":  "docker.io/docker/dockerfile:1 any, docker.io/library/alpine:3.18 linux/amd64",
		"two platforms": "docker.io/docker/dockerfile:1 any, localhost:5000/a/b linux/arm/v7",
		"bake":          "",
	} {
		f := metadataFiles[name]
		c, err := (&Builder{Metadata: []byte(f.body), Target: f.target}).read()
		if err != nil || !c.known || c.digests["containerimage.digest"] != digestA {
			t.Errorf("%s: got %+v, %v", name, c, err)
			continue
		}
		var got []string
		for _, u := range c.used {
			platform := "any"
			if u.platform != nil {
				platform = u.platform.String()
			}
			if u.Digest != "sha256:"+hexB {
				t.Errorf("%s: got %s", name, u.Digest)
			}
			u.Digest = ""
			got = append(got, u.String()+" "+platform)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestBuilder_refused(t *testing.T) {
	good := metadataFiles["one platform"].body
	for name, tc := range map[string]struct{ old, new, why string }{
		"cut":                   {"  \"containerimage.digest\"", "", "JSON"},
		"a key twice":           {`"buildx.build.ref"`, `"containerimage.digest": "x", "buildx.build.ref"`, "twice"},
		"no image":              {`"containerimage.`, `"Containerimage.`, "does not name an image"},
		"a digest of no form":   {`"containerimage.digest": "sha256:a`, `"containerimage.digest": "sha256:A`, "containerimage.digest"},
		"a number":              {`"containerimage.digest": "` + digestA + `"`, `"containerimage.digest": 1`, "containerimage.digest"},
		"provenance is no one":  {`"buildType"`, `"BuildType"`, "buildType"},
		"materials are no list": {`"materials": [`, `"materials": {}, "x": [`, "materials"},
		"no digest":             {`"digest": {"sha256": "` + hexB + `"}`, `"digest": {"sha512": "` + hexB + `"}`, "no sha256"},
		"a name of no form":     {"pkg:docker/alpine", "pkg:docker/al%20pine", "repository"},
		"a bad escape":          {"pkg:docker/alpine", "pkg:docker/al%zz", "name"},
		"a bad platform":        {"linux%2Famd64", "linux%2F%20", "platform"},
		"two digests":           {"?platform=", "?digest=" + digestA + "&platform=", "names"},
	} {
		body := strings.ReplaceAll(good, tc.old, tc.new)
		if name == "cut" {
			body = good[:len(good)-5]
		}
		if body == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := (&Builder{Metadata: []byte(body)}).read(); err == nil || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: got %v, want %q", name, err, tc.why)
		}
	}
	for _, target := range []string{"web", "db"} {
		if _, err := (&Builder{Metadata: []byte(metadataFiles["bake"].body), Target: target}).read(); err == nil {
			t.Errorf("the target %s is found", target)
		}
	}
}

func TestParseImageID(t *testing.T) {
	for in, ok := range map[string]bool{
		digestA: true, digestA + "\n": true, digestA + "\r\n": true, hexB: true,
		"": false, "\n": false, digestA + "\n\n": false, digestA + " ": false, "sha512:" + hexB: false, strings.Repeat("a", 1000): false,
	} {
		if _, err := parseImageID([]byte(in)); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// What is read of a builder's file has digests, names and platforms of the right form.
func FuzzBuilder(f *testing.F) {
	for _, m := range metadataFiles {
		f.Add([]byte(m.body), m.target)
	}
	f.Add([]byte(`{"buildx.build.provenance":null,"containerimage.digest":"`+digestA+`"}`), "")
	f.Fuzz(func(t *testing.T, body []byte, target string) {
		c, err := (&Builder{Metadata: body, Target: target}).read()
		if err != nil {
			return
		}
		for _, d := range c.digests {
			if _, err := cas.ParseDigest(string(d)); err != nil {
				t.Error(err)
			}
		}
		for _, u := range c.used {
			if _, err := cas.ParseDigest(string(u.Digest)); err != nil || u.Repository == "" || u.Registry == "" {
				t.Errorf("%+v: %v", u, err)
			}
		}
	})
}
