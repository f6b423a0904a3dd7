package registry

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

const (
	canaryPassword = "canary-Passw0rd"
	canaryToken    = "canary-T0ken.abc"
)

var (
	accountEnv  = map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "ada", "DOTNET_CONTAINER_REGISTRY_PWORD": canaryPassword}
	basicHeader = "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:"+canaryPassword))
)

func TestAuthentication(t *testing.T) {
	bearer := `WWW-Authenticate: bearer Realm="http://HOST/token",SERVICE="the registry"`
	ask := step{want: getTag, status: 401, answer: []string{bearer}}
	good := step{want: getTag, auth: "Bearer one", status: 200, answer: []string{ociType}, body: string(testManifest)}
	tokenPath := "GET /token?scope=repository%3Aapp%3Apull&service=the+registry"
	userPath := "GET /token?account=ada&scope=repository%3Aapp%3Apull&service=the+registry"
	token := func(want, auth, body string) step {
		return step{want: want, auth: auth, status: 200, body: body}
	}
	with := func(s step, f func(*step)) step { f(&s); return s }
	challenge := func(s step, h string) step {
		return with(s, func(s *step) { s.answer = []string{"WWW-Authenticate: " + h} })
	}
	twice := func(t *testing.T, r *Repository) error {
		if err := pullTag(t, r); err != nil {
			return err
		}
		return pullTag(t, r)
	}
	runScripts(t, []scriptCase{
		{name: "anonymous token", steps: []step{ask, token(tokenPath, "", `{"token":"one"}`), good, good}, do: twice},
		{name: "access_token", steps: []step{ask, token(tokenPath, "", `{"access_token":"one"}`), good}, do: pullTag},
		{name: "token for a user", steps: []step{ask, token(userPath, basicHeader, `{"token":"one"}`), good}, do: pullTag, env: accountEnv, mode: ModePullFromOutput},
		{name: "variables of the destination are not for another base", steps: []step{ask, token(tokenPath, "", `{"token":"one"}`), good}, do: pullTag, env: accountEnv},
		{
			name: "expired in use, 401 without challenge", do: twice,
			steps: []step{
				ask, token(tokenPath, "", `{"token":"one"}`), good,
				with(good, func(s *step) { s.status, s.answer = 401, nil }),
				token(tokenPath, "", `{"token":"two"}`), with(good, func(s *step) { s.auth = "Bearer two" }),
			},
		},
		{
			name: "401 for ever", do: pullTag, want: diag.CredentialsUnavailable,
			steps: []step{
				ask, token(tokenPath, "", `{"token":"one"}`), with(ask, func(s *step) { s.auth = "Bearer one" }),
				token(tokenPath, "", `{"token":"two"}`), with(ask, func(s *step) { s.auth = "Bearer two" }),
			},
		},
		{name: "the same token again", steps: []step{ask, token(tokenPath, "", `{"token":"one"}`), with(ask, func(s *step) { s.auth = "Bearer one" }), token(tokenPath, "", `{"token":"one"}`)}, do: pullTag, want: diag.CredentialsUnavailable},
		{name: "no token", steps: []step{ask, token(tokenPath, "", `{"refresh_token":"canary-T0ken.abc"}`)}, do: pullTag, want: diag.TokenMissing},
		{name: "no JSON", steps: []step{ask, token(tokenPath, "", `canary-T0ken.abc`)}, do: pullTag, want: diag.TokenUnreadable},
		{name: "endless token", steps: []step{ask, token(tokenPath, "", `{"token":"`+strings.Repeat("a", maxTokenBody)+`"}`)}, do: pullTag, want: diag.TokenUnreadable},
		{name: "token server refuses a user", steps: []step{ask, with(token(userPath, basicHeader, ""), func(s *step) { s.status = 401 })}, do: pullTag, env: accountEnv, mode: ModePullFromOutput, want: diag.RepositoryForbidden},
		{name: "token server refuses anybody", steps: []step{ask, with(token(tokenPath, "", ""), func(s *step) { s.status = 403 })}, do: pullTag, want: diag.RepositoryForbidden},
		{name: "token server in trouble", steps: []step{ask, with(token(tokenPath, "", ""), func(s *step) { s.status = 503 }), token(tokenPath, "", `{"token":"one"}`), good}, do: pullTag},
		{
			name: "password by POST where GET is not known", do: pullTag, env: accountEnv, mode: ModePullFromOutput,
			steps: []step{
				ask, with(token(userPath, basicHeader, ""), func(s *step) { s.status = 405 }),
				{want: "POST /token", header: "Content-Type: application/x-www-form-urlencoded", status: 200, body: `{"access_token":"one"}`},
				good,
			},
		},
		{
			name: "identity token", do: pullTag, mode: ModePullFromOutput,
			env:   map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "<token>", "DOTNET_CONTAINER_REGISTRY_PWORD": canaryToken},
			steps: []step{ask, {want: "POST /token", status: 200, body: `{"access_token":"one"}`}, good},
		},
		{name: "token redirect to another host", steps: []step{ask, {want: tokenPath, status: 307, answer: []string{"Location: http://localhost:1/token"}}}, do: pullTag, want: diag.CredentialsUnavailable, says: "another host"},
		{name: "realm is no address", steps: []step{challenge(ask, `Bearer realm="/token"`)}, do: pullTag, want: diag.CredentialsUnavailable},
		{name: "realm of another protocol", steps: []step{challenge(ask, `Bearer realm="file:///token"`)}, do: pullTag, want: diag.CredentialsUnavailable},
		{name: "realm with a user", steps: []step{challenge(ask, `Bearer realm="http://a:b@HOST/token"`)}, do: pullTag, want: diag.CredentialsUnavailable},
		{
			name: "a registry's own scope", do: pullTag,
			steps: []step{challenge(ask, `Bearer realm="http://HOST/token",scope="aws repository:other:push"`), token("GET /token?scope=repository%3Aapp%3Apull&scope=aws", "", `{"token":"one"}`), good},
		},
		{name: "basic and bearer", steps: []step{challenge(ask, `Basic realm="x", Bearer realm="http://HOST/token",service="the registry"`), token(tokenPath, "", `{"token":"one"}`), good}, do: pullTag},
		{name: "basic", steps: []step{challenge(ask, `BASIC realm="x"`), with(good, func(s *step) { s.auth = basicHeader })}, do: pullTag, env: accountEnv, mode: ModePullFromOutput},
		{name: "basic without account", steps: []step{challenge(ask, `Basic realm="x"`)}, do: pullTag, want: diag.CredentialsUnavailable},
		{name: "negotiate", steps: []step{challenge(ask, `Negotiate`)}, do: pullTag, want: diag.CredentialsUnavailable},
	})
}

