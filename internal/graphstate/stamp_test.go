package graphstate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// build is an image that was built from base and tool, and what is to be stamped of it.
type build struct {
	*site
	base, tool, app *basemaker.TinyBase
	q               *Request
	now             *Record
}

func newBuild(t *testing.T, server string) *build {
	t.Helper()
	s := newSite(t, server)
	b := &build{site: s, base: s.push("base", "1", "base", amd64, arm64), tool: s.push("tool", "1", "tool", amd64), app: s.push("app", "1", "app", amd64)}
	b.now = record("one", FromImages(s.ref("base", "1"), parsePlatform("linux/amd64"), child(b.base, 0), []dockerfile.Use{{Kind: dockerfile.From, Stage: "build"}})...)
	v := &b.now.Variants[0]
	v.FromImages = append(v.FromImages, from(s.ref("tool", "1"), top(b.tool).Digest))
	b.q = &Request{
		Image: s.name("app"), Digest: top(b.app).Digest, Hash: b.now.SourceHash, Planned: b.now,
		Parents: []Parent{
			{Name: s.ref("base", "1"), Platform: "linux/amd64", Pin: s.ref("base", string(child(b.base, 0)))},
			{Name: s.ref("tool", "1"), Platform: "linux/amd64", Pin: s.ref("tool", b.tool.Top.Digest)},
		},
		Rehash: func(context.Context) (*Record, error) { return b.now, nil },
	}
	s.proxy.Reset()
	return b
}

func (b *build) stamp() (string, error) { return b.state().Stamp(b.t.Context(), b.q) }

// isRefused stamps, and proves that nothing was written.
func (b *build) isRefused(code diag.Code, texts ...string) {
	b.t.Helper()
	tag, err := b.stamp()
	wantCode(b.t, err, code, texts...)
	if _, writes := b.requests(); tag != "" || len(writes) > 0 {
		b.t.Errorf("got the tag %q and the writes %q", tag, writes)
	}
	b.isNotStamped()
}

func (b *build) isNotStamped() {
	b.t.Helper()
	for _, tag := range b.reg.Tags("app") {
		if strings.HasPrefix(tag, "src-") {
			b.t.Errorf("the tag %s is there", tag)
		}
	}
}

func TestStamp(t *testing.T) {
	// The image, the index that two parents share is one, its configuration, what two parents' tags answer and what two pins do; the records,
	// that no tag stands for the list; where one does, it is read before and after it is written, and once more.
	reads := map[string]int{"olareg": 1 + 1 + 2 + 1 + 2 + 1 + 1, "docker-registry": 1 + 1 + 2 + 1 + 2 + 2 + 2 + 1 + 2}
	for server := range testenv.Registries {
		t.Run(server, func(t *testing.T) {
			b := newBuild(t, server)
			got, err := b.stamp()
			if err != nil {
				t.Fatal(err)
			}
			tag := sourcehash.Tag(b.q.Hash)
			if want := b.ref("app", tag); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if _, digest, _ := b.reg.Manifest("app", tag); digest != b.app.Top.Digest {
				t.Errorf("%s names %s", tag, digest)
			}
			read, writes := b.requests()
			blobs := slices.DeleteFunc(slices.Clone(read), func(r string) bool { return !strings.HasPrefix(r, "HEAD") || !strings.Contains(r, "/blobs/") })
			if len(read)-len(blobs) != reads[server] {
				t.Errorf("%d reads, want %d:\n%s", len(read)-len(blobs), reads[server], strings.Join(read, "\n"))
			}
			if last := writes[len(writes)-1]; last != "PUT /v2/app/manifests/"+tag {
				t.Errorf("the last write is %s", last)
			}
			found, err := b.state().Parents(t.Context(), got)
			if err != nil || len(found.Variants[0].FromImages) != 2 {
				t.Errorf("got %+v, %v", found, err)
			}
			// Rebuilt from the same source with other bytes: the tag moves.
			b.q.Digest = top(b.push("app", "1", "again", amd64)).Digest
			if _, err := b.stamp(); err != nil {
				t.Error(err)
			}
			if _, digest, _ := b.reg.Manifest("app", tag); digest != string(b.q.Digest) {
				t.Errorf("%s still names %s", tag, digest)
			}
		})
	}
}

