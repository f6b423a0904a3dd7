package push_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/push"
)

// several are two registries, each behind a proxy, and an image that is ready to be pushed. The base is in the first.
type several struct {
	*pipeline
	first, second *testenv.Proxy
}

func newSeveral(t *testing.T) *several {
	t.Helper()
	a, b := testenv.StartRegistry(t), testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, a, "base", "1", basemaker.TinyOptions{Layers: 3})
	s := &several{newPipeline(t), testenv.StartProxy(t, a), testenv.StartProxy(t, b)}
	s.prepare(strings.Replace(base.Reference, a.Host(), s.first.Host(), 1), "linux-x64", "", "app")
	s.reset()
	return s
}

func (s *several) reset() {
	s.first.Reset()
	s.second.Reset()
}

// request goes to the first registry's app, and also to the second's, and to another repository of the first.
func (s *several) request(also ...string) *push.Request {
	req := pushRequest(s.first.Host(), "app", "1.0")
	req.AlsoPushTo = also
	if len(also) == 0 {
		req.AlsoPushTo = []string{s.second.Host() + "/team/copy", s.first.Host() + "/mirror"}
	}
	return req
}

// names says what each destination's tag names; empty for none.
func (s *several) names() []string {
	s.t.Helper()
	return []string{names(s.first, "app"), names(s.second, "team/copy"), names(s.first, "mirror")}
}

// names is the digest that the tag 1.0 of a repository has; empty for none.
func names(p *testenv.Proxy, repository string) string {
	code, h, _ := p.Registry().Get("/v2/" + repository + "/manifests/1.0")
	if code != http.StatusOK {
		return ""
	}
	return h.Get("Docker-Content-Digest")
}

// TestAlso: every destination gets the same image. Within a registry it is mounted, and what another registry has is read once. When all
// is there, each destination costs one request, as the first does.
func TestAlso(t *testing.T) {
	s := newSeveral(t)
	req := s.request()
	req.AlsoPushTo = append(req.AlsoPushTo, s.second.Host()+"/third", s.first.Host()+"/app", s.first.Host()+"/mirror") // the last two are no others
	req.CacheKeyTag, req.CacheTag = "content-key", "latest-build"
	resp, err := s.push("push.json", req)
	if err != nil {
		t.Fatal(err)
	}
	d := string(resp.Digest)
	if diff := cmp.Diff([]string{d, d, d}, s.names()); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
	for _, reference := range []string{s.second.Registry().Reference("team/copy", "1.0"), s.first.Registry().Reference("mirror", "1.0")} {
		checkImage(t, reference)
	}
	// 3 layers of the base, the app's and the configuration.
	if diff := cmp.Diff([]outcome.Result{
		{Reference: s.first.Host() + "/app", Pushed: true, Blobs: counts(2, 3)},
		{Reference: s.second.Host() + "/team/copy", Pushed: true, Blobs: counts(5, 0)},
		{Reference: s.first.Host() + "/mirror", Pushed: true, Blobs: counts(0, 5)},
		{Reference: s.second.Host() + "/third", Pushed: true, Blobs: counts(0, 5)},
	}, summarized(s.did)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if n := kinds(s.first)["GET blob"]; n != 3 {
		t.Errorf("the base's layers were read %d times, want 3\n%s", n, s.first.Log())
	}
	if diff := cmp.Diff([]string{"1.0"}, s.second.Registry().Tags("team/copy")); diff != "" {
		t.Errorf("tags of another destination (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1.0", "content-key", "latest-build"}, s.first.Registry().Tags("app")); diff != "" {
		t.Errorf("tags of the first (-want +got):\n%s", diff)
	}

	s.again(false)
	s.reset()
	req.CacheKeyTag, req.CacheTag = "", ""
	if _, err := s.push("push.json", req); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"HEAD manifest": 2}
	if diff := cmp.Diff([]map[string]int{want, want}, []map[string]int{kinds(s.first), kinds(s.second)}); diff != "" {
		t.Errorf("requests when all is there (-want +got):\n%s", diff)
	}
	for _, r := range s.did.Each() {
		if r.Pushed || r.Tags[0].State != outcome.Current || !strings.HasPrefix(r.Line(), "Image already present in '"+r.Reference) {
			t.Errorf("%+v: %s", r, r.Line())
		}
	}
}

func counts(uploaded, mounted int) (b outcome.Blobs) {
	b.Uploaded.Count, b.Mounted.Count = uploaded, mounted
	return b
}

