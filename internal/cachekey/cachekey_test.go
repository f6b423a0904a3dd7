package cachekey_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

const secret = "a secret that nobody else has"

// servers: distribution has no list of referrers, olareg has one.
var servers = map[string]func(t *testing.T) *testenv.Registry{
	"distribution": func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t) },
	"olareg":       func(t *testing.T) *testenv.Registry { return testenv.StartOlareg(t) },
}

// keys are those of the images of a repository as seen through the proxy.
func keys(p *testenv.Proxy, repository, keyRepository, secret string) *cachekey.Keys {
	c := registry.New(registry.Options{})
	open := func(n registry.Name) cachekey.Repository { return c.Repository(n, registry.ModePush) }
	return cachekey.New(open, registry.Name{Registry: p.Host(), Repository: repository}, registry.Name{Registry: p.Host(), Repository: keyRepository}, secret)
}

func push(t *testing.T, reg *testenv.Registry, repository, tag, seed string) (mediaType string, digest cas.Digest, body []byte) {
	t.Helper()
	base := testenv.PushTinyBase(t, reg, repository, tag, basemaker.TinyOptions{Layers: 1, Seed: seed})
	mediaType, _, body = reg.Manifest(repository, tag)
	return mediaType, cas.Digest(base.Digest), body
}

func wantMiss(t *testing.T, err error, code diag.Code, text string) {
	t.Helper()
	var miss *cachekey.Miss
	if !errors.As(err, &miss) || miss.Code != code || !strings.Contains(miss.Reason, text) {
		t.Errorf("got %v, want a miss %s with %q", err, code, text)
	}
}

func TestRecord(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			p := testenv.StartProxy(t, reg)
			ctx := t.Context()
			mediaType, digest, body := push(t, reg, "app", "1", "")
			_, other, _ := push(t, reg, "app", "2", "other")
			ours := keys(p, "app", "app", secret)

			wantMiss(t, ours.Proven(ctx, "content-a", digest), diag.KeyUnproved, "has no record that proves content-a with that secret (0 looked at)")
			for _, tag := range []string{"content-a", "content-b", "content-a"} {
				p.Reset()
				if err := ours.Write(ctx, tag, mediaType, body); err != nil {
					t.Fatal(err)
				}
				all := p.Requests()
				if last := all[len(all)-1]; last.Method != http.MethodPut || !strings.HasSuffix(last.Path, "/manifests/"+tag) {
					t.Errorf("the key's tag was not written last:\n%s", p.Log())
				}
				if err := ours.Proven(ctx, tag, digest); err != nil {
					t.Error(err)
				}
			}
			if got := reg.Tags("app"); !slices.Contains(got, "content-a") || !slices.Contains(got, "content-b") {
				t.Errorf("got tags %q", got)
			}
			wantMiss(t, ours.Proven(ctx, "content-c", digest), diag.KeyUnproved, "(2 looked at)")
			wantMiss(t, ours.Proven(ctx, "content-a", other), diag.KeyUnproved, "(0 looked at)")
			copyRecords(t, p.Host(), "app", "app", digest, other)
			wantMiss(t, ours.Proven(ctx, "content-a", other), diag.KeyUnproved, "(2 looked at)")
			wantMiss(t, keys(p, "app", "app", "another secret").Proven(ctx, "content-a", digest), diag.KeyUnproved, "")
			if err := keys(p, "app", "app", "").Proven(ctx, "content-c", digest); err != nil {
				t.Errorf("without a secret: %v", err)
			}

			// The same image in another repository, with the same record beside it, proves nothing there.
			mediaType, digest, body = push(t, reg, "fork", "1", "")
			fork := keys(p, "fork", "fork", secret)
			if err := keys(p, "fork", "fork", "another secret").Write(ctx, "content-a", mediaType, body); err != nil {
				t.Fatal(err)
			}
			copyRecords(t, p.Host(), "app", "fork", digest, digest)
			wantMiss(t, fork.Proven(ctx, "content-a", digest), diag.KeyUnproved, "(3 looked at)")
			if err := fork.Write(ctx, "content-a", mediaType, body); err != nil {
				t.Fatal(err)
			}
			if err := fork.Proven(ctx, "content-a", digest); err != nil {
				t.Error(err)
			}

			p.Inject(testenv.Times(-1, "GET", "", testenv.Fault{Status: http.StatusForbidden}))
			wantMiss(t, ours.Proven(ctx, "content-a", digest), diag.AccessUnproved, "403")
		})
	}
}