func TestStamp_refused(t *testing.T) {
	other := cas.DigestOf([]byte("other"))
	for name, tc := range map[string]struct {
		change func(b *build)
		code   diag.Code
		texts  []string
	}{
		"not pushed":       {func(b *build) { b.q.Digest = other }, diag.StampAbsent, []string{"app@" + string(other)}},
		"no digest":        {func(b *build) { b.q.Digest = "latest" }, diag.StampAbsent, []string{"not named by digest"}},
		"no hash":          {func(b *build) { b.q.Hash = "" }, diag.StampUnknown, nil},
		"another image ID": {func(b *build) { b.q.Builder.ImageID = []byte(other) }, diag.StampOther, []string{string(other)}},
		"a bad image ID":   {func(b *build) { b.q.Builder.ImageID = []byte("sha256:12") }, diag.InvalidBuilderFile, []string{"iidfile"}},
		"another pin":      {func(b *build) { b.q.Parents[1].Pin = b.ref("tool", string(other)) }, diag.StampParentMoved, []string{string(other), "tool:1"}},
		"a pin by tag":     {func(b *build) { b.q.Parents[1].Pin = b.ref("tool", "1") }, diag.InvalidBuilderFile, []string{"no digest"}},
		"a pin elsewhere":  {func(b *build) { b.q.Parents[1].Pin = b.ref("x", string(other)) }, diag.InvalidBuilderFile, []string{"another repository"}},
		"no pin":           {func(b *build) { b.q.Parents[1].Pin = "" }, diag.InvalidBuilderFile, []string{"tool:1"}},
		"the parent moved": {func(b *build) { b.push("base", "1", "new", amd64, arm64) }, diag.StampParentMoved, []string{"base:1"}},
		"the parent went":  {func(b *build) { b.q.Parents[0].Name = b.ref("base", "9") }, diag.StampParentMissing, []string{"base:9"}},
		"the platform went": {func(b *build) {
			b.push("base", "1", "new", arm64, basemaker.Platform{OS: "linux", Architecture: "s390x"})
		}, diag.StampParentMissing, []string{"linux/amd64"}},
		"built before its parent": {func(b *build) {
			b.q.Parents[0].Tag = b.ref("base", sourcehash.Tag(other))
		}, diag.StampParentMissing, []string{"before its parent", "base:1", "not stamped"}},
		"the parent's stamp is another": {func(b *build) {
			b.push("base", sourcehash.Tag(other), "rebuilt", amd64)
			b.q.Parents[0].Tag = b.ref("base", sourcehash.Tag(other))
		}, diag.StampParentMoved, []string{"base:1"}},
		"a file changed": {func(b *build) {
			now := *b.now
			now.SourceHash = other
			now.Variants = slices.Clone(now.Variants)
			now.Variants[0].Lines = []sourcehash.Line{{Kind: sourcehash.File, Name: "a.txt", Value: "new"}}
			b.q.Rehash = func(context.Context) (*Record, error) { return &now, nil }
		}, diag.StampChanged, []string{"file a.txt"}},
		"the hash changed": {func(b *build) { b.q.Hash, b.q.Planned = other, nil }, diag.StampChanged, []string{string(other)}},
		"hashing fails": {func(b *build) {
			b.q.Rehash = func(context.Context) (*Record, error) { return nil, diag.New(diag.MissingContextFile, "gone", "") }
		}, diag.MissingContextFile, nil},
		"it reads more":     {func(b *build) { b.q.Parents = b.q.Parents[:1] }, diag.StampParentsDiffer, []string{"tool:1", "not compared"}},
		"it reads less":     {func(b *build) { b.now.Variants[0].FromImages = b.now.Variants[0].FromImages[:1] }, diag.StampParentsDiffer, []string{"no longer"}},
		"hashed with other": {func(b *build) { b.now.Variants[0].FromImages[0].Digest = other }, diag.StampParentMoved, []string{"hashed with"}},
		"another platform":  {func(b *build) { b.q.Digest = top(b.push("app", "2", "arm", arm64)).Digest }, diag.StampPlatform, []string{"linux/arm64"}},
		"one of two platforms": {func(b *build) {
			b.now.Variants = append(b.now.Variants, Variant{Platform: "linux/arm64"})
		}, diag.StampPlatform, []string{"2 platforms"}},
		"an index without one": {func(b *build) {
			b.q.Digest = top(b.push("app", "2", "two", amd64, arm64)).Digest
			b.now.Variants = append(b.now.Variants, Variant{Platform: "linux/s390x"})
		}, diag.StampPlatform, []string{"linux/s390x"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuild(t, "olareg")
			tc.change(b)
			b.proxy.Reset()
			b.isRefused(tc.code, tc.texts...)
		})
	}
}

