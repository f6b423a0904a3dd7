package registry

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func FuzzReference(f *testing.F) {
	for _, s := range []string{"a", "r.example:1/a/b:c@" + someDigest, "[::1]:5000/app:1", "a/../b", "Localhost/x", ":@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q: %+v becomes %+v, %v", s, ref, again, err)
		}
		if ParseRegistry(ref.Registry) != nil || ParseRepository(ref.Repository) != nil || checkReference(ref.TagOrDigest()) != nil {
			t.Errorf("%q: parts of %+v are not valid", s, ref)
		}
		u := New(Options{}).Repository(ref.Name, ModePull).host.base("https")
		if strings.ContainsAny(u.Host, "/?#@ ") {
			t.Errorf("%q: requests go to %q", s, u.Host)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	for _, s := range []string{`Bearer realm="https://x/t",service=y,scope="a b"`, `Basic realm="\"`, `a b c=d, e f="`, `=,=`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenges(http.Header{"Www-Authenticate": {s}}) {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("%q: scheme %q", s, c.scheme)
			}
			for k := range c.params {
				if k != strings.ToLower(k) {
					t.Errorf("%q: parameter %q", s, k)
				}
			}
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-1/2", "bytes 5-9/*", "bytes */10", "bytes 9-5/10", "bytes -1-2/3", "bytes 0-9223372036854775807/9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, total, ok := parseContentRange(s)
		if ok && (start < 0 || total < -1 || total >= 0 && start >= total) {
			t.Errorf("%q: got %d of %d", s, start, total)
		}
	})
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"/up?x=1", "https://cdn.example/u", "//other.example/u", "http://registry.example/u", "..", "file:///etc/passwd", "https://127.0.0.1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from := &http.Request{URL: mustURL(t, "https://registry.example/v2/app/blobs/uploads/")}
		u, err := (&upload{}).location(&http.Response{Request: from, Header: http.Header{"Location": {s}}})
		if err != nil {
			if s != "" && len(s) > 20 && strings.Contains(err.Error(), s) && strings.ContainsAny(s, "?@") {
				t.Errorf("%q is in %v", s, err)
			}
			return
		}
		if u.Scheme != "https" || u.Host == "" || u.User != nil || isForbiddenTarget(u.Host) {
			t.Errorf("%q leads to %s", s, u)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(OCIManifest, testManifest)
	f.Add("application/json; charset=x", []byte(`{"schemaVersion":2,"mediaType":"`+OCIIndex+`","manifests":[]}`))
	f.Add("", []byte(`{"a":[{"a":1,"A":2}],"layers":[],"Layers":{}}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		kind, err := manifestType(contentType, body)
		if err == nil && !isManifestType(kind) {
			t.Errorf("%q, %q: got %q", contentType, body, kind)
		}
	})
}

func FuzzDockerConfig(f *testing.F) {
	f.Add([]byte(`{"auths":{"r.example":{"auth":"YTpi"},"https://r.example/v1/":{}},"credsStore":"x"}`))
	f.Add([]byte(`{"auths":{"":{"auth":"YTpi"},"/":{"username":"a"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := parseDockerConfig(data, false)
		if err != nil {
			return
		}
		name := Name{"r.example", "team/app"}
		first, _ := config.find(t.Context(), noHelpers, name)
		second, _ := config.find(t.Context(), noHelpers, name)
		if first != second {
			t.Errorf("%q: got %v and %v", data, first, second)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "-1", "Fri, 02 Jan 2026 03:04:15 GMT", "1e9", "99999999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := retryAfter(s, now)
		if ok != at.After(now) || at.After(now.AddDate(1, 0, 1)) {
			t.Errorf("%q: got %v, %v", s, at, ok)
		}
	})
}

func FuzzQuota(f *testing.F) {
	f.Add("100;w=21600", "0;w=21600")
	f.Add("10, 10;w=1;burst=5", "0")
	f.Add("1;w=99999999999999999999", "-1")
	f.Fuzz(func(t *testing.T, limit, remaining string) {
		q := quotaOf(http.Header{"Ratelimit-Limit": {limit}, "Ratelimit-Remaining": {remaining}})
		if known := q != (quota{}); known != (q.in > 0) || q.requests < 0 || q.in > maxQuota*time.Second || known != (q.String() != "") {
			t.Errorf("%q, %q: got %v", limit, remaining, q)
		}
	})
}

func FuzzErrorDocument(f *testing.F) {
	f.Add([]byte(`{"errors":[{"code":"A","message":"b\n"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, text := parseErrors(body)
		if len(text) > 2000 || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("%q: got %q", body, text)
		}
	})
}