// summarized are the results without what other tests look at.
func summarized(r outcome.Result) []outcome.Result {
	var out []outcome.Result
	for _, one := range r.Each() {
		b := counts(one.Blobs.Uploaded.Count, one.Blobs.Mounted.Count)
		b.Existing.Count = one.Blobs.Existing.Count
		out = append(out, outcome.Result{Reference: one.Reference, Pushed: one.Pushed, Blobs: b})
	}
	return out
}

// gone cuts every connection, forbidden refuses every write.
func gone(*http.Request) *testenv.Fault { return &testenv.Fault{Drop: true} }

func forbidden(r *http.Request) *testenv.Fault {
	if r.Method == http.MethodHead || r.Method == http.MethodGet {
		return nil
	}
	return &testenv.Fault{Status: http.StatusForbidden}
}

// only lets a fault hit one repository.
func only(repository string, fault func(*http.Request) *testenv.Fault) func(*http.Request) *testenv.Fault {
	return func(r *http.Request) *testenv.Fault {
		if strings.HasPrefix(r.URL.Path, "/v2/"+repository+"/") {
			return fault(r)
		}
		return nil
	}
}

// TestAlso_faults: what keeps one destination from getting the image keeps no other from it; the error names those that failed, and the
// next push sends what is missing.
func TestAlso_faults(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second func(*http.Request) *testenv.Fault
		has           [3]bool
		code          diag.Code
		exit          int
		says          []string
	}{
		"another is down": {
			nil, gone,
			[3]bool{true, false, true},
			diag.AlsoPushFailed, diag.ExitRetryable,
			[]string{"one of 3 destinations did not get the image: SECOND/team/copy (", "the others have it"},
		},
		"another forbids": {
			nil, forbidden, [3]bool{true, false, true}, diag.AlsoPushFailed, diag.ExitFailed, []string{"SECOND/team/copy (CONTAINER", "403"},
		},
		"the first forbids": {
			only("app", forbidden), nil, [3]bool{false, true, true}, diag.RepositoryForbidden, diag.ExitFailed, []string{"FIRST/app"},
		},
		"the first's registry is down": {
			only("app", gone), nil, [3]bool{false, true, true}, diag.TooManyRetries, diag.ExitRetryable, []string{"FIRST"},
		},
		"two": {
			only("mirror", forbidden), gone,
			[3]bool{true, false, false},
			diag.AlsoPushFailed, diag.ExitFailed,
			[]string{"2 of 3 destinations", "SECOND/team/copy (", "; and FIRST/mirror ("},
		},
		"all": {
			forbidden, gone,
			[3]bool{},
			diag.AlsoPushFailed, diag.ExitFailed,
			[]string{"3 of 3 destinations", "FIRST/app (", "SECOND/team/copy (", "FIRST/mirror (", "none has it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSeveral(t)
			s.client = registry.New(registry.Options{Limits: registry.Limits{Attempts: 1}})
			s.first.Inject(tc.first)
			s.second.Inject(tc.second)
			_, err := s.push("push.json", s.request())
			if diag.CodeOf(err) != tc.code || diag.ExitCode(err) != tc.exit {
				t.Fatalf("%s, exit %d: %v; want %s, exit %d", diag.CodeOf(err), diag.ExitCode(err), err, tc.code, tc.exit)
			}
			text := strings.NewReplacer(s.first.Host(), "FIRST", s.second.Host(), "SECOND").Replace(err.Error())
			for _, want := range tc.says {
				if !strings.Contains(text, want) {
					t.Errorf("the error does not say %q: %s", want, text)
				}
			}
			for i, r := range s.did.Each() {
				if (s.names()[i] != "") != tc.has[i] || (r.Error == nil) != tc.has[i] || (r.Line() != "") != tc.has[i] {
					t.Errorf("%s: tag names %q, %+v", r.Reference, s.names()[i], r.Error)
				}
			}
			refs := filepath.Join(t.TempDir(), "refs")
			for _, r := range s.did.Each() {
				if err := r.AddRef(refs); err != nil {
					t.Fatal(err)
				}
			}
			lines, _ := os.ReadFile(refs) // none when no destination has it
			for i, reference := range []string{s.first.Host() + "/app@", s.second.Host() + "/team/copy@", s.first.Host() + "/mirror@"} {
				if strings.Contains(string(lines), reference) != tc.has[i] {
					t.Errorf("the list of images is %q", lines)
				}
			}

			s.first.Inject(nil)
			s.second.Inject(nil)
			resp, err := s.push("push.json", s.request())
			if err != nil {
				t.Fatal(err)
			}
			d := string(resp.Digest)
			if diff := cmp.Diff([]string{d, d, d}, s.names()); diff != "" {
				t.Errorf("after the next push (-want +got):\n%s", diff)
			}
			for i, r := range s.did.Each() {
				if r.Pushed == tc.has[i] {
					t.Errorf("the next push: %+v", r)
				}
			}
		})
	}
}