// What buildx pushes is an index with attestations for a single platform too: the platform's manifest is what counts, of the image as of its
// parents, whether it was given by the index or by itself.
func TestStamp_attested(t *testing.T) {
	b := newBuild(t, "docker-registry")
	attested := func(repository string, base *basemaker.TinyBase) cas.Digest {
		t.Helper()
		index, all, err := basemaker.Attested(base)
		if err == nil {
			err = b.reg.Target().PushIndex(t.Context(), repository, "1", index, all)
		}
		if err != nil {
			t.Fatal(err)
		}
		return cas.Digest(index.Digest)
	}
	tool := attested("tool", b.tool)
	b.q.Digest = attested("app", b.app)
	if _, err := b.stamp(); err != nil {
		t.Errorf("by the platform's manifest: %v", err)
	}
	b.q.Parents[1].Pin = b.ref("tool", string(tool))
	if _, err := b.stamp(); err != nil {
		t.Errorf("by the index: %v", err)
	}
	b.q.Builder.Metadata = metadata(t, b.q.Digest, material{b.purl("base", "@1?platform=linux%2Famd64"), sum(top(b.base).Digest)},
		material{b.purl("tool", "@1?platform=linux%2Famd64"), sum(tool)})
	if _, err := b.stamp(); err != nil {
		t.Errorf("by the provenance: %v", err)
	}
	// An attestation is no image: an index that has only that beside another platform's is not one for this platform.
	arm := b.push("unused", "1", "arm", arm64)
	b.q.Digest, b.q.Builder = attested("app", arm), Builder{}
	_, err := b.stamp()
	wantCode(t, err, diag.StampPlatform, "no image for linux/amd64")
	// One that names an image which the registry lost is not there for that platform.
	b.q.Digest = attested("app", b.app)
	b.proxy.Inject(func(q *http.Request) *testenv.Fault {
		if strings.HasSuffix(q.URL.Path, "/app/manifests/"+string(child(b.app, 0))) {
			return &testenv.Fault{Status: http.StatusNotFound}
		}
		return nil
	})
	_, err = b.stamp()
	wantCode(t, err, diag.StampPlatform, string(child(b.app, 0)), "is not there")
}

// Stamped is what another run may go on with: an image for all platforms, of which the tag of the hash answers now.
func TestStamped(t *testing.T) {
	b := newBuild(t, "olareg")
	is := func(what string, want cas.Digest) {
		t.Helper()
		if got, err := b.state().Stamped(t.Context(), b.q); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", what, got, err, want)
		}
	}
	is("nothing", "")
	if reads, _ := b.requests(); len(reads) != 1 {
		t.Errorf("asked %q", reads)
	}
	two := b.push("app", sourcehash.Tag(b.q.Hash), "two", amd64, arm64)
	is("both platforms", top(two).Digest)
	b.push("app", sourcehash.Tag(b.q.Hash), "other", arm64)
	is("another platform", "")
	b.push("app", sourcehash.Tag(b.q.Hash), "app", amd64)
	is("ours", b.q.Digest)
	for status, fails := range map[int]bool{http.StatusForbidden: false, http.StatusServiceUnavailable: true} {
		b.proxy.Inject(testenv.Times(1_000, "", "", testenv.Fault{Status: status}))
		got, err := b.state().Stamped(t.Context(), b.q)
		if got != "" || (err != nil) != fails {
			t.Errorf("%d: got %q, %v", status, got, err)
		}
	}
}

