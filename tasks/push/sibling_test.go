package push_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/push"
)

// runtimeLayer is larger than what is sent without waiting for others.
const runtimeLayer = "runtime:2000000"

// uploads are the bytes of each upload of at least a megabyte.
func uploads(p *testenv.Proxy) (out []int64) {
	for _, r := range p.Requests() {
		if r.Method == http.MethodPut && r.Up >= 1<<20 {
			out = append(out, r.Up)
		}
	}
	return out
}

// solution is a pipeline whose images share a large layer, and a proxy before their registry.
func solution(t *testing.T, reg *testenv.Registry) (*pipeline, *testenv.Proxy) {
	t.Helper()
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	p := newPipeline(t)
	p.prepare(strings.Replace(base.Reference, reg.Host(), proxy.Host(), 1), "linux-x64", "", runtimeLayer, "app")
	return p, proxy
}

// TestSiblings: 20 repositories take the same layer one after the other, and it is sent once. Another registry gets it once more.
func TestSiblings(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	other := testenv.StartProxy(t, testenv.StartRegistry(t))
	for i := range 20 {
		p.again(false) // as processes of their own
		if _, err := p.push("push.json", pushRequest(proxy.Host(), fmt.Sprintf("app%d", i), "1")); err != nil {
			t.Fatal(err)
		}
		if want := min(i, 1) + 1; p.did.Blobs.Mounted.Count < want {
			t.Errorf("app%d: %+v", i, p.did.Blobs)
		}
	}
	for i := range 2 {
		if _, err := p.push("push.json", pushRequest(other.Host(), fmt.Sprintf("app%d", i), "1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.did.Blobs; got.Uploaded.Count != 1 || got.Mounted.Count != 5 { // the layers of a base from elsewhere, too
		t.Errorf("the other registry's second: %+v", got)
	}
	if a, b := uploads(proxy), uploads(other); len(a) != 1 || len(b) != 1 {
		t.Errorf("%d uploads, and %d to the other registry, want 1 and 1", len(a), len(b))
	}
	checkImage(t, proxy.Registry().Reference("app19", "1"))
	checkImage(t, other.Registry().Reference("app1", "1"))
}

// TestSiblings_atOnce: of several that begin together, one sends and the others wait for it.
func TestSiblings_atOnce(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	var group sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		req := pushRequest(proxy.Host(), fmt.Sprintf("app%d", i), "1")
		valid(t, req)
		deps := p.pushDeps()
		client := registry.New(registry.Options{})
		deps.Repository = func(n registry.Name, m registry.Mode) push.Repository { return client.Repository(n, m) }
		deps.Outcome = nil
		group.Go(func() { _, errs[i] = push.Run(t.Context(), deps, req) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := uploads(proxy); len(got) != 1 {
		t.Errorf("%d uploads of the layer, want 1\n%s", len(got), proxy.Log())
	}
}

// TestSiblings_refused: a mount that is refused, in whichever way, costs an upload and nothing else.
func TestSiblings_refused(t *testing.T) {
	for name, fault := range map[string]testenv.Fault{
		"forbidden":  {Status: http.StatusForbidden, Body: `{"errors":[{"code":"DENIED"}]}`},
		"no mounts":  {Status: http.StatusMethodNotAllowed},
		"not logged": {Status: http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			p, proxy := solution(t, testenv.StartRegistry(t))
			if _, err := p.push("push.json", pushRequest(proxy.Host(), "first", "1")); err != nil {
				t.Fatal(err)
			}
			p.again(false)
			proxy.Inject(func(r *http.Request) *testenv.Fault {
				if r.Method == http.MethodPost && r.URL.Query().Get("from") == "first" {
					return &fault
				}
				return nil
			})
			if _, err := p.push("push.json", pushRequest(proxy.Host(), "second", "1")); err != nil {
				t.Fatal(err)
			}
			if got := uploads(proxy); len(got) != 2 {
				t.Errorf("%d uploads, want 2", len(got))
			}
			checkImage(t, proxy.Registry().Reference("second", "1"))
		})
	}
}

// TestSiblings_stale: a repository that no longer has the layer is asked in vain, also when the layer has to be made again for it.
func TestSiblings_stale(t *testing.T) {
	for _, lost := range []bool{false, true} {
		p, proxy := solution(t, testenv.StartRegistry(t))
		layer := p.layers(runtimeLayer, "app")[0].Descriptor
		records.Of(p.store).KeepHolder(proxy.Host(), "gone", layer.Digest)
		remade := 0
		if lost {
			if err := os.Remove(p.store.Path(layer.Digest)); err != nil {
				t.Fatal(err)
			}
		}
		did, err := p.pushLost(pushRequest(proxy.Host(), "app", "1"), &remade)
		if err != nil {
			t.Fatal(err)
		}
		if got := uploads(proxy); len(got) != 1 || did.Blobs.Uploaded.Count != 3 || (remade == 1) != lost {
			t.Errorf("lost %v: %d uploads, made again %d times, %+v", lost, len(got), remade, did)
		}
		checkImage(t, proxy.Registry().Reference("app", "1"))
		if got := records.Of(p.store).Holders(proxy.Host(), layer.Digest); len(got) == 0 || got[0] != "app" {
			t.Errorf("remembered are %v", got)
		}
	}
}

// pushLost pushes with a create-layers that can make the runtime and app layers again; made counts how often it did.
func (p *pipeline) pushLost(req *push.Request, made *int) (did outcome.Result, err error) {
	p.t.Helper()
	if req.CreateLayersRequestPath == "" {
		req.CreateLayersRequestPath = "create-layers.request.json"
	}
	valid(p.t, req)
	deps := p.pushDeps()
	deps.BuildID = "this build"
	deps.RemakeLayers = p.remake(made)
	_, err = push.Run(p.t.Context(), deps, req)
	return p.did, err
}

// TestSiblings_known: a layer that is left out, as the old image has it, is remembered for the next repository.
func TestSiblings_known(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "app", "1")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(p.store.Dir(), "records")); err != nil {
		t.Fatal(err)
	}
	p.layers(runtimeLayer, "changed")
	for _, repository := range []string{"app", "second"} {
		if _, err := p.push("push.json", pushRequest(proxy.Host(), repository, "1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := uploads(proxy); len(got) != 1 {
		t.Errorf("%d uploads of the layer, want 1", len(got))
	}
}
