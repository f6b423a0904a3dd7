package registry

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

var (
	testBlob     = []byte("0123456789abcdefghij")
	testManifest = imageOf([]byte("{}"), testBlob)
	blobPath     = "/v2/app/blobs/" + string(blobOf(testBlob, "").Digest)
	uploadDigest = "digest=" + url.QueryEscape(string(blobOf(testBlob, "").Digest))
	ociType      = "Content-Type: " + OCIManifest
)

const (
	getTag   = "GET /v2/app/manifests/1"
	putTag   = "PUT /v2/app/manifests/1"
	headTag  = "HEAD /v2/app/manifests/1"
	postBlob = "POST /v2/app/blobs/uploads/"
)

// The calls that scripts are for.
func pullTag(t *testing.T, r *Repository) error {
	m, err := r.Manifest(t.Context(), "1")
	if err == nil && string(m.Body) != string(testManifest) {
		t.Errorf("got %s", m.Body)
	}
	return err
}

func pullBlob(t *testing.T, r *Repository) error {
	b, err := readBlob(t, r, testBlob)
	if err == nil && string(b) != string(testBlob) {
		t.Errorf("got %s", b)
	}
	return err
}

func pushTag(t *testing.T, r *Repository) error {
	return r.PushManifest(t.Context(), "1", OCIManifest, testManifest)
}

func pushBlobFrom(from string, want Outcome) func(*testing.T, *Repository) error {
	return func(t *testing.T, r *Repository) error {
		o, err := r.PushBlob(t.Context(), blobOf(testBlob, from), nil)
		if err == nil && o != want {
			t.Errorf("got %s, want %s", o, want)
		}
		return err
	}
}

type scriptCase struct {
	name  string
	steps []step
	do    func(*testing.T, *Repository) error
	want  diag.Code // empty: success
	slept []time.Duration
	env   map[string]string
	mode  Mode
	says  string // part of the error
}

func runScripts(t *testing.T, cases []scriptCase) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, tt.steps...)
			c, _, p := testClient(t, tt.env, Options{})
			if slices.ContainsFunc(tt.steps, func(s step) bool { return s.hang }) {
				c.stall = 300 * time.Millisecond
			}
			err := tt.do(t, c.Repository(Name{s.host, "app"}, tt.mode))
			switch {
			case tt.want != "":
				wantCode(t, err, tt.want)
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%q does not say %q", err, tt.says)
				}
			case err != nil:
				t.Fatal(err)
			}
			if tt.slept != nil && fmt.Sprint(p.slept) != fmt.Sprint(tt.slept) {
				t.Errorf("slept %v, want %v", p.slept, tt.slept)
			}
		})
	}
}

