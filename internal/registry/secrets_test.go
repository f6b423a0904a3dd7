package registry

import (
	"bytes"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestCanary lets servers echo every secret that they were sent, in every
// place that reaches a message or the log.
func TestCanary(t *testing.T) {
	canaries := []string{canaryPassword, strings.TrimPrefix(basicHeader, "Basic "), canaryToken, "canary-signature", "canary-state", "canary-user"}
	echo := `{"errors":[{"code":"DENIED","message":"not ` + strings.Join(canaries[:3], " ") + ` at https://canary-user:x@cdn.example/a?sig=canary-signature"}]}`
	bearer := `WWW-Authenticate: Bearer realm="http://HOST/token?canary-state"`
	token := step{want: "GET /token*", auth: basicHeader, status: 200, body: `{"token":"` + canaryToken + `"}`}
	ask := func(s step) []step {
		first := step{want: s.want, status: 401, answer: []string{bearer}}
		s.auth = "Bearer " + canaryToken
		return []step{first, token, s}
	}
	broken := step{want: getTag, status: 200, cut: true, answer: []string{"Content-Length: 9"}}
	cases := map[string]struct {
		steps []step
		do    func(*testing.T, *Repository) error
	}{
		"error document":     {ask(step{want: getTag, status: 403, body: echo}), pullTag},
		"redirect":           {ask(step{want: getTag, status: 307, answer: []string{"Location: ftp://canary-user:x@cdn.example/?canary-signature"}}), pullTag},
		"bad location":       {ask(step{want: postBlob, status: 202, answer: []string{"Location: http://HOST:x/%zz?canary-state"}}), pushBlobFrom("", Uploaded)},
		"foreign location":   {ask(step{want: postBlob, status: 202, answer: []string{"Location: ftp://HOST/?canary-state"}}), pushBlobFrom("", Uploaded)},
		"upload":             {append(ask(step{want: postBlob, status: 202, answer: []string{"Location: /up?canary-state"}}), step{want: "PUT /up?canary-state&*", auth: "Bearer " + canaryToken, status: 409, body: echo}, step{want: "DELETE /up?canary-state", auth: "Bearer " + canaryToken, status: 204}), pushBlobFrom("", Uploaded)},
		"broken":             {append(ask(broken), times(5, step{want: getTag, auth: "Bearer " + canaryToken, status: 200, cut: true, answer: broken.answer})...), pullTag},
		"token server":       {[]step{{want: getTag, status: 401, answer: []string{bearer}}, {want: token.want, auth: basicHeader, status: 400, body: strings.ReplaceAll(echo, canaryToken, "")}}, pullTag},
		"token server's own": {[]step{{want: getTag, status: 401, answer: []string{bearer}}, {want: token.want, auth: basicHeader, status: 200, body: `{"refresh_token":"` + canaryToken + `"}`}}, pullTag},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, tt.steps...)
			var log bytes.Buffer
			c, _, _ := testClient(t, accountEnv, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			err := tt.do(t, c.Repository(Name{s.host, "app"}, ModePush))
			if err == nil {
				t.Fatal("no error")
			}
			for _, canary := range canaries {
				if strings.Contains(diag.Line(err), canary) {
					t.Errorf("%q is in the error %s", canary, diag.Line(err))
				}
				if strings.Contains(log.String(), canary) {
					t.Errorf("%q is in the log %s", canary, log.String())
				}
			}
		})
	}
}

func TestRedact(t *testing.T) {
	var s secrets
	s.add("hunter22", "abc")
	for in, want := range map[string]string{
		"the password hunter22 is wrong":                   "the password *** is wrong",
		"abc is too short to be looked for":                "abc is too short to be looked for",
		`Get "https://u:p@h.example:1/a/b?sig=1": EOF`:     `Get "https://h.example:1/a/b": EOF`,
		"invalid proxy address http://u:p@proxy.example:1": "invalid proxy address http://proxy.example:1",
		"see https://h.example/":                           "see https://h.example/",
	} {
		if got := s.redact(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestCleanErrorKeepsTheChain(t *testing.T) {
	inner := errors.New("inner")
	u := mustURL(t, "https://u:p@h.example/a?sig=1")
	err := New(Options{}).cleanError("GET", u, &url.Error{Op: "Get", URL: u.String(), Err: inner})
	if want := "GET https://h.example/a: inner"; err.Error() != want || !errors.Is(err, inner) {
		t.Errorf("got %v, want %s", err, want)
	}
}
