package push_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
)

// item pushes a repository with a layer and puts that under the app's layers, as a ContainerLayer item names it.
func (p *pipeline) item(from *testenv.Proxy, repository string) tasks.Layer {
	p.t.Helper()
	image1 := testenv.PushTinyBase(p.t, from.Registry(), repository, "1", basemaker.TinyOptions{Seed: "agent"}).Images[0]
	config, err := image.ParseConfig(image1.Config.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := image.ParseManifest(image1.Manifest.Data, image1.Manifest.MediaType)
	if err != nil {
		p.t.Fatal(err)
	}
	l := tasks.Layer{
		Name: "agent", Descriptor: m.Layers[0], DiffID: config.DiffIDs[0], Key: tasks.BlobKey(m.Layers[0].Digest),
		Source: &tasks.LayerSource{Registry: from.Host(), Repository: repository}, CreatedBy: "gantry resolve-layers: agent",
	}
	p.save("create-layers", "create-layers.json", &struct {
		tasks.ResponseHeader
		Layers []tasks.Layer `json:"layers"`
	}{Layers: append([]tasks.Layer{l}, p.layers(runtimeLayer, "app")...)})
	return l
}

// keepsNone fails the test if the content store has a layer that its repository has.
func (p *pipeline) keepsNone(l tasks.Layer) {
	p.t.Helper()
	if _, err := p.store.Size(l.Descriptor.Digest); err == nil {
		p.t.Error("the layer is in the content store")
	}
}

// TestSource: the layer of another repository is mounted within a registry, with one request; from another registry it is read once and
// sent as it is read, and what comes after mounts it there. Nothing of it is kept.
func TestSource(t *testing.T) {
	reg := testenv.StartRegistry(t)
	p, proxy := solution(t, reg)
	proxy.Reset()
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "without", "1")); err != nil {
		t.Fatal(err)
	}
	want := kinds(proxy)
	want["mount"]++ // that is all
	p.again(true)
	p.prepare(proxy.Host()+"/base:1", "linux-x64", "", runtimeLayer, "app")
	near := p.item(proxy, "agents")
	proxy.Reset()
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "near", "1")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, kinds(proxy)); d != "" {
		t.Errorf("requests of the same registry (-want +got):\n%s", d)
	}
	p.keepsNone(near)
	checkImage(t, reg.Reference("near", "1"))

	far, other := testenv.StartProxy(t, testenv.StartRegistry(t)), testenv.StartProxy(t, testenv.StartRegistry(t))
	l := p.item(far, "team/agents")
	for i, repository := range []string{"one", "two"} {
		far.Reset()
		if _, err := p.push("push.json", pushRequest(other.Host(), repository, "1")); err != nil {
			t.Fatal(err)
		}
		read := map[string]int{"GET blob": 1}
		if i == 1 {
			read = map[string]int{}
		}
		if d := cmp.Diff(read, kinds(far)); d != "" {
			t.Errorf("%s: requests to the layer's registry (-want +got):\n%s", repository, d)
		}
		checkImage(t, other.Registry().Reference(repository, "1"))
	}
	if b := p.did.Blobs; b.Uploaded.Count != 1 { // the configuration alone
		t.Errorf("the second repository: %+v", b)
	}
	req := pushRequest(other.Host(), "two", "1") // everything is sent again, and nothing is mounted
	req.ForcePush = true
	far.Reset()
	if _, err := p.push("push.json", req); err != nil || kinds(far)["GET blob"] != 1 {
		t.Errorf("forced: %v, %v", err, kinds(far))
	}
	p.keepsNone(l)

	third, fourth := testenv.StartRegistry(t), testenv.StartRegistry(t) // several at once: read once for all
	req = pushRequest(third.Host(), "app", "1")
	req.AlsoPushTo = []string{third.Host() + "/mirror", fourth.Host() + "/app"}
	far.Reset()
	if _, err := p.push("push.json", req); err != nil || kinds(far)["GET blob"] != 1 {
		t.Errorf("to several: %v, %v", err, kinds(far))
	}
	for _, reference := range []string{third.Reference("app", "1"), third.Reference("mirror", "1"), fourth.Reference("app", "1")} {
		checkImage(t, reference)
	}
}

func refuse(method string, status int) func(*http.Request) *testenv.Fault {
	return func(r *http.Request) *testenv.Fault {
		if r.Method == method {
			return &testenv.Fault{Status: status}
		}
		return nil
	}
}

// TestSource_lost: a layer that its repository does not give any more comes from the earlier image that has it; else it is an error, and
// the destination stays as it was.
func TestSource_lost(t *testing.T) {
	p, proxy := solution(t, testenv.StartRegistry(t))
	far, other := testenv.StartProxy(t, testenv.StartRegistry(t)), testenv.StartRegistry(t)
	l := p.item(far, "agents")
	if _, err := p.push("push.json", pushRequest(proxy.Host(), "old", "1")); err != nil {
		t.Fatal(err)
	}
	p.save("recall", "recall.json", &tasks.Recalled{
		Reference: proxy.Host() + "/old:1", Registry: proxy.Host(), Repository: "old",
		Manifest: &tasks.Descriptor{MediaType: p.did.MediaType, Digest: p.did.Digest}, Layers: []tasks.Layer{l},
	})
	for i, tc := range []struct {
		name   string
		status int
		policy string
		recall string
		code   diag.Code
	}{
		{"gone", http.StatusNotFound, "", "", diag.LayerNotFound},
		{"nothing is pulled", http.StatusTeapot, "never", "", diag.NotInStore},
		{"gone, an earlier image", http.StatusNotFound, "", "recall.json", ""},
		{"forbidden, an earlier image", http.StatusForbidden, "", "recall.json", ""},
	} {
		dst, host, repository := other, other.Host(), fmt.Sprintf("app%d", i)
		if tc.policy != "" {
			dst, host = proxy.Registry(), proxy.Host() // where the base is mounted
		}
		p.again(true) // of what was pushed where nothing is known
		p.prepare(proxy.Host()+"/base:1", "linux-x64", "", runtimeLayer, "app")
		p.item(far, "agents")
		far.Inject(refuse(http.MethodGet, tc.status))
		far.Reset()
		req := pushRequest(host, repository, "1")
		req.RecallPath, req.PullPolicy = tc.recall, tc.policy
		_, err := p.push("push.json", req)
		far.Inject(nil)
		if (err == nil) != (tc.code == "") || err != nil && diag.CodeOf(err) != tc.code {
			t.Fatalf("%s: got %v, want %q", tc.name, err, tc.code)
		}
		p.keepsNone(l)
		if err == nil {
			checkImage(t, dst.Reference(repository, "1"))
			continue
		}
		if tc.code == diag.LayerNotFound && (!strings.Contains(err.Error(), `"agent"`) || !strings.Contains(err.Error(), far.Host()+"/agents")) {
			t.Errorf("the error says neither item nor repository: %v", err)
		}
		if !strings.Contains(err.Error(), string(l.Descriptor.Digest)) {
			t.Errorf("the error does not name the layer: %v", err)
		}
		if len(dst.Tags(repository)) != 0 {
			t.Errorf("%s: a tag was written", tc.name)
		}
		if tc.policy == "never" && len(far.Requests()) != 0 {
			t.Errorf("asked:\n%s", far.Log())
		}
	}
}
