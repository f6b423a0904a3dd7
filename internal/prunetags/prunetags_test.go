package prunetags_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/prunetags"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/internal/tools/recorder"
)

var now = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// world is a repository with images and keys.
type world struct {
	t   *testing.T
	reg *testenv.Registry
	p   *testenv.Proxy
}

func newWorld(t *testing.T, reg *testenv.Registry) *world {
	return &world{t: t, reg: reg, p: testenv.StartProxy(t, reg)}
}

func (w *world) name() registry.Name { return registry.Name{Registry: w.p.Host(), Repository: "app"} }

func (w *world) repo() *registry.Repository {
	c := registry.New(registry.Options{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	return c.Repository(w.name(), registry.ModePush)
}

// image pushes an image that was created so many days ago, under tags.
func (w *world) image(daysAgo int, tags ...string) cas.Digest {
	w.t.Helper()
	var out cas.Digest
	for _, tag := range tags {
		base := testenv.PushTinyBase(w.t, w.reg, "app", tag, basemaker.TinyOptions{Layers: 1, Seed: tags[0], Document: created(daysAgo)})
		out = cas.Digest(base.Digest)
	}
	return out
}

func created(daysAgo int) func(map[string]any) {
	return func(d map[string]any) { d["created"] = now.Add(-time.Duration(daysAgo) * day).Format(time.RFC3339) }
}

func (w *world) plan(at time.Time, change func(*prunetags.Options)) *prunetags.Result {
	w.t.Helper()
	o := prunetags.Options{Name: w.name(), Keep: 30 * day, Now: at}
	if change != nil {
		change(&o)
	}
	r, err := prunetags.Plan(w.t.Context(), w.repo(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// doomed are the tags that a plan removes.
func doomed(r *prunetags.Result) string {
	var out []string
	for _, t := range r.Tags {
		if t.Remove {
			out = append(out, t.Name)
		}
	}
	return strings.Join(out, " ")
}

func why(r *prunetags.Result, tag string) string {
	for _, t := range r.Tags {
		if t.Name == tag {
			return t.Why
		}
	}
	return ""
}

func (w *world) wantTags(want ...string) {
	w.t.Helper()
	got := w.reg.Tags("app")
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		w.t.Error(d)
	}
}

var source = "src-" + strings.Repeat("0a", 32)

// TestAge: the age of a tag is known by having looked before, and by nothing else.
func TestAge(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	w.image(400, "latest", "content-used")
	w.image(400, "content-old", source)
	w.image(400, "src-of-a-person")
	w.image(3, "content-young")

	r := w.plan(now, nil)
	if doomed(r) != "" || r.Others != 2 || r.Noted != 4 || len(r.Tags) != 4 {
		t.Errorf("got %q, %+v", doomed(r), r)
	}
	for tag, want := range map[string]string{
		"content-used": "its image is in use: latest", "content-old": "never seen before, so its age is not known",
		"content-young": "its image was created on 2026-06-27, so it is younger",
	} {
		if got := why(r, tag); got != want {
			t.Errorf("%s: got %q, want %q", tag, got, want)
		}
	}
	w.p.Reset()
	if r = w.plan(now, nil); slices.ContainsFunc(w.p.Requests(), func(r recorder.Request) bool { return r.Method != "GET" && r.Method != "HEAD" }) {
		t.Errorf("a plan writes:\n%s", w.p.Log())
	}
	if err := r.Apply(t.Context(), w.repo()); err != nil {
		t.Fatal(err)
	}
	w.wantTags("latest", "content-used", "content-old", source, "src-of-a-person", "content-young", prunetags.NoteTag)

	// 29 days later nothing is proved, 30 days later it is; what was moved meanwhile begins anew
	if r = w.plan(now.Add(29*day), nil); doomed(r) != "" || r.Noted != 0 {
		t.Errorf("got %q, %d noted", doomed(r), r.Noted)
	}
	w.image(400, "content-moved", source)
	r = w.plan(now.Add(30*day), nil)
	if want := "content-old content-young"; doomed(r) != want || why(r, "content-old") != "unchanged since 2026-06-30" {
		t.Errorf("got %q, want %q: %s", doomed(r), want, why(r, "content-old"))
	}
	if err := r.Apply(t.Context(), w.repo()); err != nil {
		t.Fatal(err)
	}
	w.wantTags("latest", "content-used", source, "content-moved", "src-of-a-person", prunetags.NoteTag)
	if r.Gone() != 2 || r.Manifests != 0 {
		t.Errorf("%d gone, %d images", r.Gone(), r.Manifests)
	}
	// a clock that was wrong for one run proves nothing
	if r = w.plan(now.Add(-day), nil); doomed(r) != "" {
		t.Errorf("got %q", doomed(r))
	}
}

func TestByCreated(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	for i := range 5 {
		w.image(100+i, fmt.Sprintf("content-%d", i))
	}
	w.image(1, "content-new")
	testenv.PushTinyBase(t, w.reg, "app", "content-index", basemaker.TinyOptions{
		Layers: 1, Seed: "i", Document: created(200), Platforms: []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
	})
	by := func(last int) func(*prunetags.Options) {
		return func(o *prunetags.Options) { o.ByCreated, o.KeepLast = true, last }
	}
	if got := doomed(w.plan(now, by(0))); got != "content-0 content-1 content-2 content-3 content-4 content-index" {
		t.Errorf("got %q", got)
	}
	r := w.plan(now, by(3))
	if got := doomed(r); got != "content-2 content-3 content-4 content-index" || why(r, "content-1") != "one of the newest 3" {
		t.Errorf("got %q", got)
	}
	var b bytes.Buffer
	r.Print(&b, true)
	for _, want := range []string{
		"would remove content-2: its image was created on 2026-03-20\n", "keep         content-1: one of the newest 3\n",
		"would remove 4 of 7 cache keys from ", "with --yes today is noted for 7 tags that were never seen before",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nhas no %q", b.String(), want)
		}
	}
}

// TestInUse: what a person's index has in it is in use.
func TestInUse(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	index := testenv.PushTinyBase(t, w.reg, "app", "multi", basemaker.TinyOptions{
		Layers: 1, Seed: "i", Document: created(200), Platforms: []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
	})
	if err := w.reg.Target().PushManifest(t.Context(), "app", "content-child", index.Images[1].Manifest); err != nil {
		t.Fatal(err)
	}
	r := w.plan(now, func(o *prunetags.Options) { o.ByCreated = true })
	if got := why(r, "content-child"); doomed(r) != "" || got != "its image is part of one in use: multi" {
		t.Errorf("got %q, %q", doomed(r), got)
	}
}

// TestMoved: a tag that a publish moved between the plan and the removal stays.
func TestMoved(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	w.image(100, "content-a")
	w.image(100, "content-b")
	r := w.plan(now, func(o *prunetags.Options) { o.ByCreated = true })
	w.image(50, "other", "content-a")
	if err := r.Apply(t.Context(), w.repo()); err != nil {
		t.Fatal(err)
	}
	w.wantTags("content-a", "other", prunetags.NoteTag)
	if got := why(r, "content-a"); got != "it was moved while this ran" {
		t.Errorf("got %q", got)
	}
}

// TestDeleteManifests: distribution 2.8 deletes no tags, only whole images.
func TestDeleteManifests(t *testing.T) {
	w := newWorld(t, testenv.StartRegistry(t))
	used := w.image(100, "latest", "content-used")
	w.image(100, "content-old", "content-old-too")
	w.image(100, "content-kept")
	index := testenv.PushTinyBase(t, w.reg, "app", "content-index", basemaker.TinyOptions{
		Layers: 1, Seed: "i", Document: created(100), Platforms: []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
	})
	amd64 := cas.Digest(index.Images[0].Manifest.Digest)
	if err := w.reg.Target().PushManifest(t.Context(), "app", "amd64", index.Images[0].Manifest); err != nil {
		t.Fatal(err)
	}
	by := func(all bool) func(*prunetags.Options) {
		return func(o *prunetags.Options) { o.ByCreated, o.DeleteManifests = true, all }
	}
	r := w.plan(now, by(false))
	err := r.Apply(t.Context(), w.repo())
	if diag.CodeOf(err) != diag.DeleteRefused || !errors.Is(err, registry.ErrCannotDelete) || !strings.Contains(err.Error(), "--delete-manifests") || r.Gone() != 0 {
		t.Errorf("got %v", err)
	}
	before := w.reg.Tags("app")
	if !slices.Contains(before, "content-old") {
		t.Errorf("got tags %q", before)
	}

	r = w.plan(now, by(true))
	for _, tag := range r.Tags {
		if tag.Name == "content-kept" {
			tag.Remove = false
		}
	}
	if err := r.Apply(t.Context(), w.repo()); err != nil {
		t.Fatal(err)
	}
	w.wantTags("latest", "content-used", "content-kept", "amd64", prunetags.NoteTag)
	if r.Gone() != 3 || r.Manifests != 3 {
		t.Errorf("%d gone, %d images", r.Gone(), r.Manifests)
	}
	for _, d := range []cas.Digest{used, amd64} {
		if _, err := w.repo().Manifest(t.Context(), string(d)); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.repo().Manifest(t.Context(), index.Images[1].Manifest.Digest); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("the index's other image: %v", err)
	}
}

// TestNoDeletes: a registry that deletes nothing says so, once.
func TestNoDeletes(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	w.image(100, "content-a")
	w.image(100, "content-b")
	w.p.Inject(testenv.Times(-1, http.MethodDelete, "", testenv.Fault{
		Status: 405, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"code":"UNSUPPORTED","message":"deletes are off"}]}`,
	}))
	for _, all := range []bool{false, true} {
		w.p.Reset()
		r := w.plan(now, func(o *prunetags.Options) { o.ByCreated, o.DeleteManifests = true, all })
		err := r.Apply(t.Context(), w.repo())
		if diag.CodeOf(err) != diag.DeleteRefused || !strings.Contains(err.Error(), "deletes are off") || !strings.Contains(err.Error(), "retention rules") {
			t.Errorf("got %v", err)
		}
		n := 0
		for _, q := range w.p.Requests() {
			if q.Method == http.MethodDelete {
				n++
			}
		}
		if want := map[bool]int{false: 1, true: 2}[all]; n != want {
			t.Errorf("%d deletes, want %d", n, want)
		}
	}
	// some answer as if there were nothing to delete, or as if it were done
	for _, status := range []int{404, 202} {
		w.p.Inject(testenv.Times(-1, http.MethodDelete, "", testenv.Fault{Status: status}))
		r := w.plan(now, func(o *prunetags.Options) { o.ByCreated = true })
		if err := r.Apply(t.Context(), w.repo()); diag.CodeOf(err) != diag.DeleteRefused || !strings.Contains(err.Error(), "content-a is deleted, and still has it") || r.Gone() != 0 {
			t.Errorf("%d: got %v, %d gone", status, err, r.Gone())
		}
	}
	w.wantTags("content-a", "content-b", prunetags.NoteTag)
	// 403 is no such answer: an account without rights is an error of its own
	w.p.Inject(testenv.Times(-1, http.MethodDelete, "", testenv.Fault{Status: 403}))
	r := w.plan(now, func(o *prunetags.Options) { o.ByCreated = true })
	if err := r.Apply(t.Context(), w.repo()); diag.CodeOf(err) != diag.RepositoryForbidden {
		t.Errorf("got %v", err)
	}
}

// TestRecords: with a key goes its record, and no other.
func TestRecords(t *testing.T) {
	servers := map[string]func(t *testing.T) *testenv.Registry{
		"distribution": func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t) },
		"olareg":       func(t *testing.T) *testenv.Registry { return testenv.StartOlareg(t) },
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, start(t))
			digest := w.image(100, "content-a", "content-b")
			mediaType, _, body := w.reg.Manifest("app", "content-a")
			open := func(registry.Name) cachekey.Repository { return w.repo() }
			keys := cachekey.New(open, w.name(), w.name(), "a secret")
			for _, tag := range []string{"content-a", "content-b"} {
				if err := keys.Write(t.Context(), tag, mediaType, body); err != nil {
					t.Fatal(err)
				}
			}
			all := name == "distribution"
			r := w.plan(now, func(o *prunetags.Options) { o.ByCreated, o.DeleteManifests = true, all })
			if !all { // one of two
				r = w.plan(now, func(o *prunetags.Options) { o.ByCreated, o.KeepLast = true, 1 })
			}
			if err := r.Apply(t.Context(), w.repo()); err != nil {
				t.Fatal(err)
			}
			left, err := w.repo().Referrers(t.Context(), digest, cachekey.RecordType)
			if err != nil {
				t.Fatal(err)
			}
			if all {
				if r.Records != 2 || len(left) != 0 {
					t.Errorf("%d records removed, %d left", r.Records, len(left))
				}
				return
			}
			if r.Records != 1 || len(left) != 1 || keys.Proven(t.Context(), "content-a", digest) != nil {
				t.Errorf("%d records removed, %d left", r.Records, len(left))
			}
		})
	}
}

// TestOutage: what cannot be asked is not taken for old.
func TestOutage(t *testing.T) {
	w := newWorld(t, testenv.StartOlareg(t))
	w.image(100, "content-a")
	w.image(100, "latest")
	for _, path := range []string{"/tags/list", "/manifests/latest", "/manifests/" + prunetags.NoteTag} {
		w.p.Inject(testenv.Times(-1, "", path, testenv.Fault{Status: 503}))
		_, err := prunetags.Plan(t.Context(), w.repo(), prunetags.Options{Name: w.name(), ByCreated: true, Now: now})
		if err == nil || diag.ExitCode(err) != diag.ExitRetryable {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