// TestAlso_slow: a destination that does not answer keeps no other registry waiting, whether it is the first or another.
func TestAlso_slow(t *testing.T) {
	for name, slowFirst := range map[string]bool{"the first": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			s := newSeveral(t)
			slow, fast, repository := s.second, s.first, "app"
			if slowFirst {
				slow, fast, repository = s.first, s.second, "team/copy"
			}
			answer := make(chan struct{})
			release := sync.OnceFunc(func() { close(answer) })
			defer release()
			slow.Inject(func(r *http.Request) *testenv.Fault {
				if strings.Contains(r.URL.Path, "/base/") {
					return nil // the base is not the destination
				}
				return &testenv.Fault{Wait: answer}
			})
			done := make(chan error, 1)
			go func() {
				_, err := push.Run(t.Context(), s.pushDeps(), s.request(s.second.Host()+"/team/copy"))
				done <- err
			}()
			deadline := time.Now().Add(time.Minute) // to end at all: nothing is measured
			for digest := ""; digest == ""; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the other registry was kept waiting")
				}
				digest = names(fast, repository)
				select {
				case err := <-done:
					t.Fatalf("the push ended before the slow destination answered: %v", err)
				default:
				}
			}
			release()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestAlso_baseElsewhere: layers of a base in a third registry are read once for all destinations, whatever download-layers would do for
// the first.
func TestAlso_baseElsewhere(t *testing.T) {
	bases, a, b := testenv.StartRegistry(t), testenv.StartOlareg(t), testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, bases, "base", "1", basemaker.TinyOptions{Layers: 3})
	from := testenv.StartProxy(t, bases)
	s := &several{newPipeline(t), testenv.StartProxy(t, a), testenv.StartProxy(t, b)}
	s.prepare(strings.Replace(base.Reference, bases.Host(), from.Host(), 1), "linux-x64", "", "app")
	if err := os.WriteFile("download-layers.request.json", encode(t, &downloadlayers.Request{
		RequestHeader: header("download-layers"), SelectBasePath: "select-base.json", Registry: s.first.Host(), Repository: "app",
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	req := s.request()
	req.DownloadLayersRequestPath, req.Revision = "download-layers.request.json", "0123abc"
	from.Reset()
	s.exec("push", "push", req)
	if n := kinds(from)["GET blob"]; n != 3 || !s.did.Pushed || !s.did.AlsoPushed[0].Pushed {
		t.Errorf("the base's layers were read %d times, want 3: %+v\n%s", n, s.did, from.Log())
	}
	checkImage(t, b.Reference("team/copy", "1.0"))
	for _, at := range []struct {
		reg        *testenv.Registry
		repository string
	}{{a, "app"}, {a, "mirror"}, {b, "team/copy"}} {
		if _, _, body := at.reg.Get("/v2/" + at.repository + "/referrers/" + string(s.did.Digest)); !strings.Contains(string(body), "0123abc") {
			t.Errorf("%s has no record of the revision: %s", at.repository, body)
		}
	}
}

// TestAlso_lostLayer: a layer that the content store lost is mounted from the first destination, which has it, and made for nobody.
func TestAlso_lostLayer(t *testing.T) {
	s := newSeveral(t)
	if _, err := s.push("push.json", pushRequest(s.first.Host(), "app", "1.0")); err != nil {
		t.Fatal(err)
	}
	s.again(true)
	if _, err := s.push("push.json", s.request(s.first.Host()+"/mirror")); err != nil {
		t.Fatal(err)
	}
	if other := s.did.AlsoPushed[0]; other.Blobs.Mounted.Count != 5 || s.did.Pushed {
		t.Errorf("%+v", s.did)
	}
	checkImage(t, s.first.Registry().Reference("mirror", "1.0"))
}
