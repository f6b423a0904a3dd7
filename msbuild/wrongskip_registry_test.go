package msbuild

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

const baseDigestLabel = "org.opencontainers.image.base.digest"

// moveBase gives the base's tag to another image.
func (k *skips) moveBase(seed string) testenv.Base {
	k.t.Helper()
	return testenv.PushTinyBase(k.t, k.registry, "base/tiny", "1", basemaker.TinyOptions{Platforms: twoPlatforms.Platforms, Seed: seed})
}

// isOn checks which base the image says it has, and has.
func (k *skips) isOn(base testenv.Base) {
	k.t.Helper()
	image := base.Images[0]
	if got := k.config("app", "latest").Config.Labels[baseDigestLabel]; got != image.Manifest.Digest {
		k.t.Errorf("%s: got %s, want %s", baseDigestLabel, got, image.Manifest.Digest)
	}
	m, err := k.image("app", "latest").Manifest()
	k.check(err)
	if got, want := m.Layers[0].Digest.String(), image.Layers[0].Digest; got != want {
		k.t.Errorf("the first layer: got %s, want %s", got, want)
	}
}

// TestWrongSkip_base changes the base, which reaches the image on ways that no file shows.
func TestWrongSkip_base(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console")
	proxy := k.throughProxy()
	k.add("console.csproj", `<PropertyGroup>
  <BaseName Condition="'$(BaseName)' == ''">tiny</BaseName>
  <ContainerBaseImage>`+proxy.Host()+`/base/$(BaseName):1</ContainerBaseImage>
</PropertyGroup>`)
	// the project file names the base, whatever the command line says
	testenv.Edit(t, filepath.Join(k.dir, "console.csproj"), "<Project ", `<Project TreatAsLocalProperty="ContainerBaseImage" `)
	k.first()
	const all = "select-base compute-config create-layers"

	// base changed through an ARG: earthly#3895
	k.in(t, "by a property of the user's", func(*testing.T) {
		base := testenv.PushTinyBase(k.t, k.registry, "base/other", "1", basemaker.TinyOptions{Platforms: twoPlatforms.Platforms, Seed: "other"})
		k.more = []string{"-p:BaseName=other"}
		k.again(all, true)
		k.isOn(base)
		k.more = nil
		k.again(all, true)
	})
	// the old digest used for a base that was just built: dt#1516, PR#1518
	k.in(t, "its tag moves between two publishes", func(*testing.T) {
		base := k.moveBase("second")
		k.again(all, true)
		k.isOn(base)
	})
	// one build has one answer, whatever the tag names at its end; the next build sees the new one
	k.in(t, "its tag moves while a publish runs", func(t *testing.T) {
		old := k.moveBase("third")
		var fresh testenv.Base
		var once sync.Once
		proxy.Inject(func(r *http.Request) *testenv.Fault {
			if strings.HasPrefix(r.URL.Path, "/v2/app/") {
				once.Do(func() { fresh = k.moveBase("fourth") })
			}
			return nil
		})
		k.push(k.more...)
		k.calls()
		k.isOn(old)
		proxy.Inject(nil)
		k.last = k.digest("app")
		k.again(all, true)
		k.isOn(fresh)
	})
	// and a key that was written in between is none for the new base
	k.in(t, "its tag moves while a publish with a key runs", func(t *testing.T) {
		old := k.moveBase("fifth")
		var fresh testenv.Base
		var once sync.Once
		proxy.Inject(func(r *http.Request) *testenv.Fault {
			if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v2/app/blobs/") {
				once.Do(func() { fresh = k.moveBase("sixth") })
			}
			return nil
		})
		// no key is written for what was not built now
		publish := append([]string{"publish", "--no-restore"}, k.container("-p:ContainerCacheKey=k1")...)
		k.must(publish...)
		k.isOn(old)
		proxy.Inject(nil)
		if fresh.Digest == "" {
			t.Fatal("the base did not move: the test shows nothing")
		}
		k.must(publish...)
		k.isOn(fresh)
		k.calls()
		r := k.must(publish...)
		if got := k.calls(); !slices.Equal(got, []string{"resolve-base", "check"}) {
			t.Errorf("the key is there, and these ran: %q\n%s", got, r.Output)
		}
		k.last = k.digest("app")
	})
}

