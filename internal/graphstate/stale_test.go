package graphstate

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// stale asks for one image.
func (s *site) stale(ref, platform string) Answer {
	s.t.Helper()
	answers, err := s.state().Stale(s.t.Context(), []string{ref}, platform, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return answers[0]
}

// isStale compares the verdict and, of what moved, "base (stage) via …".
func (s *site) isStale(ref string, want Verdict, moved ...string) {
	s.t.Helper()
	got := s.stale(ref, "")
	var names []string
	for _, m := range got.Moved {
		line := fmt.Sprintf("%s (%s)", strings.TrimPrefix(m.Name, s.proxy.Host()+"/"), m.Stage)
		for _, v := range m.Via {
			line += " via " + strings.TrimPrefix(v, s.proxy.Host()+"/")
		}
		names = append(names, line)
	}
	if d := cmp.Diff(moved, names); got.Verdict != want || d != "" {
		s.t.Errorf("%s: got %+v, want %s (-want +got):\n%s", ref, got, want, d)
	}
}

func TestStale(t *testing.T) {
	for server := range testenv.Registries {
		t.Run(server, func(t *testing.T) {
			s := newSite(t, server)
			base, tool := s.push("base", "1", "base", amd64, arm64), s.push("tool", "1", "tool", amd64)
			// The final stage is FROM scratch: only an intermediate one reads the base.
			app := s.push("app", "1", "app", amd64)
			s.write("app", top(app), record("one", from(s.ref("base", "1"), child(base, 0)), from(s.ref("tool", "1"), top(tool).Digest)))
			s.isStale(s.ref("app", "1"), Current)
			s.isStale(s.ref("tool", "1"), Unknown) // which has no record
			s.isStale(s.ref("app", "9"), Unknown)

			// Another architecture's push moves the index alone.
			again := s.push("unused", "1", "other", arm64)
			images := []*basemaker.Image{base.Images[0], again.Images[0]}
			index, err := basemaker.NewIndex(basemaker.OCIIndex, images)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.reg.Target().PushIndex(t.Context(), "base", "1", index, images); err != nil {
				t.Fatal(err)
			}
			s.isStale(s.ref("app", "1"), Current)

			s.push("base", "1", "new", amd64, arm64)
			s.isStale(s.ref("app", "1"), Stale, "base:1 (build)")
			// A base that has lost the platform.
			s.push("base", "1", "new", arm64, basemaker.Platform{OS: "linux", Architecture: "s390x"})
			s.isStale(s.ref("app", "1"), Stale, "base:1 (build)")
			if m := s.stale(s.ref("app", "1"), "").Moved; m[0].Now != "" {
				t.Errorf("got %s, want nothing", m[0].Now)
			}
		})
	}
}

// A parent that has not moved is asked for its own record, and so on.
func TestStale_transitive(t *testing.T) {
	s := newSite(t, "olareg")
	root, side := s.push("root", "1", "root", amd64, arm64), s.push("side", "1", "side", amd64)
	mid := s.push("mid", "1", "mid", amd64, arm64)
	app := s.push("app", "1", "app", amd64)
	midRecord := record("mid", from(s.ref("root", "1"), child(root, 0)))
	other := from(s.ref("root", "1"), child(root, 1))
	other.Platform = "linux/arm64"
	midRecord.Variants = append(midRecord.Variants, Variant{Platform: "linux/arm64", FromImages: []FromImage{other}})
	s.write("mid", top(mid), midRecord)
	s.write("app", top(app), record("app", from(s.ref("mid", "1"), child(mid, 0)), from(s.ref("side", "1"), top(side).Digest)))
	// Records that go round: side rests on app, as it says.
	s.write("side", top(side), record("side", from(s.ref("app", "1"), top(app).Digest)))
	s.isStale(s.ref("app", "1"), Current)

	// Of the root, only the other platform moves.
	moved := s.push("unused", "1", "moved", arm64)
	images := []*basemaker.Image{root.Images[0], moved.Images[0]}
	index, err := basemaker.NewIndex(basemaker.OCIIndex, images)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reg.Target().PushIndex(t.Context(), "root", "1", index, images); err != nil {
		t.Fatal(err)
	}
	s.isStale(s.ref("app", "1"), Current)
	s.isStale(s.ref("mid", "1"), Stale, "root:1 (build)")
	for platform, want := range map[string]Verdict{"linux/amd64": Current, "linux/arm64": Stale, "linux/s390x": Unknown} {
		if got := s.stale(s.ref("mid", "1"), platform); got.Verdict != want {
			t.Errorf("%s: got %+v, want %s", platform, got, want)
		}
	}
	s.push("root", "1", "new", amd64, arm64)
	s.isStale(s.ref("app", "1"), Stale, "root:1 (build) via mid:1")
	s.isStale(s.ref("side", "1"), Stale, "root:1 (build) via app:1 via mid:1")
}

// The images of an index that were built apart have records of their own.
func TestStale_joined(t *testing.T) {
	s := newSite(t, "docker-registry")
	base := s.push("base", "1", "base", amd64, arm64)
	app := s.push("app", "1", "app", amd64, arm64)
	for i, image := range app.Images {
		f := from(s.ref("base", "1"), child(base, i))
		f.Platform = "linux/" + image.Platform.Architecture
		r := record("one", f)
		r.Variants[0].Platform = f.Platform
		d := top(app)
		d.Digest, d.MediaType, d.Size = child(app, i), image.Manifest.MediaType, image.Manifest.Size
		if i == 1 {
			s.isStale(s.ref("app", "1"), Unknown) // one of two
		}
		s.write("app", d, r)
	}
	s.isStale(s.ref("app", "1"), Current)
	s.push("base", "1", "new", amd64, arm64)
	s.isStale(s.ref("app", "1"), Stale, "base:1 (build)", "base:1 (build)")
	found, err := s.state().Parents(t.Context(), s.ref("app", "1"))
	if err != nil || len(found.Variants) != 2 {
		t.Errorf("got %+v, %v", found, err)
	}
}

// A base that is named by digest does not move, and what moved below it is not what the image would be built from.
func TestStale_pinned(t *testing.T) {
	s := newSite(t, "olareg")
	base, app := s.push("base", "1", "base", amd64), s.push("app", "1", "app", amd64)
	s.write("base", top(base), record("base", from(s.ref("base", "0"), cas.DigestOf(nil))))
	s.write("app", top(app), record("one", from(s.ref("base", "1")+"@"+base.Top.Digest, top(base).Digest)))
	s.push("base", "1", "new", amd64)
	s.isStale(s.ref("app", "1"), Current)
}

// Bases are asked for once, however many images rest on them.
func TestStale_count(t *testing.T) {
	const images = 5
	for server, list := range map[string]int{"olareg": 1, "docker-registry": 2} {
		t.Run(server, func(t *testing.T) {
			s := newSite(t, server)
			base, tool := s.push("base", "1", "base", amd64, arm64), s.push("tool", "1", "tool", amd64)
			var refs []string
			for i := range images {
				tag := fmt.Sprint(i)
				app := s.push("app", tag, tag, amd64)
				s.write("app", top(app), record(tag, from(s.ref("base", "1"), child(base, 0)), from(s.ref("tool", "1"), top(tool).Digest)))
				refs = append(refs, s.ref("app", tag))
			}
			s.proxy.Reset()
			var told atomic.Int64
			answers, err := s.state().Stale(t.Context(), refs, "", func(done, total int) { told.Add(int64(done * total)) })
			if err != nil || len(answers) != images || told.Load() != images*(1+2+3+4+5) {
				t.Fatal(answers, err, told.Load())
			}
			// An image: what it is, the list, the record's manifest and the record. The base: what it is, its index, and that neither the
			// index nor an image of it has a record; the tool: what it is, and that it has none.
			want := images*(1+list+2) + (1 + 1 + 2*list) + (1 + list)
			if got := len(s.proxy.Requests()); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

// Of thousands of records what they were built from is kept, and not each line of it.
func TestStale_short(t *testing.T) {
	s := newSite(t, "olareg")
	app := s.push("app", "1", "app", amd64)
	s.write("app", top(app), record("one"))
	for _, short := range []bool{false, true} {
		c := s.state().newChecker()
		c.short = short
		ref := registry.Reference{Name: s.name("app"), Tag: "1"}
		if r, err := c.record(t.Context(), ref, top(app)); err != nil || (r.Variants[0].Lines == nil) != short {
			t.Errorf("short %v: got %+v, %v", short, r, err)
		}
	}
}

// No answer is better than a wrong one; what the account may not see is unknown.
func TestStale_faults(t *testing.T) {
	s := newSite(t, "olareg")
	base, app := s.push("base", "1", "base", amd64), s.push("app", "1", "app", amd64)
	s.write("app", top(app), record("one", from(s.ref("base", "1"), top(base).Digest)))
	for status, want := range map[int]Verdict{http.StatusForbidden: Unknown, http.StatusServiceUnavailable: ""} {
		for _, part := range []string{"/app/manifests/1", "/app/referrers/", "/app/blobs/", "/base/manifests/1"} {
			s.proxy.Inject(func(q *http.Request) *testenv.Fault {
				if strings.Contains(q.URL.Path, part) {
					return &testenv.Fault{Status: status}
				}
				return nil
			})
			answers, err := s.state().Stale(t.Context(), []string{s.ref("app", "1")}, "", nil)
			if want == "" && err == nil || want != "" && (err != nil || answers[0].Verdict != want) {
				t.Errorf("%d for %s: got %+v, %v", status, part, answers, err)
			}
			r, err := s.state().Last(t.Context(), s.ref("app", "1"))
			if part != "/base/manifests/1" && (r != nil || (want == "") != (err != nil)) {
				t.Errorf("the last record, %d for %s: got %+v, %v", status, part, r, err)
			}
		}
	}
}

func TestParents(t *testing.T) {
	s := newSite(t, "docker-registry")
	app := s.push("app", "1", "app", amd64)
	_, err := s.state().Parents(t.Context(), s.ref("app", "1"))
	wantCode(t, err, diag.NoRecord, app.Top.Digest)
	_, err = s.state().Parents(t.Context(), s.ref("app", "2"))
	wantCode(t, err, diag.RepositoryNotFound)
	if r, err := s.state().Last(t.Context(), s.ref("app", "2")); r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
	// Of two records the tag src-<hash> asks for its own, any other tag for the newest.
	one, two := record("one"), record("two")
	s.write("app", top(app), one)
	s.write("app", top(app), two)
	s.push("app", sourcehash.Tag(one.SourceHash), "app", amd64)
	for tag, want := range map[string]cas.Digest{"1": two.SourceHash, sourcehash.Tag(one.SourceHash): one.SourceHash} {
		got, err := s.state().Parents(t.Context(), s.ref("app", tag))
		if err != nil || got.SourceHash != want || got.Digest != top(app).Digest {
			t.Errorf("%s: got %+v, %v", tag, got, err)
		}
	}
	two.Variants[0].Lines[0].Value = "x"
	changes := Changes(one, two)
	if len(changes) != 1 || changes[0].Name != "a.txt" || Changes(nil, two) != nil {
		t.Errorf("got %+v", changes)
	}
}
