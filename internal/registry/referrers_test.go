package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/testenv"
)

const testArtifact = "application/vnd.example.thing"

// pushReferrerOf writes a manifest with a subject and returns it as it is to be listed.
func pushReferrerOf(t *testing.T, r *Repository, subject Descriptor, artifactType, text string) Referrer {
	t.Helper()
	as, err := tryReferrerOf(t, r, subject, artifactType, text)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

func tryReferrerOf(t *testing.T, r *Repository, subject Descriptor, artifactType, text string) (Referrer, error) {
	t.Helper()
	none := map[string]any{"mediaType": OCIEmpty, "digest": cas.DigestOf([]byte("{}")), "size": 2}
	annotations := map[string]string{"text": text}
	body, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": OCIManifest, "artifactType": artifactType, "config": none, "layers": []any{none},
		"subject": map[string]any{"mediaType": subject.MediaType, "digest": subject.Digest, "size": subject.Size}, "annotations": annotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	mustPush(t, r, blobOf([]byte("{}"), ""))
	as := Referrer{MediaType: OCIManifest, ArtifactType: artifactType, Annotations: annotations}
	err = r.PushReferrer(t.Context(), subject.Digest, as, body)
	as.Digest, as.Size = cas.DigestOf(body), int64(len(body))
	return as, err
}

func TestReferrers(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			r := New(Options{}).Repository(Name{reg.Host(), "team/app"}, ModePush)
			m := pushImage(t, r, "1.0", []byte(`{"os":"linux"}`))
			subject := Descriptor{MediaType: OCIManifest, Digest: cas.DigestOf(m), Size: int64(len(m))}
			got, err := r.Referrers(t.Context(), subject.Digest, testArtifact)
			if err != nil || len(got) != 0 {
				t.Fatalf("got %v, %v, want none", got, err)
			}
			want := map[cas.Digest]Referrer{}
			for i := range 3 {
				as := pushReferrerOf(t, r, subject, testArtifact, fmt.Sprint(i))
				want[as.Digest] = as
				pushReferrerOf(t, r, subject, testArtifact, fmt.Sprint(i)) // again: it is listed once
			}
			pushReferrerOf(t, r, subject, "application/vnd.example.other", "other")
			got, err = r.Referrers(t.Context(), subject.Digest, testArtifact)
			if err != nil || len(got) != len(want) {
				t.Fatalf("got %v, %v, want %v", got, err, want)
			}
			for _, g := range got {
				if d := cmp.Diff(want[g.Digest], g); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
		})
	}
}

// contest is an image whose list of referrers has an entry of another writer, who writes it without looking.
type contest struct {
	t      *testing.T
	reg    *testenv.Registry
	proxy  *testenv.Proxy
	r      *Repository // through the proxy
	direct *Repository // the other writer's
	// subject is the image, tag that of its list, theirs the entry.
	subject Descriptor
	tag     string
	theirs  Referrer
	reads   int // of the list, through the proxy
}

func newContest(t *testing.T) *contest {
	t.Helper()
	c := &contest{t: t, reg: testenv.StartRegistry(t)}
	c.proxy = testenv.StartProxy(t, c.reg)
	c.r = New(Options{}).Repository(Name{c.proxy.Host(), "app"}, ModePush)
	c.direct = New(Options{}).Repository(Name{c.reg.Host(), "app"}, ModePush)
	m := pushImage(t, c.r, "1.0", []byte(`{"os":"linux"}`))
	c.subject = Descriptor{MediaType: OCIManifest, Digest: cas.DigestOf(m), Size: int64(len(m))}
	c.tag = referrersTag(c.subject.Digest)
	c.theirs = pushReferrerOf(t, c.direct, c.subject, testArtifact, "theirs")
	return c
}

// overwrite has the other writer write a list before it is read for the second time.
func (c *contest) overwrite(list []byte) {
	c.proxy.Inject(func(q *http.Request) *testenv.Fault {
		if q.Method == http.MethodGet && q.URL.Path == "/v2/app/manifests/"+c.tag {
			if c.reads++; c.reads == 2 {
				if err := c.direct.PushManifest(q.Context(), c.tag, OCIIndex, list); err != nil {
					c.t.Error(err)
				}
			}
		}
		return nil
	})
}