func TestManifestAnswers(t *testing.T) {
	good := step{want: getTag, status: 200, answer: []string{ociType, digestHeader(testManifest)}, body: string(testManifest)}
	with := func(body string, headers ...string) step {
		return step{want: getTag, status: 200, answer: headers, body: body}
	}
	runScripts(t, []scriptCase{
		{name: "good", steps: []step{good}, do: pullTag},
		{name: "no digest header", steps: []step{with(good.body, ociType)}, do: pullTag},
		{name: "parameters and case", steps: []step{with(good.body, "Content-Type: Application/vnd.OCI.image.manifest.v1+json; charset=utf-8")}, do: pullTag},
		{name: "vague type", steps: []step{with(good.body, "Content-Type: application/json")}, do: pullTag},
		{name: "wrong digest twice", steps: times(2, with(good.body, ociType, digestHeader(testBlob))), do: pullTag, want: diag.DigestMismatch},
		{name: "wrong digest once", steps: []step{with(good.body, ociType, digestHeader(testBlob)), good}, do: pullTag},
		{name: "upper-case digest", steps: times(2, with(good.body, ociType, "Docker-Content-Digest: sha256:ABC")), do: pullTag, want: diag.DigestMismatch},
		{name: "captive portal", steps: []step{with("<html>log in</html>", "Content-Type: text/html; charset=utf-8")}, do: pullTag, want: diag.ManifestPullFailed, says: "web page"},
		{name: "type differs", steps: []step{with(good.body, "Content-Type: "+DockerManifest)}, do: pullTag, want: diag.UnknownManifest},
		{name: "schema 1", steps: []step{with(`{"schemaVersion":1}`, "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws")}, do: pullTag, want: diag.UnknownManifest},
		{name: "image and index", steps: []step{with(strings.Replace(good.body, `"layers"`, `"manifests":[],"layers"`, 1), ociType)}, do: pullTag, want: diag.UnknownManifest, says: "both"},
		{name: "key twice", steps: []step{with(strings.Replace(good.body, `"layers"`, `"Config":{},"layers"`, 1), ociType)}, do: pullTag, want: diag.UnknownManifest, says: "twice"},
		{name: "trailing data", steps: []step{with(good.body+"{}", ociType)}, do: pullTag, want: diag.UnknownManifest},
		{name: "too large", steps: []step{with(strings.Repeat(" ", maxManifest+1), ociType)}, do: pullTag, want: diag.ManifestPullFailed, says: "4194305 bytes"},
		{name: "far too large", steps: []step{with(strings.Repeat(" ", maxManifestRead+100), ociType)}, do: pullTag, want: diag.ManifestPullFailed, says: "more than"},
		{name: "cut, then good", steps: []step{{want: getTag, status: 200, body: "{", cut: true, answer: []string{"Content-Length: 100"}}, good}, do: pullTag},
		{name: "404", steps: []step{{want: getTag, status: 404}}, do: pullTag, want: diag.RepositoryNotFound},
		{name: "403", steps: []step{{want: getTag, status: 403}}, do: pullTag, want: diag.RepositoryForbidden},
		{name: "418", steps: []step{{want: getTag, status: 418}}, do: pullTag, want: diag.ManifestPullFailed},
		{name: "401 without challenge", steps: []step{{want: getTag, status: 401}}, do: pullTag, want: diag.CredentialsUnavailable},
		{name: "head lacks digest", steps: []step{{want: headTag, status: 200, answer: []string{ociType}}, good}, do: func(t *testing.T, r *Repository) error {
			d, err := r.HeadManifest(t.Context(), "1")
			if err == nil && d.Digest != blobOf(testManifest, "").Digest {
				t.Errorf("got %+v", d)
			}
			return err
		}},
		{name: "head not known", steps: []step{{want: headTag, status: 405}, good}, do: func(t *testing.T, r *Repository) error {
			_, err := r.HeadManifest(t.Context(), "1")
			return err
		}},
	})
}

func TestRetries(t *testing.T) {
	good := step{want: getTag, status: 200, answer: []string{ociType}, body: string(testManifest)}
	fail := func(status int, h ...string) step { return step{want: getTag, status: status, answer: h} }
	ms := func(n ...int) (out []time.Duration) {
		for _, d := range n {
			out = append(out, time.Duration(d)*time.Millisecond)
		}
		return out
	}
	runScripts(t, []scriptCase{
		{name: "pauses double", steps: join([]step{fail(500), fail(502), fail(503), fail(504), fail(522)}, []step{good}), do: pullTag, slept: ms(125, 250, 500, 1000, 2000)},
		{name: "too many", steps: times(6, fail(503)), do: pullTag, want: diag.ManifestPullFailed},
		{name: "seconds", steps: []step{fail(429, "Retry-After: 8"), good}, do: pullTag, slept: []time.Duration{8031250 * time.Microsecond}},
		{name: "date", steps: []step{fail(429, "Retry-After: Fri, 02 Jan 2026 03:04:15 GMT"), good}, do: pullTag, slept: []time.Duration{10031250 * time.Microsecond}},
		{name: "zero", steps: []step{fail(429, "Retry-After: 0"), good}, do: pullTag, slept: ms(125)},
		{name: "negative", steps: []step{fail(503, "Retry-After: -5"), good}, do: pullTag, slept: ms(125)},
		{name: "garbage", steps: []step{fail(503, "Retry-After: soon"), good}, do: pullTag, slept: ms(125)},
		{name: "a day", steps: []step{fail(429, "Retry-After: 86400")}, do: pullTag, want: diag.ManifestPullFailed, slept: ms(), says: "retry after 2026-01-03T03:04:05Z"},
		{name: "broken connections", steps: join(times(2, step{want: getTag, cut: true}), []step{good}), do: pullTag},
		{name: "always broken", steps: times(6, step{want: getTag, cut: true}), do: pullTag, want: diag.TooManyRetries},
		{name: "stands still", steps: []step{{want: getTag, hang: true}, good}, do: pullTag},
		{name: "not for 400", steps: []step{{want: getTag, status: 400, answer: []string{"Docker-Distribution-Api-Version: registry/2.0"}, body: `{"errors":[{"code":"NAME_INVALID","message":"no\nway"}]}`}}, do: pullTag, want: diag.ManifestPullFailed, says: "NAME_INVALID: no way"},
	})
}