// copyRecords puts the records beside an image in one repository beside an image in another, or the same, as anyone may who may push
// there.
func copyRecords(t *testing.T, host, from, to string, image, on cas.Digest) {
	t.Helper()
	c := registry.New(registry.Options{})
	source := c.Repository(registry.Name{Registry: host, Repository: from}, registry.ModePull)
	target := c.Repository(registry.Name{Registry: host, Repository: to}, registry.ModePush)
	records, err := source.Referrers(t.Context(), image, "application/vnd.gantry.cache-key.record.v1")
	if err != nil || len(records) == 0 {
		t.Fatalf("%s has no records: %v", from, err)
	}
	for _, r := range records {
		m, err := source.Manifest(t.Context(), string(r.Digest))
		if err == nil {
			err = target.PushReferrer(t.Context(), on, r, bytes.ReplaceAll(m.Body, []byte(image), []byte(on)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Many records of others, as of one who would hide ours, do not hide it.
func TestRecord_amongOthers(t *testing.T) {
	reg := testenv.StartRegistry(t)
	p := testenv.StartProxy(t, reg)
	mediaType, digest, body := push(t, reg, "app", "1", "")
	if err := keys(p, "app", "app", secret).Write(t.Context(), "content-a", mediaType, body); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := keys(p, "app", "app", fmt.Sprint("secret ", i)).Write(t.Context(), "content-a", mediaType, body); err != nil {
			t.Fatal(err)
		}
	}
	p.Reset()
	if err := keys(p, "app", "app", secret).Proven(t.Context(), "content-a", digest); err != nil {
		t.Error(err)
	}
	if n := p.Counts().Requests; n != 2 {
		t.Errorf("got %d requests, want 2: the list that is not there, and the tag", n)
	}
}

func TestImage(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			p := testenv.StartProxy(t, reg)
			ctx := t.Context()
			mediaType, digest, body := push(t, reg, "app", "1", "")
			ours := keys(p, "app", "app", "")
			_, err := ours.Image(ctx, "content-a")
			wantMiss(t, err, "", "the key's tag "+p.Host()+"/app:content-a is not there")
			if err := ours.Write(ctx, "content-a", mediaType, body); err != nil {
				t.Fatal(err)
			}
			p.Reset()
			m, err := ours.Image(ctx, "content-a")
			if err != nil || m.Digest != digest || p.Counts().Requests != 1 {
				t.Errorf("got %v, %v after %d requests, want %s after 1", m, err, p.Counts().Requests, digest)
			}
			apart := keys(p, "app", "keys", "")
			push(t, reg, "keys", "content-a", "")
			push(t, reg, "keys", "content-b", "of another project")
			if m, err := apart.Image(ctx, "content-a"); err != nil || m.Digest != digest {
				t.Errorf("got %v, %v, want %s", m, err, digest)
			}
			_, err = apart.Image(ctx, "content-b")
			wantMiss(t, err, "", "which the key's tag in "+p.Host()+"/keys names, is not there")
		})
	}
}

func TestImage_faults(t *testing.T) {
	reg := testenv.StartRegistry(t)
	p := testenv.StartProxy(t, reg)
	push(t, reg, "app", "content-a", "")
	html := http.Header{"Content-Type": {"text/html"}}
	artifact := http.Header{"Content-Type": {"application/vnd.example+json"}}
	for _, tc := range []struct {
		name  string
		fault testenv.Fault
		miss  bool
		code  diag.Code
	}{
		{"absent", testenv.Fault{Status: 404}, true, ""},
		{"unauthorized", testenv.Fault{Status: 401}, true, diag.AccessUnproved},
		{"forbidden", testenv.Fault{Status: 403}, true, diag.AccessUnproved},
		{"refused", testenv.Fault{Status: 400}, true, diag.AccessUnproved},
		{"not an image", testenv.Fault{Status: 200, Header: artifact, Body: `{"schemaVersion": 2}`}, true, ""},
		{"damaged", testenv.Fault{Corrupt: true}, true, ""},
		{"unable", testenv.Fault{Status: 501}, false, diag.RegistryPushFailed},
		{"a web page", testenv.Fault{Status: 200, Header: html, Body: "<html>please log in"}, false, diag.ManifestPullFailed},
		{"too busy for long", testenv.Fault{Status: 429, Header: http.Header{"Retry-After": {"86400"}}}, false, diag.RegistryPushFailed},
		{"down for long", testenv.Fault{Status: 503, Header: http.Header{"Retry-After": {"86400"}}}, false, diag.RegistryPushFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.Inject(testenv.Times(-1, "GET", "/manifests/", tc.fault))
			_, err := keys(p, "app", "app", "").Image(t.Context(), "content-a")
			if tc.miss {
				wantMiss(t, err, tc.code, "")
				return
			}
			var miss *cachekey.Miss
			if errors.As(err, &miss) || diag.CodeOf(err) != tc.code {
				t.Errorf("got %v, want an error %s", err, tc.code)
			}
		})
	}
}