// has wants both entries in the list as a repository reads it.
func (c *contest) has(r *Repository, ours Referrer) {
	c.t.Helper()
	got, err := r.Referrers(c.t.Context(), c.subject.Digest, testArtifact)
	if d := cmp.Diff([]Referrer{c.theirs, ours}, got); err != nil || d != "" {
		c.t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// Another writer who read the list before ours was in it, and writes it after, does not keep ours out of it.
func TestPushReferrer_lostUpdate(t *testing.T) {
	c := newContest(t)
	_, _, before := c.reg.Manifest("app", c.tag)
	c.overwrite(before)
	ours := pushReferrerOf(t, c.r, c.subject, testArtifact, "ours")
	c.has(c.r, ours)
	if c.reads != 4 { // empty, overwritten, ours, and the list above
		t.Errorf("the list was read %d times, want 4", c.reads)
	}
}

// An entry that was seen and that another writer took out of the list is put back with ours.
func TestPushReferrer_othersLost(t *testing.T) {
	c := newContest(t)
	c.overwrite([]byte(`{"schemaVersion":2,"mediaType":"` + OCIIndex + `","manifests":[]}`))
	ours := pushReferrerOf(t, c.r, c.subject, testArtifact, "ours")
	c.has(c.direct, ours)
}

// A list over several pages, which has entries that are none of ours, and one that leads to another server.
func TestReferrers_pages(t *testing.T) {
	digest := cas.DigestOf([]byte("subject"))
	entry := func(text string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":1,"artifactType":%q}`, OCIManifest, cas.DigestOf([]byte(text)), testArtifact)
	}
	odd := `{"mediaType":"x","digest":"sha512:00","size":1,"artifactType":"` + testArtifact + `"}`
	for name, tc := range map[string]struct {
		second string
		want   int
		fails  bool
	}{
		"two pages":      {"/v2/app/referrers/" + string(digest) + "?n=2", 3, false},
		"another server": {"https://other.example/v2/app/referrers/x", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", OCIIndex)
				entries := entry("3")
				if q.URL.Query().Get("n") == "" {
					w.Header().Set("Link", "<"+tc.second+`>; rel="next"`)
					entries = entry("1") + "," + odd + "," + entry("2")
				}
				fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, OCIIndex, entries)
			}))
			defer server.Close()
			r := New(Options{}).Repository(Name{strings.TrimPrefix(server.URL, "http://"), "app"}, ModePull)
			got, err := r.Referrers(t.Context(), digest, testArtifact)
			if len(got) != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// What a registry answers instead of the list decides whether the tag is asked.
func TestReferrers_unknown(t *testing.T) {
	for status, tag := range map[int]bool{400: true, 404: true, 405: true, 501: true, 401: false, 403: false} {
		asked := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.URL.Path, "/manifests/") {
				asked = true
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			w.WriteHeader(status)
		}))
		r := New(Options{}).Repository(Name{strings.TrimPrefix(server.URL, "http://"), "app"}, ModePull)
		got, err := r.Referrers(t.Context(), cas.DigestOf(nil), testArtifact)
		if asked != tag || (err == nil) != tag || len(got) > 0 {
			t.Errorf("%d: got %v, %v, the tag was asked: %v, want %v", status, got, err, asked, tag)
		}
		server.Close()
	}
}

// Whatever a registry lists is refused or taken over as it is, with ours behind it.
func FuzzReferrers(f *testing.F) {
	for _, s := range []string{
		`{"schemaVersion":2,"manifests":[]}`, `{"schemaVersion":2,"manifests":null}`, `{"schemaVersion":2,"manifests":[1,{"digest":3}],"x":{}}`,
		`{"schemaVersion":2,"mediaType":"` + OCIIndex + `","manifests":[{}],"manifests":[]}`, `[]`, `{}`,
	} {
		f.Add([]byte(s))
	}
	ours := Referrer{MediaType: OCIManifest, Digest: cas.DigestOf(nil), Size: 1}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parseReferrers(OCIIndex, body)
		if err != nil {
			return
		}
		extended, err := list.with(ours)
		if err != nil {
			t.Fatal(err)
		}
		want := len(list.entries)
		if !list.has(ours.Digest) {
			want++
		}
		again, err := parseReferrers(OCIIndex, extended)
		if err != nil || len(again.entries) != want || !again.has(ours.Digest) {
			t.Errorf("%s becomes %s: %v", body, extended, err)
		}
	})
}

// TestPushReferrer_crossed: a registry that refuses the list while another writer is at it is asked once more.
func TestPushReferrer_crossed(t *testing.T) {
	p := testenv.StartProxy(t, testenv.StartRegistry(t))
	c, _, waits := testClient(t, nil, Options{})
	r := c.Repository(Name{p.Host(), "app"}, ModePush)
	m := pushImage(t, r, "1.0", []byte(`{"os":"linux"}`))
	subject := Descriptor{MediaType: OCIManifest, Digest: cas.DigestOf(m), Size: int64(len(m))}
	for times, fails := range map[int]bool{1: false, maxReferrerRounds: true} {
		body := `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`
		p.Inject(testenv.Times(times, http.MethodPut, "/manifests/"+referrersTag(subject.Digest), testenv.Fault{Status: http.StatusBadRequest, Body: body}))
		artifact := testArtifact + strconv.Itoa(times)
		as, err := tryReferrerOf(t, r, subject, artifact, "x")
		if (err != nil) != fails {
			t.Errorf("%d times: %v", times, err)
		}
		if got, err := r.Referrers(t.Context(), subject.Digest, artifact); err != nil || !fails && (len(got) != 1 || got[0].Digest != as.Digest) {
			t.Errorf("%d times: got %v, %v", times, got, err)
		}
		if len(waits.slept) == 0 {
			t.Error("nothing was waited for")
		}
	}
}

// TestReferrers_mirror: a mirror is asked where nobody else answers, and not before.
func TestReferrers_mirror(t *testing.T) {
	reg := testenv.StartRegistry(t)
	mirror := testenv.StartProxy(t, reg)
	direct := New(Options{}).Repository(Name{reg.Host(), "app"}, ModePush)
	m := pushImage(t, direct, "1.0", []byte(`{"os":"linux"}`))
	subject := Descriptor{MediaType: OCIManifest, Digest: cas.DigestOf(m), Size: int64(len(m))}
	as := pushReferrerOf(t, direct, subject, testArtifact, "x")
	for own, wants := range map[string]bool{reg.Host(): false, "127.0.0.1:1": true} {
		mirror.Reset()
		c, _, waits := testClient(t, nil, Options{Network: mirrored1{mirror.Host(), own}})
		for range 2 {
			got, err := c.Repository(Name{own, "app"}, ModePull).Referrers(t.Context(), subject.Digest, testArtifact)
			if err != nil || len(got) != 1 || got[0].Digest != as.Digest {
				t.Fatalf("%s: got %v, %v", own, got, err)
			}
		}
		if asked := mirror.Log() != ""; asked != wants || len(waits.slept) > 0 {
			t.Errorf("%s: waited %v\n%s", own, waits.slept, mirror.Log())
		}
	}
}
