package graphtag

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

var (
	amd64 = basemaker.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = basemaker.Platform{OS: "linux", Architecture: "arm64"}
)

// site is a registry behind a proxy that counts.
type site struct {
	t     *testing.T
	reg   *testenv.Registry
	proxy *testenv.Proxy
	store *cas.Store

	mu    sync.Mutex
	modes map[string]registry.Mode // of registries, as they were asked for last
}

func newSite(t *testing.T, server string) *site {
	t.Helper()
	reg := testenv.Registries[server](t)
	return &site{t: t, reg: reg, proxy: testenv.StartProxy(t, reg), store: cas.Open(t.TempDir()), modes: map[string]registry.Mode{}}
}

// push pushes an image of one platform, or an index of several, and returns its digest.
func (s *site) push(repository, tag, seed string, platforms ...basemaker.Platform) string {
	s.t.Helper()
	return s.pushAs(repository, tag, basemaker.TinyOptions{Layers: 1, Seed: seed, Platforms: platforms})
}

func (s *site) pushAs(repository, tag string, o basemaker.TinyOptions) string {
	s.t.Helper()
	base, err := basemaker.Tiny(o)
	if err == nil && len(base.Images) == 1 {
		err = s.reg.Target().PushImage(s.t.Context(), repository, tag, base.Images[0])
	} else if err == nil {
		err = s.reg.Target().PushIndex(s.t.Context(), repository, tag, base.Top, base.Images)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return base.Top.Digest
}

func (s *site) ref(repository, tag string) registry.Reference {
	s.t.Helper()
	ref, err := registry.ParseReference(s.proxy.Reference(repository, tag))
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// image is one whose source tag is src-NAME in a repository, with tags and shared tags of it, or of others as REPOSITORY:TAG.
func (s *site) image(repository, name, tags, shared string) Image {
	s.t.Helper()
	refs := func(words string) (list []registry.Reference) {
		for _, w := range strings.Fields(words) {
			in, tag, ok := strings.Cut(w, ":")
			if !ok {
				in, tag = repository, w
			}
			list = append(list, s.ref(in, tag))
		}
		return list
	}
	return Image{Name: name, Source: s.ref(repository, "src-"+name), Tags: refs(tags), Shared: refs(shared)}
}

// run returns what became of each tag, as "tag state", and what was asked and written, as "METHOD path".
func (s *site) run(dry bool, images ...Image) (results []Result, reads, writes []string) {
	s.t.Helper()
	s.proxy.Reset()
	client := registry.New(registry.Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	results, err := Run(s.t.Context(), images, Options{
		Repository: func(n registry.Name, m registry.Mode) content.Repository {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.modes[n.Registry] = m
			return client.Repository(n, m)
		},
		Store: s.store, Records: records.Of(s.store), Log: slog.New(slog.DiscardHandler), Parallel: 4, DryRun: dry,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.proxy.Requests() {
		line := r.Method + " " + strings.TrimPrefix(r.Path, "/v2/")
		switch {
		case r.Path == "/v2/":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			reads = append(reads, line)
		default:
			writes = append(writes, line)
		}
	}
	slices.Sort(reads)
	slices.Sort(writes)
	return results, reads, writes
}

func (s *site) states(results []Result) (list []string) {
	for _, r := range results {
		list = append(list, strings.TrimPrefix(r.Tag, s.proxy.Host()+"/")+" "+string(r.State))
	}
	return list
}

func (s *site) names(repository, tag string) string {
	s.t.Helper()
	_, digest, _ := s.reg.Manifest(repository, tag)
	return digest
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestRun_own: each tag is asked for, the manifest is read once, and only what differs is written.
func TestRun_own(t *testing.T) {
	for server := range testenv.Registries {
		t.Run(server, func(t *testing.T) {
			s := newSite(t, server)
			was := s.push("app", "moved", "other", amd64)
			s.push("app", "src-a", "one", amd64)
			digest := s.push("app", "right", "one", amd64)
			im := s.image("app", "a", "right moved new", "")

			results, reads, writes := s.run(true, im)
			same(t, "dry", s.states(results), "app:right current", "app:moved tagged", "app:new tagged")
			asked := []string{"HEAD app/manifests/moved", "HEAD app/manifests/new", "HEAD app/manifests/right", "HEAD app/manifests/src-a"}
			same(t, "dry reads", reads, asked...)
			same(t, "dry writes", writes)

			results, reads, writes = s.run(false, im)
			same(t, "states", s.states(results), "app:right current", "app:moved tagged", "app:new tagged")
			same(t, "reads", reads, append([]string{"GET app/manifests/" + digest}, asked...)...)
			same(t, "writes", writes, "PUT app/manifests/moved", "PUT app/manifests/new")
			if r := results[1]; string(r.Was) != was || string(r.Digest) != digest || s.names("app", "moved") != digest || s.names("app", "new") != digest {
				t.Errorf("got %+v", results)
			}
			results, reads, writes = s.run(false, im)
			same(t, "again", s.states(results), "app:right current", "app:moved current", "app:new current")
			same(t, "reads again", reads, asked...)
			same(t, "writes again", writes)
		})
	}
}

// TestRun_first: where an image has no source tag, its first tag says what it is. It is asked for once and never written, as another machine may
// have moved it meanwhile. The others are only looked at: what the first names may be from before a build that failed.
func TestRun_first(t *testing.T) {
	s := newSite(t, "docker-registry")
	digest := s.push("app", "first", "one", amd64)
	s.push("app", "right", "one", amd64)
	s.push("app", "other", "two", amd64)
	im := s.image("app", "a", "first right other new elsewhere:1", "shared")
	im.Source = im.Tags[0]
	results, reads, writes := s.run(false, im)
	same(t, "states", s.states(results), "app:first current", "app:right current", "app:other left", "app:new left", "elsewhere:1 left", "app:shared tagged")
	same(t, "writes", writes, "PUT app/manifests/shared")
	asked := slices.DeleteFunc(reads, func(r string) bool { return r != "HEAD app/manifests/first" })
	same(t, "asked", asked, "HEAD app/manifests/first")
	if r := results[2]; string(results[0].Digest) != digest || r.Digest != "" || !strings.Contains(r.Reason, "only a build of it") {
		t.Errorf("got %+v", results)
	}
}

// entries are those of an index, as platform=digest or media type=digest.
func (s *site) entries(repository, tag string) (mediaType string, list []string) {
	s.t.Helper()
	mediaType, _, body := s.reg.Manifest(repository, tag)
	x, err := image.ParseIndex(body, mediaType)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range x.Manifests {
		list = append(list, image.PlatformName(*m.Platform)+"="+string(m.Digest))
	}
	return mediaType, list
}

// TestRun_shared: a shared tag is an index of its images, sorted by platform, in their format, and written once.
func TestRun_shared(t *testing.T) {
	for server := range testenv.Registries {
		for _, index := range []string{basemaker.OCIIndex, basemaker.DockerList} {
			t.Run(server+" "+index, func(t *testing.T) {
				s := newSite(t, server)
				windows := func(version string) basemaker.Platform {
					return basemaker.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}
				}
				images := []Image{
					s.image("app", "arm", "1-arm", "1 latest"), s.image("app", "w2", "", "1"), s.image("app", "w1", "", "1"), s.image("app", "amd", "", "1 latest"),
				}
				want := []string{}
				for _, im := range []struct {
					name     string
					platform basemaker.Platform
					as       string
				}{
					{"amd", amd64, "linux/amd64"},
					{"arm", arm64, "linux/arm64"},
					{"w1", windows("10.0.17763.1"), "windows/amd64 (10.0.17763.1)"},
					{"w2", windows("10.0.20348.2"), "windows/amd64 (10.0.20348.2)"},
				} {
					o := basemaker.TinyOptions{Layers: 1, Seed: im.name, Platforms: []basemaker.Platform{im.platform}, Docker: index == basemaker.DockerList}
					want = append(want, im.as+"="+s.pushAs("app", "src-"+im.name, o))
				}
				results, _, writes := s.run(false, images...)
				same(t, "states", s.states(results), "app:1-arm tagged", "app:1 tagged", "app:latest tagged")
				same(t, "writes", writes, "PUT app/manifests/1", "PUT app/manifests/1-arm", "PUT app/manifests/latest")
				same(t, "images", results[1].Images, "arm", "w2", "w1", "amd")
				mediaType, got := s.entries("app", "1")
				same(t, mediaType, got, want...)
				if mediaType != index {
					t.Errorf("got %s, want %s", mediaType, index)
				}
				_, got = s.entries("app", "latest")
				same(t, "latest", got, want[:2]...)

				// The same images in another order make the same index; what was read of them by digest is not read again.
				slices.Reverse(images)
				results, reads, writes := s.run(false, images...)
				same(t, "again", s.states(results), "app:1-arm current", "app:1 current", "app:latest current")
				same(t, "writes again", writes)
				if slices.ContainsFunc(reads, func(r string) bool { return strings.HasPrefix(r, "GET ") }) || len(reads) != len(images)+3 {
					t.Errorf("got %q", reads)
				}
			})
		}
	}
}

// TestRun_sharedIndexes: images that are indexes themselves, as buildx pushes them, give their platforms and their attestations.
func TestRun_sharedIndexes(t *testing.T) {
	s := newSite(t, "docker-registry")
	var want []string
	for _, p := range []basemaker.Platform{amd64, arm64} {
		base, err := basemaker.Tiny(basemaker.TinyOptions{Layers: 1, Seed: p.Architecture, Platforms: []basemaker.Platform{p}})
		if err != nil {
			t.Fatal(err)
		}
		index, all, err := basemaker.Attested(base)
		if err == nil {
			err = s.reg.Target().PushIndex(t.Context(), "app", "src-"+p.Architecture, index, all)
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, "linux/"+p.Architecture+"="+base.Images[0].Manifest.Digest)
	}
	results, _, _ := s.run(false, s.image("app", "arm64", "", "1"), s.image("app", "amd64", "", "1"))
	same(t, "states", s.states(results), "app:1 tagged")
	_, got := s.entries("app", "1")
	if len(got) != 4 || !slices.Equal(got[:2], want) || !strings.HasPrefix(got[2], "unknown/unknown=") || !strings.HasPrefix(got[3], "unknown/unknown=") {
		t.Errorf("got %q", got)
	}
	_, _, body := s.reg.Manifest("app", "1")
	results, _, _ = s.run(false, s.image("app", "amd64", "", "1"), s.image("app", "arm64", "", "1"))
	same(t, "in another order", s.states(results), "app:1 current")
	if n := strings.Count(string(body), `"vnd.docker.reference.digest":"`+want[0][len("linux/amd64="):]+`"`); n != 1 {
		t.Errorf("%d attestations name the image for amd64:\n%s", n, body)
	}
}

// TestRun_notBuilt: what is not built leaves its tags and those that it shares; the others are written.
func TestRun_notBuilt(t *testing.T) {
	s := newSite(t, "olareg")
	s.push("app", "src-a", "one", amd64)
	before := s.push("app", "1", "before", amd64)
	images := []Image{s.image("app", "a", "a", "1 2"), s.image("app", "b", "b", "1"), s.image("app", "c", "c", "")}
	images[2].Source, images[2].Why = registry.Reference{}, "has no source tag"
	results, _, writes := s.run(false, images...)
	same(t, "states", s.states(results), "app:a tagged", "app:b left", "app:c left", "app:1 left", "app:2 tagged")
	same(t, "writes", writes, "PUT app/manifests/2", "PUT app/manifests/a")
	if s.names("app", "1") != before || !strings.Contains(results[3].Reason, "b is not built yet: "+images[1].Source.String()+" is not there") ||
		results[2].Reason != "c has no source tag" {
		t.Errorf("got %+v", results)
	}
	if Err(results) != nil || Count(results, Left) != 3 {
		t.Errorf("got %v, %d", Err(results), Count(results, Left))
	}
}

// TestRun_elsewhere: a tag of another repository or registry gets the image with all that it names, mounted where that can be.
func TestRun_elsewhere(t *testing.T) {
	s := newSite(t, "docker-registry")
	other := newSite(t, "olareg")
	s.push("app", "src-a", "one", amd64)
	arm := s.push("arm", "src-b", "two", arm64)
	two := s.push("app", "src-c", "three", amd64, arm64)
	a, b, c := s.image("app", "a", "1 mirror/app:1 mirror/app:2", "all/app:1"), s.image("arm", "b", "", "all/app:1"), s.image("app", "c", "mirror/app:c", "")
	a.Tags = append(a.Tags, other.ref("far/app", "1"))
	results, _, writes := s.run(false, a, b, c)
	same(t, "states", s.states(results), "app:1 tagged", "mirror/app:1 tagged", "mirror/app:2 tagged", other.proxy.Host()+"/far/app:1 tagged",
		"mirror/app:c tagged", "all/app:1 tagged")
	for _, w := range writes {
		if strings.HasPrefix(w, "PATCH ") || strings.HasPrefix(w, "PUT ") && strings.Contains(w, "/blobs/") {
			t.Errorf("%s: a blob was sent that could be mounted", w)
		}
	}
	// The account of the images' own registry is sent to no other.
	if s.modes[s.proxy.Host()] != registry.ModePush || s.modes[other.proxy.Host()] != registry.ModePushElsewhere {
		t.Errorf("got the modes %v", s.modes)
	}
	if s.names("mirror/app", "c") != two || s.names("all/app", arm) != arm || other.names("far/app", "1") != s.names("app", "1") {
		t.Error("the images are not there")
	}
	mediaType, _, body := other.reg.Manifest("far/app", "1")
	m, err := image.ParseManifest(body, mediaType)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(m.Layers, m.Config) {
		if len(other.reg.Blob("far/app", string(d.Digest))) != int(d.Size) {
			t.Errorf("%s is not there", d.Digest)
		}
	}
	results, reads, writes := s.run(false, a, b, c)
	if Count(results, Current) != 6 || len(writes) != 0 || len(reads) != 3+4+1 { // source tags, tags here, the shared one
		t.Errorf("got %v, %q, %q", s.states(results), reads, writes)
	}
}

// TestRun_refused: one tag that may not move keeps no other back, and has the code that a push gives.
func TestRun_refused(t *testing.T) {
	s := newSite(t, "docker-registry")
	s.push("app", "1", "old", amd64)
	s.push("app", "src-a", "one", amd64)
	s.push("app", "src-b", "two", arm64)
	s.proxy.Inject(func(q *http.Request) *testenv.Fault {
		if q.Method == http.MethodPut && strings.HasSuffix(q.URL.Path, "/manifests/1") {
			return &testenv.Fault{Status: http.StatusBadRequest, Body: `{"errors":[{"code":"TAG_INVALID","message":"immutable"}]}`}
		}
		if q.Method == http.MethodHead && strings.HasSuffix(q.URL.Path, "/manifests/src-c") {
			return &testenv.Fault{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	results, _, _ := s.run(false, s.image("app", "a", "1 2", "all"), s.image("app", "b", "3", "all"), s.image("app", "c", "4 5", "other"))
	same(t, "states", s.states(results), "app:1 failed", "app:2 tagged", "app:3 tagged", "app:4 failed", "app:5 failed", "app:all tagged", "app:other failed")
	err := results[0].Err
	if diag.CodeOf(err) != diag.TagRefused || !strings.HasPrefix(err.Error(), s.proxy.Host()+"/app:1: ") {
		t.Errorf("got %v", err)
	}
	if err := Err(results); err == nil || !strings.Contains(fmt.Sprint(err), "app:1") || !strings.Contains(fmt.Sprint(err), "app:other") {
		t.Errorf("got %v", err)
	}
}

// TestRun_memberUnseen: a registry that says for a moment that it misses an image of an index, which it answered just before, is asked once more.
func TestRun_memberUnseen(t *testing.T) {
	s := newSite(t, "docker-registry")
	s.push("app", "src-a", "one", amd64)
	s.proxy.Inject(testenv.Times(1, http.MethodPut, "/manifests/1", testenv.Fault{
		Status: http.StatusBadRequest, Body: `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`,
	}))
	results, _, writes := s.run(false, s.image("app", "a", "", "1"))
	same(t, "states", s.states(results), "app:1 tagged")
	same(t, "writes", writes, "PUT app/manifests/1", "PUT app/manifests/1")
}

// TestRun_ownFirst: Distribution, with files, denies for a moment that it has a manifest which is written to a tag, and refuses an index that has it.
func TestRun_ownFirst(t *testing.T) {
	s := newSite(t, "docker-registry")
	s.push("app", "src-a", "one", amd64)
	s.proxy.Inject(func(q *http.Request) *testenv.Fault {
		switch {
		case q.Method == http.MethodPut && strings.HasSuffix(q.URL.Path, "/manifests/own"):
			return &testenv.Fault{Delay: 300 * time.Millisecond}
		case q.Method == http.MethodPut && !slices.Contains(s.reg.Tags("app"), "own"):
			t.Error("the index is written beside the image")
		}
		return nil
	})
	results, _, _ := s.run(false, s.image("app", "a", "own", "all"))
	same(t, "states", s.states(results), "app:own tagged", "app:all tagged")
}

// TestRun_cannotShare: images that make no index, and a tag that is both one image's and shared, are errors of that tag alone.
func TestRun_cannotShare(t *testing.T) {
	s := newSite(t, "olareg")
	s.push("app", "src-a", "one", amd64)
	s.push("app", "src-b", "two", amd64)
	s.pushAs("app", "src-c", basemaker.TinyOptions{Layers: 1, Seed: "c", Platforms: []basemaker.Platform{arm64}, Docker: true})
	results, _, writes := s.run(false, s.image("app", "a", "1", "same mixed"), s.image("app", "b", "", "same 1"), s.image("app", "c", "", "mixed"))
	same(t, "states", s.states(results), "app:1 tagged", "app:same failed", "app:mixed failed", "app:1 failed")
	same(t, "writes", writes, "PUT app/manifests/1")
	for i, want := range map[int]diag.Code{1: diag.IndexMismatch, 2: diag.IndexMismatch, 3: diag.DoubleTag} {
		if diag.CodeOf(results[i].Err) != want {
			t.Errorf("%s: got %v, want %s", results[i].Tag, results[i].Err, want)
		}
	}
}

// TestRun_interrupted: what was not looked at is no success.
func TestRun_interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	results, err := Run(ctx, []Image{{Name: "a", Why: "is not built yet", Tags: []registry.Reference{{Tag: "1"}}}}, Options{})
	if results != nil || diag.CodeOf(err) != diag.Interrupted {
		t.Errorf("got %v, %v", results, err)
	}
}