// Another architecture's push moves the parent's index and not its image for this platform.
func TestStamp_otherArchitecture(t *testing.T) {
	b := newBuild(t, "docker-registry")
	before := top(b.base).Digest
	again, err := basemaker.Tiny(basemaker.TinyOptions{Layers: 1, Seed: "moved", Platforms: []basemaker.Platform{arm64}})
	if err != nil {
		t.Fatal(err)
	}
	images := []*basemaker.Image{b.base.Images[0], again.Images[0]}
	index, err := basemaker.NewIndex(basemaker.OCIIndex, images)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.reg.Target().PushIndex(t.Context(), "base", "1", index, images); err != nil {
		t.Fatal(err)
	}
	b.q.Parents[0].Pin = b.ref("base", string(before)) // the index of before
	if _, err := b.stamp(); err != nil {
		t.Error(err)
	}
}

// Whatever request fails for good, there is no tag; whatever fails for a moment, there is one.
func TestStamp_faults(t *testing.T) {
	for server := range testenv.Registries {
		t.Run(server, func(t *testing.T) {
			b := newBuild(t, server)
			if _, err := b.stamp(); err != nil {
				t.Fatal(err)
			}
			count := len(b.proxy.Requests())
			if count < 10 {
				t.Fatalf("%d requests: this test does not do what it says", count)
			}
			for n := 1; n <= count; n++ {
				// Each has an image and a hash of its own, so that every try is a first one.
				b := &build{site: b.site, base: b.base, tool: b.tool, now: b.now, q: b.q}
				repository := fmt.Sprintf("app%d", n)
				b.q.Image, b.q.Digest = b.name(repository), top(b.push(repository, "1", "app", amd64)).Digest
				seen := 0
				b.proxy.Inject(func(*http.Request) *testenv.Fault {
					if seen++; seen >= n {
						return &testenv.Fault{Status: http.StatusServiceUnavailable}
					}
					return nil
				})
				_, err := b.stamp()
				b.proxy.Inject(nil)
				if tags := b.reg.Tags(repository); err == nil || slices.ContainsFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "src-") }) {
					t.Errorf("down from request %d on: %v, %q", n, err, tags)
				}
				seen = 0
				b.proxy.Inject(func(*http.Request) *testenv.Fault {
					if seen++; seen == n {
						return &testenv.Fault{Status: http.StatusServiceUnavailable}
					}
					return nil
				})
				if _, err := b.stamp(); err != nil {
					t.Errorf("request %d fails once: %v", n, err)
				}
				b.proxy.Inject(nil)
			}
		})
	}
}

// An image ID is the configuration's digest, of an index that of one of its images.
func TestStamp_imageID(t *testing.T) {
	b := newBuild(t, "docker-registry")
	b.q.Builder.ImageID = []byte(b.app.Images[0].Config.Digest + "\n")
	if _, err := b.stamp(); err != nil {
		t.Error(err)
	}
	two := b.push("app", "2", "two", amd64, arm64)
	b.q.Digest, b.q.Builder.ImageID = top(two).Digest, []byte(strings.TrimPrefix(two.Images[1].Config.Digest, "sha256:"))
	b.now.Variants = append(b.now.Variants, Variant{Platform: "linux/arm64"})
	if _, err := b.stamp(); err != nil {
		t.Error(err)
	}
}

// The tag is immutable in some registries: then the record is there, and the error is the registry's.
func TestStamp_tagRefused(t *testing.T) {
	b := newBuild(t, "docker-registry")
	b.proxy.Inject(func(q *http.Request) *testenv.Fault {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/src-") {
			return &testenv.Fault{Status: http.StatusForbidden}
		}
		return nil
	})
	if tag, err := b.stamp(); err == nil || tag != "" {
		t.Errorf("got %q, %v", tag, err)
	}
	b.isNotStamped()
	if _, err := registry.ParseReference(b.ref("app", sourcehash.Tag(b.q.Hash))); err != nil {
		t.Error(err)
	}
}
