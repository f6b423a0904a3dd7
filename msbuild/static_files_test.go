package msbuild

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestStaticFile_changesItsETag changes a static file of an ASP.NET app to other bytes of the same length, which changes neither its
// size nor, in the image, its time: a browser that has the old file must still get the new one.
func TestStaticFile_changesItsETag(t *testing.T) {
	t.Parallel()
	s := newSite(t, "web")
	s.base = testenv.PushRuntimeBase(t, s.registry, "base/aspnet", "10.0").Reference
	file := filepath.Join(s.dir, "wwwroot", "css", "site.css")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	now := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return 'a' + (r-'a'+1)%26
		}
		return r
	}, string(old))
	if now == string(old) || len(now) != len(old) {
		t.Fatalf("the file is no use for this test: %q", old)
	}
	s.push("-p:ContainerImageTag=old")
	if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must(append([]string{"publish", "--no-restore"}, s.container("-p:ContainerImageTag=new")...)...)

	before, after := s.serve("old"), s.serve("new")
	// as it is, and as the publish compressed it
	for _, encoding := range []string{"identity", "gzip", "br"} {
		a, b := get(t, before, encoding, ""), get(t, after, encoding, "")
		if a.status != http.StatusOK || b.status != http.StatusOK || a.encoding != b.encoding {
			t.Fatalf("%s: got %d %q and %d %q", encoding, a.status, a.encoding, b.status, b.encoding)
		}
		if encoding == "identity" && (a.body != string(old) || b.body != now) {
			t.Errorf("%s: got %q and %q", encoding, a.body, b.body)
		}
		if a.body == b.body || a.etag == b.etag || a.etag == "" || b.etag == "" {
			t.Errorf("%s: the same body %t, ETag %q and %q", encoding, a.body == b.body, a.etag, b.etag)
		}
		if got := get(t, after, encoding, a.etag); got.status != http.StatusOK || got.body != b.body {
			t.Errorf("%s, If-None-Match with the old ETag: got %d", encoding, got.status)
		}
		if got := get(t, after, encoding, b.etag); got.status != http.StatusNotModified || got.body != "" {
			t.Errorf("%s, If-None-Match with the new ETag: got %d", encoding, got.status)
		}
	}
}

// serve runs an image of the app and returns the URL of its style sheet.
func (s *site) serve(tag string) string {
	s.t.Helper()
	podman := testenv.NewPodman(s.t)
	return podman.Serve(s.registry.Reference("app", tag), []string{"--read-only", "--user", "1654"}) + "/css/site.css"
}

type answer struct {
	status               int
	etag, encoding, body string
}

func get(t *testing.T, url, encoding, ifNoneMatch string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	// set, so that the client does not unpack the answer
	req.Header.Set("Accept-Encoding", encoding)
	if ifNoneMatch != "" {
		req.Header.Set("If-None-Match", ifNoneMatch)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("ETag"), res.Header.Get("Content-Encoding"), string(body)}
}
