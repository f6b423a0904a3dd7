package graphstate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// metadata is a file of buildx for an image.
func metadata(t *testing.T, digest cas.Digest, materials ...material) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"buildx.build.ref":        "default/default/abc",
		"containerimage.digest":   digest,
		"image.name":              "app",
		"buildx.build.provenance": map[string]any{"buildType": "https://mobyproject.org/buildkit@v1", "materials": materials},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func (s *site) purl(repository, version string) string {
	return "pkg:docker/" + strings.Replace(s.proxy.Host(), ":", "%3A", 1) + "/" + repository + version
}

func sum(d cas.Digest) map[string]string { return map[string]string{"sha256": d.Hex()} }

// The builder's own word goes before pins.
func TestStamp_metadata(t *testing.T) {
	other := cas.DigestOf([]byte("other"))
	for name, tc := range map[string]struct {
		change func(b *build, all []material) []material
		code   diag.Code // empty: stamped
		texts  []string
	}{
		"by tag": {func(_ *build, m []material) []material { return m }, "", nil},
		"by digest": {func(b *build, m []material) []material {
			m[1].URI = b.purl("tool", "?digest="+b.tool.Top.Digest)
			return m
		}, "", nil},
		"the platform's image": {func(b *build, m []material) []material {
			m[0] = material{b.purl("base", "?platform=linux%2Famd64"), sum(child(b.base, 0))}
			return m
		}, "", nil},
		"twice": {func(b *build, m []material) []material {
			return append(m, material{b.purl("tool", "?digest="+b.tool.Top.Digest), sum(top(b.tool).Digest)})
		}, "", nil},
		"sources too": {func(_ *build, m []material) []material {
			return append(m, material{"https://github.com/a/b.git", map[string]string{"sha1": "12"}}, material{"pkg:oci/x@1", nil}, material{"pkg:docker/x@1?ref_type=blob", nil})
		}, "", nil},
		"moved":       {func(_ *build, m []material) []material { m[0].Digest = sum(other); return m }, diag.StampParentMoved, []string{"base:1", string(other)}},
		"not read":    {func(_ *build, m []material) []material { return m[:1] }, diag.StampParentsDiffer, []string{"tool:1", "did not read"}},
		"another tag": {func(b *build, m []material) []material { m[1].URI = b.purl("tool", "@2"); return m }, diag.StampParentsDiffer, []string{"tool:1"}},
		"another platform": {func(b *build, m []material) []material {
			m[0].URI = b.purl("base", "@1?platform=linux%2Farm64")
			return m
		}, diag.StampParentsDiffer, []string{"base:1"}},
		"one more": {func(_ *build, m []material) []material {
			return append(m, material{"pkg:docker/alpine@3.18?platform=linux%2Famd64", sum(other)})
		}, diag.StampParentsDiffer, []string{"docker.io/library/alpine:3.18"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuild(t, "olareg")
			all := tc.change(b, []material{
				{b.purl("base", "@1?platform=linux%2Famd64"), sum(top(b.base).Digest)},
				{b.purl("tool", "@1?platform=linux%2Famd64"), sum(top(b.tool).Digest)},
			})
			b.q.Builder.Metadata = metadata(t, b.q.Digest, all...)
			b.q.Parents[0].Pin, b.q.Parents[1].Pin = b.ref("base", string(other)), b.ref("tool", string(other)) // not looked at
			b.proxy.Reset()
			if tc.code != "" {
				b.isRefused(tc.code, tc.texts...)
			} else if _, err := b.stamp(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A parent that the Dockerfile names by a tag in another repository is given to the builder by the repository of its source tag.
func TestStamp_parentElsewhere(t *testing.T) {
	other := cas.DigestOf([]byte("other"))
	source := sourcehash.Tag(other)
	elsewhere := func(t *testing.T) *build {
		b := newBuild(t, "olareg")
		b.push("home", source, "tool", amd64)
		b.q.Parents[1].Tag, b.q.Parents[1].Pin = b.ref("home", source), b.ref("home", b.tool.Top.Digest)
		return b
	}
	b := elsewhere(t)
	if _, err := b.stamp(); err != nil {
		t.Errorf("by its pin: %v", err)
	}
	materials := func(b *build, tool cas.Digest) {
		b.q.Builder.Metadata = metadata(t, b.q.Digest, material{b.purl("base", "@1?platform=linux%2Famd64"), sum(top(b.base).Digest)},
			material{b.purl("home", "?digest="+string(tool)+"&platform=linux%2Famd64"), sum(tool)})
	}
	materials(b, top(b.tool).Digest)
	if _, err := b.stamp(); err != nil {
		t.Errorf("by the provenance: %v", err)
	}
	b = elsewhere(t)
	materials(b, other)
	b.proxy.Reset()
	b.isRefused(diag.StampParentMoved, "tool:1", string(other))
}

func TestStamp_metadataOfAnother(t *testing.T) {
	b := newBuild(t, "olareg")
	b.q.Builder.Metadata = metadata(t, cas.DigestOf([]byte("other")), material{"https://example.org/a", nil})
	b.isRefused(diag.StampOther, "containerimage.digest")
	b.q.Builder.Metadata = []byte(fmt.Sprintf(`{"buildx.build.ref":"a","containerimage.digest":%q}`, b.q.Digest))
	b.q.Parents[0].Pin = ""
	b.isRefused(diag.InvalidBuilderFile, "buildx.build.provenance")
}