func TestDownloads(t *testing.T) {
	get := "GET " + blobPath
	whole := step{want: get, status: 200, body: string(testBlob)}
	cut := step{want: get, status: 200, answer: []string{"Content-Length: 20"}, body: string(testBlob[:8]), cut: true}
	part := step{want: get, header: "Range: bytes=8-", status: 206, answer: []string{"Content-Range: bytes 8-19/20"}, body: string(testBlob[8:])}
	with := func(s step, f func(*step)) step { f(&s); return s }
	runScripts(t, []scriptCase{
		{name: "whole", steps: []step{whole}, do: pullBlob},
		{name: "resumed", steps: []step{cut, part}, do: pullBlob},
		{name: "resumed without ranges", steps: []step{cut, whole}, do: pullBlob},
		{name: "resumed at the wrong place", steps: []step{cut, with(part, func(s *step) { s.answer = []string{"Content-Range: bytes 7-19/20"} })}, do: pullBlob, want: diag.LayerNotDownloadable},
		{name: "resumed with something else", steps: []step{cut, with(part, func(s *step) { s.body = "xxxxxxxxxxxx" })}, do: pullBlob, want: diag.DigestMismatch},
		{name: "never more", steps: join([]step{cut}, times(6, with(part, func(s *step) { s.body, s.cut, s.answer = "", true, append(s.answer, "Content-Length: 12") }))), do: pullBlob, want: diag.TooManyRetries},
		{name: "short", steps: []step{with(whole, func(s *step) { s.body = "0123" })}, do: pullBlob, want: diag.DigestMismatch},
		{name: "long", steps: []step{with(whole, func(s *step) { s.body += "!" })}, do: pullBlob, want: diag.DigestMismatch},
		{name: "wrong", steps: []step{with(whole, func(s *step) { s.body = strings.ToUpper(s.body) })}, do: pullBlob, want: diag.DigestMismatch},
		{name: "captive portal", steps: []step{with(whole, func(s *step) { s.body, s.answer = "<html>", []string{"Content-Type: text/html"} })}, do: pullBlob, want: diag.LayerNotDownloadable, says: "web page"},
		{name: "stands still", steps: []step{{want: get, hang: true}, whole}, do: pullBlob},
		{name: "404", steps: []step{{want: get, status: 404}}, do: pullBlob, want: diag.LayerNotDownloadable},
		{name: "redirect loop", steps: times(11, step{want: get, status: 307, answer: []string{"Location: http://HOST" + blobPath}}), do: pullBlob, want: diag.LayerNotDownloadable, says: "more than 10 redirects"},
		{name: "redirect to a file", steps: []step{{want: get, status: 307, answer: []string{"Location: file:///etc/passwd"}}}, do: pullBlob, want: diag.LayerNotDownloadable},
	})
}

