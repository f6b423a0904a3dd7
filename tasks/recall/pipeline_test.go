package recall_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestPipeline_fresh: a machine without anything makes nothing of an image that is there: one question about the base, two about the
// image. With one line changed it makes and sends that line's layer alone. The images are those that the first machine makes.
func TestPipeline_fresh(t *testing.T) {
	two := []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	for _, tc := range []struct {
		name  string
		start func(testing.TB) *testenv.Registry
		base  basemaker.TinyOptions
		rid   string
	}{
		{"oci", func(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) }, basemaker.TinyOptions{}, "linux-x64"},
		{"docker", func(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) }, basemaker.TinyOptions{Docker: true}, "linux-x64"},
		{"index of two", func(t testing.TB) *testenv.Registry { return testenv.StartRegistry(t) }, basemaker.TinyOptions{Platforms: two}, "linux-arm64"},
		{"docker index in olareg", testenv.StartOlareg, basemaker.TinyOptions{Platforms: two, Docker: true}, "linux-x64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := tc.start(t)
			proxy := testenv.StartProxy(t, reg)
			testenv.PushTinyBase(t, reg, "base", "1", tc.base)
			testenv.PushTinyBase(t, reg, "demo/shop", "0", basemaker.TinyOptions{Seed: "x"}) // olareg asks for the repository to be there
			p := newProject(proxy, proxy.Reference("base", "1"))
			p.rid = tc.rid
			first := newMachine(t)
			want, _ := first.mustPublish(p)
			if m := first.made(); !slices.Equal(m, []string{"app", "packages"}) {
				t.Fatalf("the first machine made %v", m)
			}

			fresh := newMachine(t)
			got, asked := fresh.mustPublish(p)
			fresh.counts("nothing changed", asked, "GET manifests", "GET manifests", "GET blobs")
			if got != want || len(fresh.made()) != 0 {
				t.Errorf("made %v; %s, want %s\n%s", fresh.made(), got, want, fresh.log.String())
			}

			p.files["shop.dll"] = "the app, changed"
			want, _ = first.mustPublish(p)
			p.files["shop.dll"] = "the app, changed again"
			changed := newMachine(t)
			got, asked = changed.mustPublish(p)
			if m := changed.made(); !slices.Equal(m, []string{"app"}) {
				t.Errorf("one line changed: made %v\n%s", m, changed.log.String())
			}
			if n := count(asked, "PUT uploads"); n != 2 || len(asked) > 9 { // the layer and the configuration
				t.Errorf("one line changed: %d uploads, requests %q", n, asked)
			}
			clean, _ := newMachine(t).mustPublish(with(*p, func(p *project) { p.repository, p.tags = "demo/shop", []string{"clean"} }))
			if got == want || got != clean {
				t.Errorf("one line changed: %s, before %s, a clean build gives %s", got, want, clean)
			}
		})
	}
}

func count(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

func with(p project, change func(*project)) *project {
	change(&p)
	return &p
}

// TestPipeline_settings: what differs is made and computed anew, and nothing else.
func TestPipeline_settings(t *testing.T) {
	reg := testenv.StartRegistry(t)
	proxy := testenv.StartProxy(t, reg)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newProject(proxy, proxy.Reference("base", "1"))
	want, _ := newMachine(t).mustPublish(p)
	no := false
	for i, tc := range []struct {
		name   string
		change func(*project)
		same   bool     // the image
		made   []string // layers
		said   []string
	}{
		{"keys are not trusted", func(p *project) { p.trust = &no }, true, []string{"app", "packages"}, nil},
		{"the user", func(p *project) { p.user = "me" }, false, nil, []string{"the earlier image is of another input"}},
		{"the base by digest", func(p *project) { p.base = proxy.Reference("base", base.Digest) }, false, nil, []string{"base is known from an earlier image"}},
		{"the format", func(p *project) { p.baseFormat = "Docker" }, false, []string{"app", "packages"}, []string{"the earlier image is of another format"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			changed := with(*p, tc.change)
			got, _ := m.mustPublish(changed)
			if (got == want) != tc.same || !slices.Equal(m.made(), tc.made) {
				t.Errorf("made %v, want %v; the same image: %v\n%s", m.made(), tc.made, got == want, m.log.String())
			}
			m.said(tc.said...)
			all := newMachine(t)
			clean, _ := all.mustPublish(with(*changed, func(p *project) { p.repository = "clean/" + strconv.Itoa(i) }))
			if got != clean || !slices.Equal(all.made(), []string{"app", "packages"}) {
				t.Errorf("%s, and a clean build gives %s", got, clean)
			}
			newMachine(t).mustPublish(p) // the tag is what it was
		})
	}

	untrusting := newMachine(t)
	untrusting.makeLayers = true
	if got, _ := untrusting.mustPublish(p); got != want || !slices.Equal(untrusting.made(), []string{"app", "packages"}) {
		t.Errorf("keys are not trusted by the setting: made %v, %s", untrusting.made(), got)
	}
	if text := untrusting.log.String(); strings.Contains(text, "base is known from") || strings.Contains(text, "configuration is that of") {
		t.Errorf("the earlier image is believed:\n%s", text)
	}

	// The base moves: the layers stay, all else is read and computed anew.
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Seed: "moved"})
	m := newMachine(t)
	got, _ := m.mustPublish(p)
	clean, _ := newMachine(t).mustPublish(with(*p, func(p *project) { p.repository = "clean/moved" }))
	if got == want || got != clean || len(m.made()) != 0 {
		t.Errorf("the base moved: made %v; %s, before %s, clean %s", m.made(), got, want, clean)
	}
	m.said("the base is read: the earlier image has another")
}