// TestWrongSkip_destination has a destination that does not have what an earlier publish left there, or does not say so.
func TestWrongSkip_destination(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console", "-p:Mode=a")
	k.add("console.csproj", `<ItemGroup><ContainerEnvironmentVariable Include="MODE" Value="$(Mode)" /></ItemGroup>`)
	proxy := k.throughProxy()
	k.first()
	manifests := func(methods string, f testenv.Fault) func(*http.Request) *testenv.Fault {
		return func(r *http.Request) *testenv.Fault {
			if !strings.Contains(methods, r.Method) || !strings.HasPrefix(r.URL.Path, "/v2/app/manifests/") {
				return nil
			}
			c := f
			return &c
		}
	}
	// equal inputs move nothing
	nothing := func() {
		k.t.Helper()
		proxy.Inject(nil)
		proxy.Reset()
		r := k.push(k.more...)
		if n := proxy.Counts(); n.Requests != 2 || n.Up != 0 {
			k.t.Errorf("nothing changed: %d requests, %d bytes up\n%s", n.Requests, n.Up, proxy.Log())
		}
		if strings.Contains(r.Output, "GANTRY5005") {
			k.t.Error(r.Output)
		}
		k.calls()
		k.isNew(k.digest("app"), false)
	}
	k.in(t, "nothing", func(*testing.T) { nothing() })

	// failure recorded as success: earthly#4054; the second registry says yes and keeps nothing
	for name, f := range map[string]testenv.Fault{"b": {Status: http.StatusBadRequest}, "c": {Status: http.StatusCreated}} {
		k.in(t, "a push that failed, "+name, func(t *testing.T) {
			k.more = []string{"-p:Mode=" + name}
			proxy.Inject(manifests("PUT", f))
			if r := k.tryPush(k.more...); r.Code == 0 {
				t.Errorf("it is taken for a success:\n%s", r.Output)
			}
			proxy.Inject(nil)
			k.isNew(k.digest("app"), false)
			k.calls()
			k.again("", true)
			nothing()
		})
	}
	// an auth error on the look-up swallowed as "not found", for ever: dt#1964, dt#1995
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		k.in(t, http.StatusText(status), func(t *testing.T) {
			proxy.Inject(manifests("HEAD GET", testenv.Fault{Status: status}))
			r := k.push(k.more...)
			if !strings.Contains(r.Output, "GANTRY5005") || strings.Contains(r.Output, "warning") {
				t.Errorf("want one message GANTRY5005:\n%s", r.Output)
			}
			nothing()
		})
	}
	// null result cached: dt PR#617, PR#631
	k.in(t, "a web page for an answer", func(t *testing.T) {
		k.more = []string{"-p:Mode=d"}
		proxy.Inject(manifests("HEAD GET", testenv.Fault{
			Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>",
		}))
		if r := k.push(k.more...); !strings.Contains(r.Output, "GANTRY5005") {
			t.Errorf("want a message GANTRY5005:\n%s", r.Output)
		}
		k.isNew(k.digest("app"), true)
		k.calls()
		nothing()
	})
	k.in(t, "an empty response of an earlier publish", func(*testing.T) {
		k.check(os.Truncate(filepath.Join(k.gantryDir(), "linux-x64", "create-layers.json"), 0))
		k.again("create-layers", false)
	})
	// what is known here is nothing to go by: the image is gone there, or the tag has moved
	k.in(t, "the repository is gone", func(*testing.T) {
		k.check(os.RemoveAll(filepath.Join(k.registry.Dir(), "docker", "registry", "v2", "repositories", "app")))
		k.again("", false)
	})
	k.in(t, "the tag names another image", func(*testing.T) {
		// mutable tags must still move on a hit: MaterializeInc/materialize#7275
		testenv.PushTinyBase(k.t, k.registry, "app", "latest", basemaker.TinyOptions{Seed: "foreign"})
		if k.digest("app") == k.last {
			k.t.Fatal("the tag did not move")
		}
		k.again("", false)
		nothing()
	})
	k.in(t, "the store is empty, and the destination another", func(*testing.T) {
		k.check(os.RemoveAll(testenv.StoreDir(k.t)))
		k.env = append(k.env, "GANTRY_CACHE_DIR="+t.TempDir())
		k.push(append(k.more, "-p:ContainerRepository=elsewhere")...)
		if got := k.digest("elsewhere"); got != k.last {
			k.t.Errorf("got %s, want %s", got, k.last)
		}
		k.holds("elsewhere", "latest", k.publishDir())
	})
}