// TestExpiredTokenIsRenewedBefore asks for a new token when the old one is
// about to end, not when the registry refuses it.
func TestExpiredTokenIsRenewedBefore(t *testing.T) {
	good := step{want: getTag, auth: "Bearer one", status: 200, answer: []string{ociType}, body: string(testManifest)}
	two := good
	two.auth = "Bearer two"
	s := newScript(
		t,
		step{want: getTag, status: 401, answer: []string{`WWW-Authenticate: Bearer realm="http://HOST/token"`}},
		step{want: "GET /token*", status: 200, body: `{"token":"one","expires_in":300}`}, good, good,
		step{want: "GET /token*", status: 200, body: `{"token":"two","expires_in":300}`}, two,
	)
	c, _, p := testClient(t, nil, Options{})
	r := c.Repository(Name{s.host, "app"}, ModePull)
	for _, wait := range []time.Duration{0, 239 * time.Second, 2 * time.Second} {
		p.advance(wait)
		if err := pullTag(t, r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCredentialsStayHome follows redirects and a Location to another host.
func TestCredentialsStayHome(t *testing.T) {
	store := newScript(
		t,
		step{want: "GET /store?X-Amz-Signature=canary", status: 200, body: string(testBlob)},
		step{want: "PUT /up?" + uploadDigest, status: 201, answer: []string{digestHeader(testBlob)}},
	)
	other := strings.Replace(store.srv.URL, "127.0.0.1", "localhost", 1)
	s := newScript(
		t,
		step{want: "GET " + blobPath, status: 401, answer: []string{`WWW-Authenticate: Basic realm="x"`, "Set-Cookie: a=b"}},
		step{want: "GET " + blobPath, auth: basicHeader, status: 307, answer: []string{"Location: " + other + "/store?X-Amz-Signature=canary"}},
		step{want: postBlob, auth: basicHeader, status: 202, answer: []string{"Location: " + other + "/up"}},
	)
	c, _, _ := testClient(t, accountEnv, Options{})
	r := c.Repository(Name{s.host, "app"}, ModePush)
	if err := pullBlob(t, r); err != nil {
		t.Error(err)
	}
	if err := pushBlobFrom("", Uploaded)(t, r); err != nil {
		t.Error(err)
	}
}

// TestChallengeOfAnotherHost does not give the account to a host that the
// registry redirects to.
func TestChallengeOfAnotherHost(t *testing.T) {
	store := newScript(t, step{want: "GET /store", status: 401, answer: []string{`WWW-Authenticate: Basic realm="give"`}})
	s := newScript(t, step{want: "GET " + blobPath, status: 307, answer: []string{"Location: " + strings.Replace(store.srv.URL, "127.0.0.1", "localhost", 1) + "/store"}})
	c, _, _ := testClient(t, accountEnv, Options{})
	if err := pullBlob(t, c.Repository(Name{s.host, "app"}, ModePush)); err == nil {
		t.Error("got the blob")
	}
}

func TestCheckHop(t *testing.T) {
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"https://registry.example", "https://cdn.example/x?sig=1", true},
		{"https://registry.example", "http://cdn.example/x", false},
		{"https://registry.example", "https://127.0.0.1/x", false},
		{"https://registry.example", "https://localhost:80/x", false},
		{"https://registry.example", "https://a.localhost/x", false},
		{"https://registry.example", "https://169.254.169.254/latest", false},
		{"https://registry.example", "https://[::ffff:169.254.169.254]/latest", false},
		{"https://registry.example", "https://[fe80::1]/x", false},
		{"https://registry.example", "https://0.0.0.0/x", false},
		{"https://registry.example", "https://10.0.0.1/x", true},
		{"http://localhost:5000", "http://127.0.0.1:5001/x", true},
		{"http://localhost:5000", "gopher://x/", false},
		{"http://localhost:5000", "http://u:p@localhost:5000/x", false},
	}
	for _, tt := range tests {
		if err := checkHop(mustURL(t, tt.from), mustURL(t, tt.to)); (err == nil) != tt.ok {
			t.Errorf("%s to %s: got %v", tt.from, tt.to, err)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	tests := []struct {
		header string
		want   []challenge
	}{
		{`Basic realm="a \"b\", c"`, []challenge{{"basic", map[string]string{"realm": `a "b", c`}}}},
		{`BEARER realm="https://x/t",Service=reg , scope="a b"`, []challenge{{"bearer", map[string]string{"realm": "https://x/t", "service": "reg", "scope": "a b"}}}},
		{`Bearer realm=https://x/t,service=y`, []challenge{{"bearer", map[string]string{"realm": "https://x/t", "service": "y"}}}},
		{`Negotiate, Basic realm="x",charset="UTF-8"`, []challenge{{"negotiate", map[string]string{}}, {"basic", map[string]string{"realm": "x", "charset": "UTF-8"}}}},
		{`Bearer realm="never ends`, []challenge{{"bearer", map[string]string{}}}},
		{``, nil},
		{`,,,`, nil},
		{`=x`, nil},
	}
	for _, tt := range tests {
		got := parseChallenges(http.Header{"Www-Authenticate": {tt.header}})
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.header, got, tt.want)
		}
	}
}

func TestTokenLife(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, tt := range []struct{ life, good time.Duration }{{60 * time.Second, 30 * time.Second}, {6 * time.Second, 3 * time.Second}, {time.Hour, 59 * time.Minute}} {
		k := token{asked: start, life: tt.life}
		if !k.good(start.Add(tt.good-1)) || k.good(start.Add(tt.good)) {
			t.Errorf("a token of %s is not used for %s", tt.life, tt.good)
		}
	}
}

func TestTokenCovers(t *testing.T) {
	k := token{scopes: []string{"repository:a:pull,push", "repository:b:pull"}}
	for want, scopes := range map[string][]string{
		"true":  {"repository:a:pull", "repository:b:pull"},
		"false": {"repository:b:pull,push"},
		"false ": {
			"repository:c:pull",
		},
	} {
		if got := fmt.Sprint(k.covers(scopes)); got != strings.TrimSpace(want) {
			t.Errorf("%v: got %s", scopes, got)
		}
	}
}
