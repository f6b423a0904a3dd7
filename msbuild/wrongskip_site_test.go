package msbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// A wrong skip ships an old image, and nobody sees it; a missed skip costs time on every publish. The corpus has one case for each
// bug of either kind that users of other tools reported, as it would appear here. Each case changes one thing in a project that was
// published before, publishes it again, and asks three questions: did exactly those stages run that had to; is the image that of a
// publish that knows nothing of an earlier one; is it another image than before, if it has to be.

// skips is a project that is published again and again.
type skips struct {
	*site
	calls func() []string
	// script calls the tool.
	script string
	// more are the properties of each publish.
	more []string
	last string
}

func newSkips(t *testing.T, kind string, more ...string) *skips {
	t.Helper()
	k := &skips{site: newSite(t, kind), more: more}
	k.calls = k.tool()
	k.script = strings.TrimPrefix(k.env[len(k.env)-1], "GANTRY_PATH=")
	// one store for all cases
	k.env = append(k.env, "GANTRY_CACHE_DIR="+t.TempDir())
	return k
}

// throughProxy has all requests of the project counted.
func (k *skips) throughProxy() *testenv.Proxy {
	k.t.Helper()
	proxy := testenv.StartProxy(k.t, k.registry)
	k.host, k.base = proxy.Host(), proxy.Reference("base/tiny", "1")
	k.env = append(k.env, "DOTNET_CONTAINER_INSECURE_REGISTRIES="+proxy.Host()+";"+k.registry.Host())
	return proxy
}

// in runs a case of the corpus in a test of its own.
func (k *skips) in(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		defer func(outer *testing.T) { k.t = outer }(k.t)
		k.t = t
		f(t)
	})
}

// digest is what the registry has under the tag.
func (k *skips) digest(repository string) string {
	k.t.Helper()
	_, digest, _ := k.registry.Manifest(repository, "latest")
	return digest
}

// first is the publish that the cases compare with.
func (k *skips) first() {
	k.t.Helper()
	k.push(k.more...)
	k.calls()
	k.last = k.digest("app")
}

// alwaysRun ask the world, so they are not skipped.
var alwaysRun = []string{"resolve-base", "scan", "push"}

// again publishes once more and answers the three questions; runs are the stages that have to run beside those that always do.
func (k *skips) again(runs string, isNew bool) testenv.Result {
	k.t.Helper()
	r := k.push(k.more...)
	got := slices.DeleteFunc(k.calls(), func(stage string) bool { return slices.Contains(alwaysRun, stage) })
	if got := strings.Join(got, " "); got != runs {
		k.t.Errorf("stages: got %q, want %q", got, runs)
	}
	digest := k.digest("app")
	if clean := k.clean(); digest != clean {
		k.t.Errorf("the image is %s, a publish that knows nothing of an earlier one makes %s", digest, clean)
	}
	k.isNew(digest, isNew)
	return r
}

// isNew compares with the publish before.
func (k *skips) isNew(digest string, want bool) {
	k.t.Helper()
	if got := digest != k.last; got != want {
		k.t.Errorf("a new image: got %t, want %t", got, want)
	}
	k.last = digest
}

// clean publishes the same files without what earlier publishes left: requests, responses, stamps and store.
func (k *skips) clean() string {
	k.t.Helper()
	aside, store := k.gantryDir()+".aside", k.t.TempDir()
	if err := os.Rename(k.gantryDir(), aside); err != nil {
		k.t.Fatal(err)
	}
	if k.credential != nil {
		output(k.t, exec.Command("chown", "65534:65534", store, filepath.Dir(store)))
	}
	outer := k.env
	k.env = append(slices.Clone(outer), "GANTRY_CACHE_DIR="+store)
	k.push(append(slices.Clone(k.more), "-p:ContainerRepository=clean", "-p:GantryForcePush=true")...)
	k.env = outer
	k.calls()
	if err := os.RemoveAll(k.gantryDir()); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(aside, k.gantryDir()); err != nil {
		k.t.Fatal(err)
	}
	return k.digest("clean")
}

// write writes a file below the publish folder.
func (k *skips) write(name, content string) string {
	k.t.Helper()
	path := filepath.Join(k.publishDir(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func (k *skips) check(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}