func TestUploads(t *testing.T) {
	open := step{want: postBlob, status: 202, answer: []string{"Location: /up/1?_state=a%2Fb"}}
	put := step{want: "PUT /up/1?_state=a%2Fb&" + uploadDigest, status: 201, answer: []string{digestHeader(testBlob)}}
	cancel := step{want: "DELETE /up/1?_state=a%2Fb", status: 204}
	mount := step{want: postBlob + "?mount=*", status: 202, answer: open.answer}
	absent, there := step{want: "HEAD " + blobPath, status: 404}, step{want: "HEAD " + blobPath, status: 200}
	with := func(s step, f func(*step)) step { f(&s); return s }
	status := func(s step, n int) step { return with(s, func(s *step) { s.status, s.answer = n, nil }) }
	plain := pushBlobFrom("", Uploaded)
	runScripts(t, []scriptCase{
		{name: "whole", steps: []step{open, put}, do: plain},
		{name: "absolute location", steps: []step{with(open, func(s *step) { s.answer = []string{"Location: http://HOST/up/1?_state=a%2Fb"} }), put}, do: plain},
		{name: "no location", steps: []step{status(open, 202)}, do: plain, want: diag.BlobUploadFailed, says: "Location"},
		{name: "mounted", steps: []step{status(mount, 201)}, do: pushBlobFrom("base", Mounted)},
		{name: "mount refused with an upload", steps: []step{mount, put}, do: pushBlobFrom("base", Uploaded)},
		{name: "mount refused with 404", steps: []step{status(mount, 404), open, put}, do: pushBlobFrom("base", Uploaded)},
		{name: "mount refused with 401", steps: []step{status(mount, 401), open, put}, do: pushBlobFrom("base", Uploaded)},
		{name: "mount and outage", steps: times(6, status(mount, 503)), do: pushBlobFrom("base", Uploaded), want: diag.BlobUploadFailed},
		{name: "no digest header", steps: []step{open, status(put, 201), there}, do: plain},
		{name: "no digest header and no blob", steps: []step{open, status(put, 201), absent, cancel}, do: plain, want: diag.BlobUploadFailed},
		{name: "other digest", steps: []step{open, with(put, func(s *step) { s.answer = []string{digestHeader(testManifest)} }), cancel}, do: plain, want: diag.DestinationDigest},
		{name: "lost answer, blob there", steps: []step{open, {want: put.want, cut: true}, there}, do: plain},
		{name: "lost answer, blob not there", steps: []step{open, {want: put.want, cut: true}, absent, cancel, open, put}, do: plain},
		{name: "500, blob there", steps: []step{open, status(put, 500), there}, do: plain},
		{name: "upload forgotten", steps: []step{open, status(put, 404), cancel, open, put}, do: plain},
		{name: "digest invalid once", steps: []step{open, with(status(put, 400), func(s *step) { s.body = `{"errors":[{"code":"DIGEST_INVALID"}]}` }), cancel, open, put}, do: plain},
		{name: "forbidden", steps: []step{open, status(put, 403), cancel}, do: plain, want: diag.RepositoryForbidden},
		{name: "409", steps: []step{open, status(put, 409), cancel}, do: plain, want: diag.BlobUploadFailed},
		{
			name: "too large for one request", do: plain, env: map[string]string{"DOTNET_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES": "12"},
			steps: []step{
				open, status(put, 413), cancel, open,
				{want: "PATCH /up/1?_state=a%2Fb", header: "Content-Range: 0-11", status: 202, answer: []string{"Location: /up/2", "Range: 0-11"}},
				{want: "PATCH /up/2", header: "Content-Range: 12-19", status: 202, answer: []string{"Location: /up/3?x", "Range: 0-19"}},
				{want: "PUT /up/3?x&" + uploadDigest, status: 201, answer: put.answer},
			},
		},
		{
			name: "smallest chunk of the registry", do: plain,
			env: map[string]string{"DOTNET_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES": "2", "DOTNET_CONTAINER_DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD": "true"},
			steps: []step{
				with(open, func(s *step) { s.answer = append(s.answer, "OCI-Chunk-Min-Length: 16") }),
				{want: "PATCH /up/1?_state=a%2Fb", header: "Content-Range: 0-15", status: 202, answer: []string{"Location: /up/2"}},
				{want: "PATCH /up/2", header: "Content-Range: 16-19", status: 202, answer: []string{"Location: /up/3"}},
				{want: "PUT /up/3?" + uploadDigest, status: 201, answer: put.answer},
			},
		},
	})
}

func TestManifestPushes(t *testing.T) {
	put := step{want: putTag, header: ociType, status: 201, answer: []string{digestHeader(testManifest)}}
	head := func(content []byte) step {
		return step{want: headTag, status: 200, answer: []string{ociType, digestHeader(content), "Content-Length: 10"}}
	}
	status := func(n int, code string) step {
		return step{want: putTag, status: n, body: fmt.Sprintf(`{"errors":[{"code":%q}]}`, code)}
	}
	runScripts(t, []scriptCase{
		{name: "proved", steps: []step{put}, do: pushTag},
		{name: "not proved", steps: []step{{want: putTag, status: 201}, head(testManifest)}, do: pushTag},
		{name: "200", steps: []step{{want: putTag, status: 200}, head(testManifest)}, do: pushTag},
		{name: "other content", steps: []step{{want: putTag, status: 201, answer: []string{digestHeader(testBlob)}}}, do: pushTag, want: diag.DestinationDigest},
		{name: "other content found", steps: []step{{want: putTag, status: 201}, head(testBlob)}, do: pushTag, want: diag.DestinationDigest},
		{name: "immutable, same", steps: []step{status(400, "TAG_INVALID"), head(testManifest)}, do: pushTag},
		{name: "immutable, other", steps: []step{status(400, "TAG_INVALID"), head(testBlob)}, do: pushTag, want: diag.TagRefused},
		{name: "precondition", steps: []step{status(412, "PRECONDITION"), head(testBlob)}, do: pushTag, want: diag.TagRefused},
		{name: "blob unknown", steps: []step{status(400, "MANIFEST_BLOB_UNKNOWN")}, do: pushTag, want: diag.RegistryPushFailed},
		{name: "forbidden", steps: []step{status(403, "DENIED"), {want: headTag, status: 403}}, do: pushTag, want: diag.RepositoryForbidden},
		{name: "lost answer", steps: []step{{want: putTag, cut: true}, put}, do: pushTag},
		{name: "always 500", steps: times(6, status(500, "UNKNOWN")), do: pushTag, want: diag.RegistryPushFailed},
	})
}
