package registry

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

const (
	// maxTokenBody is the largest answer of a token server, in bytes.
	maxTokenBody = 64 << 10
	// defaultLifetime is that of a token that does not say (distribution,
	// spec/auth/token.md).
	defaultLifetime = 60 * time.Second
	// maxSkew is how long before its end a token is no longer used.
	maxSkew = 60 * time.Second
	// clientID is what token servers log.
	clientID = "gantry"
)

// token allows scopes for a time. The time counts from when it was asked for
// by our own clock: the server's clock is not needed.
type token struct {
	value  string
	scopes []string
	asked  time.Time
	life   time.Duration
}

// left is how long the token may still be used, with a reserve for slow
// requests: half of a short life, a minute of a long one.
func (t token) left(now time.Time) time.Duration {
	return t.life - min(maxSkew, t.life/2) - now.Sub(t.asked)
}

func (t token) good(now time.Time) bool { return t.left(now) > 0 }

func (t token) outlives(now time.Time, d time.Duration) bool { return t.left(now) > d }

// fresh says that another token would hardly last longer.
func (t token) fresh(now time.Time) bool { return now.Sub(t.asked) < t.life/4 }

func (t token) covers(scopes []string) bool {
	for _, s := range scopes {
		if !slices.Contains(t.scopes, s) && !(strings.HasSuffix(s, ":pull") && slices.Contains(t.scopes, s+",push")) {
			return false
		}
	}
	return true
}

// fetchToken asks the realm of a challenge for a token: with the account when
// there is one, else as anybody, which is enough for public images.
func (s *session) fetchToken(ctx context.Context, c *challenge, scopes []string) (token, error) {
	realm, err := s.checkRealm(c.params["realm"])
	if err != nil {
		return token{}, s.tokenFailure(ctx, err)
	}
	// Some registries have a scope of their own that is no repository's.
	ask := slices.Clone(scopes)
	for _, extra := range strings.Fields(c.params["scope"]) {
		if !strings.HasPrefix(extra, "repository:") && !slices.Contains(ask, extra) {
			ask = append(ask, extra)
		}
	}
	asked := s.client.policy.now()
	res, err := s.askRealm(ctx, realm, c.params["service"], ask)
	if err != nil {
		return token{}, s.tokenFailure(ctx, err)
	}
	if res.StatusCode != http.StatusOK {
		return token{}, s.tokenFailure(ctx, s.client.statusError(res))
	}
	t, err := readToken(res)
	if err != nil {
		return token{}, err
	}
	s.client.secrets.add(t.value)
	t.scopes, t.asked = ask, asked
	return t, nil
}

// checkRealm refuses an address that must not get an account: a token server
// is https, or http when the registry itself is allowed to be.
func (s *session) checkRealm(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.Host == "" {
		return nil, refuse("the registry names a token server that is not an absolute address")
	}
	from := s.host.base(s.host.settled())
	if s.host.insecure {
		from.Scheme = u.Scheme
	}
	if err := checkHop(from, u); err != nil {
		return nil, err
	}
	if u.Scheme != "https" && !s.host.insecure {
		return nil, refuse("the registry names a token server without https (%s)", redactURL(u))
	}
	u.Fragment = ""
	return u, nil
}

// askRealm asks in the way that fits the account: POST for an identity
// token (OAuth 2), else GET. A server that knows only OAuth 2 answers GET with
// 404 or 405 and gets the password by POST.
func (s *session) askRealm(ctx context.Context, realm *url.URL, service string, scopes []string) (*http.Response, error) {
	account, _ := s.login()
	if account.identity != "" {
		return s.postRealm(ctx, realm, service, scopes, url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {account.identity},
		})
	}
	u := *realm
	query := u.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, scope := range scopes {
		query.Add("scope", scope)
	}
	authorization := ""
	if account.username != "" {
		query.Set("account", account.username)
		authorization = "Basic " + account.basic()
	}
	u.RawQuery = query.Encode()
	res, err := s.sendRealm(ctx, &request{method: http.MethodGet, url: &u}, authorization)
	if err != nil || account.username == "" || res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
		return res, err
	}
	res.Body.Close()
	return s.postRealm(ctx, realm, service, scopes, url.Values{
		"grant_type": {"password"}, "username": {account.username}, "password": {account.password},
	})
}

func (s *session) postRealm(ctx context.Context, realm *url.URL, service string, scopes []string, form url.Values) (*http.Response, error) {
	form.Set("client_id", clientID)
	form.Set("scope", strings.Join(scopes, " "))
	if service != "" {
		form.Set("service", service)
	}
	text := form.Encode()
	return s.sendRealm(ctx, &request{
		method: http.MethodPost, url: realm, size: int64(len(text)),
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		body: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		},
	}, "")
}

// sendRealm sends a request with an account in it. It follows no redirect to
// another host: a form's body would go along.
func (s *session) sendRealm(ctx context.Context, q *request, authorization string) (*http.Response, error) {
	client := *s.host.elsewhere(q.url.Host)
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if !sameOrigin(req.URL, via[0].URL) {
			return refuse("the token server %s redirects to another host", redactURL(via[0].URL))
		}
		return checkRedirect(req, via)
	}
	return s.client.repeat(ctx, func(ctx context.Context) (*http.Response, error) {
		p := s.client.paceOf(q.url.Host)
		return p.send(ctx, &p.tokens, q, func() (*http.Response, error) {
			return s.client.exchange(ctx, &client, q.url, q, authorization)
		})
	})
}

// readToken reads the answer of a token server. Its text never gets into an
// error: it may be a token under another name.
func readToken(res *http.Response) (token, error) {
	defer res.Body.Close()
	const hint = "the registry's token server is not set up right; ask its administrator"
	what := "the answer of token server " + redactURL(res.Request.URL)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxTokenBody+1))
	if err != nil {
		return token{}, diag.New(diag.TooManyRetries, what+" broke off", "run again").AsRetryable()
	}
	if len(body) > maxTokenBody {
		return token{}, diag.New(diag.TokenUnreadable, what+" is larger than 64 KiB", hint)
	}
	var answer struct {
		Token       string  `json:"token"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return token{}, diag.New(diag.TokenUnreadable, what+" is not the JSON of a token", hint)
	}
	t := token{value: answer.Token, life: defaultLifetime}
	if t.value == "" {
		t.value = answer.AccessToken
	}
	if t.value == "" || strings.ContainsAny(t.value, "\r\n\x00") {
		return token{}, diag.New(diag.TokenMissing, what+" has no token", hint)
	}
	if answer.ExpiresIn > 0 {
		t.life = time.Duration(min(answer.ExpiresIn, 365*24*3600) * float64(time.Second))
	}
	return t, nil
}

// tokenFailure gives an error of a token server its code.
func (s *session) tokenFailure(ctx context.Context, err error) error {
	what := "no token for " + s.name.String()
	if status, ok := asStatus(err); ok && status.StatusCode == http.StatusUnauthorized {
		status.login = true
	}
	r := &Repository{name: s.name, session: s}
	return r.coded(ctx, err, failure{code: diag.CredentialsUnavailable, what: what})
}