// TestPipeline_references: where a new tag finds the last image, and where it must not.
func TestPipeline_references(t *testing.T) {
	reg, far := testenv.StartRegistry(t), testenv.StartRegistry(t)
	proxy, farProxy := testenv.StartProxy(t, reg), testenv.StartProxy(t, far)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newProject(proxy, proxy.Reference("base", "1"))
	elsewhere := with(*p, func(p *project) { p.proxy, p.repository = farProxy, "else/where" })
	newMachine(t).mustPublish(elsewhere)
	newMachine(t).mustPublish(with(*p, func(p *project) { p.repository = "demo/other" }))
	for i, tc := range []struct {
		name   string
		change func(*project)
		taken  bool
		said   string
	}{
		{"nobody named the other repository", func(*project) {}, false, "GANTRY5008"},
		{"another repository", func(p *project) { p.cacheFrom = []string{proxy.Reference("demo/other", "1.0")} }, true, "!GANTRY5008"},
		{"another registry", func(p *project) { p.cacheFrom = []string{farProxy.Reference("else/where", "1.0")} }, true, "!GANTRY5008"},
		{"no such reference", func(p *project) { p.cacheFrom = []string{proxy.Reference("demo/other", "2.0")} }, false, "GANTRY5008"},
		{"the first push with a cache tag", func(p *project) { p.cacheTag = "cache" }, false, "this publish writes the tag cache"},
	} {
		q := with(*p, func(p *project) { p.repository, p.tags = "new/"+strconv.Itoa(i), []string{"7"} })
		tc.change(q)
		m := newMachine(t)
		got, _ := m.mustPublish(q)
		if (len(m.made()) == 0) != tc.taken {
			t.Errorf("%s: made %v\n%s", tc.name, m.made(), m.log.String())
		}
		m.said(tc.said)
		clean, _ := newMachine(t).mustPublish(with(*q, func(p *project) { p.repository, p.cacheFrom, p.cacheTag = "clean/"+p.repository, nil, "" }))
		if _, digest, _ := reg.Manifest(q.repository, "7"); got != clean || digest != string(got) {
			t.Errorf("%s: %s is there, %s was made, a clean build gives %s", tc.name, digest, got, clean)
		}
		if tc.name == "the first push with a cache tag" { // and the second finds it under tags that are all new
			q.tags, m = []string{"8"}, newMachine(t)
			if again, _ := m.mustPublish(q); again != got || len(m.made()) != 0 {
				t.Errorf("cache tag: made %v, %s, want %s", m.made(), again, got)
			}
		}
	}
}

// TestPipeline_otherBuild: what the registry said in another build is asked again: the tag may have moved since.
func TestPipeline_otherBuild(t *testing.T) {
	reg := testenv.StartRegistry(t)
	proxy := testenv.StartProxy(t, reg)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	p := newProject(proxy, proxy.Reference("base", "1"))
	want, _ := newMachine(t).mustPublish(p)
	m := newMachine(t)
	m.mustPublish(p)                                                                                    // recall.json says that the tag names the image
	testenv.PushTinyBase(t, reg, p.repository, p.tags[0], basemaker.TinyOptions{Seed: "somebody else"}) // since then it does not
	if got, _ := m.mustPublish(p); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, digest, _ := reg.Manifest(p.repository, p.tags[0]); digest != string(want) {
		t.Errorf("the tag names %s, want %s", digest, want)
	}
}

// TestPipeline_offline: with what the store has, an image is made while nobody answers for the base; what the store lacks is named.
func TestPipeline_offline(t *testing.T) {
	bases, reg := testenv.StartRegistry(t), testenv.StartRegistry(t)
	testenv.PushTinyBase(t, bases, "base", "1", basemaker.TinyOptions{})
	p := newProject(testenv.StartProxy(t, reg), bases.Reference("base", "1"))
	m := newMachine(t)
	m.mustPublish(p)
	p.files["shop.dll"] = "the app, changed"
	want, _ := newMachine(t).mustPublish(with(*p, func(p *project) { p.tags = []string{"clean"} }))
	bases.Stop()
	for _, policy := range []string{"never", "missing"} {
		p.pullPolicy = policy
		got, _ := m.mustPublish(p)
		if got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
		m.said("is not asked for: GantryPullPolicy=" + policy)
	}
	p.pullPolicy = "always"
	if _, err := m.publish(p); diag.CodeOf(err) != diag.RegistryUnreachable {
		t.Errorf("always: got %v", err)
	}
	p.pullPolicy = "never"
	if _, err := newMachine(t).publish(p); diag.CodeOf(err) != diag.NotInStore || !strings.Contains(err.Error(), p.base) {
		t.Errorf("an empty store: got %v", err)
	}
}
