package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/gantry-build/gantry/internal/diag"
)

// sessionKey tells sessions apart: the mode decides the variables that count,
// and Docker's configuration can have an account for one repository alone.
type sessionKey struct {
	host       *host
	repository string
	mode       Mode
}

// session is the use of one repository by one account: its credentials,
// looked up when the registry first asks for them, and its tokens.
type session struct {
	client *Client
	host   *host
	name   Name
	mode   Mode

	lock    slots // guards looked and tokens, also while a token is fetched
	looked  bool
	tokens  []token
	mu      sync.Mutex // guards the fields below
	account credentials
	problem error // why there may be no account
}

func newSession(c *Client, h *host, name Name, mode Mode) *session {
	return &session{client: c, host: h, name: name, mode: mode, lock: newSlots(1)}
}

// scope is what the registry's token must allow for this repository.
func (s *session) scope() string {
	if s.mode == ModePush || s.mode == ModePushElsewhere {
		return "repository:" + s.name.Repository + ":pull,push"
	}
	return pullScope(s.name.Repository)
}

// deleteScope is what a DELETE needs beside scope.
func (s *session) deleteScope() string { return "repository:" + s.name.Repository + ":delete" }

func pullScope(repository string) string { return "repository:" + repository + ":pull" }

// maxRenewals is how often one request is authorized anew: once when nothing
// was known, once more when the registry has changed its mind.
const maxRenewals = 2

// send sends q once, answering what the registry asks for. Any 401, with a
// challenge or without, makes the token be fetched again; a 401 after that is
// the answer.
func (s *session) send(ctx context.Context, q *request) (*http.Response, error) {
	if len(q.scopes) == 0 {
		q.scopes = []string{s.scope()}
	}
	authorization, err := s.authorization(ctx, q)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		res, err := s.host.send(ctx, q, authorization)
		if err != nil || res.StatusCode != http.StatusUnauthorized || n == maxRenewals {
			return res, err
		}
		buffered(res)
		renewed, err := s.renew(ctx, q, res, authorization)
		if err != nil {
			return nil, err
		}
		if renewed == "" || renewed == authorization {
			return res, nil
		}
		authorization = renewed
	}
}

// repeat is send with the retries that are right for a request that may be
// sent more than once.
func (s *session) repeat(ctx context.Context, q *request) (*http.Response, error) {
	return s.client.repeat(ctx, func(ctx context.Context) (*http.Response, error) { return s.send(ctx, q) })
}

// authorization returns the header for q as far as it is known what the
// registry wants; empty before it has asked.
func (s *session) authorization(ctx context.Context, q *request) (string, error) {
	c := s.host.lastChallenge()
	if c == nil {
		return "", nil
	}
	if err := s.lock.acquire(ctx); err != nil {
		return "", err
	}
	defer s.lock.release()
	return s.answer(ctx, c, q, "")
}

// renew answers a 401. It returns the header for the next try, or nothing
// when there is no other.
func (s *session) renew(ctx context.Context, q *request, res *http.Response, used string) (string, error) {
	if !s.host.owns(res.Request.URL) {
		// A server that the registry redirected to asks for credentials;
		// they are not meant for it.
		return "", nil
	}
	if c := choose(parseChallenges(res.Header)); c != nil {
		s.host.setChallenge(c)
	}
	c := s.host.lastChallenge()
	if c == nil {
		return "", nil
	}
	if err := s.lock.acquire(ctx); err != nil {
		return "", err
	}
	defer s.lock.release()
	return s.answer(ctx, c, q, used)
}

// choose takes the strongest challenge that is understood.
func choose(all []challenge) *challenge {
	for _, scheme := range []string{"bearer", "basic"} {
		for i := range all {
			if all[i].scheme == scheme && (scheme == "basic" || all[i].params["realm"] != "") {
				return &all[i]
			}
		}
	}
	return nil
}

// answer makes the header for a challenge. The header refused, if any, was
// just turned down and is not used again. The session is locked.
func (s *session) answer(ctx context.Context, c *challenge, q *request, refused string) (string, error) {
	s.lookUp(ctx)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	account, _ := s.login()
	if c.scheme == "basic" {
		if account.username == "" {
			return "", nil
		}
		return "Basic " + account.basic(), nil
	}
	if account.bearer != "" {
		return "Bearer " + account.bearer, nil
	}
	s.drop(refused)
	if t, ok := s.usable(q); ok {
		return "Bearer " + t.value, nil
	}
	t, err := s.fetchToken(ctx, c, q.scopes)
	if err != nil {
		return "", err
	}
	s.tokens = append(s.tokens, t)
	return "Bearer " + t.value, nil
}

func (s *session) lookUp(ctx context.Context) {
	if s.looked {
		return
	}
	account, problem := s.client.lookup(ctx, s.name, s.mode)
	if ctx.Err() != nil {
		return
	}
	s.looked = true
	s.mu.Lock()
	s.account, s.problem = account, problem
	s.mu.Unlock()
	if problem != nil {
		s.client.log.InfoContext(ctx, "credentials could not be looked up everywhere", "registry", s.name.Registry, "reason", problem.Error())
	}
}

// login returns the account that was found, and what kept one from being
// found.
func (s *session) login() (credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account, s.problem
}

// drop forgets the token in a header that was turned down, and all that have
// expired.
func (s *session) drop(refused string) {
	now := s.client.policy.now()
	s.tokens = slices.DeleteFunc(s.tokens, func(t token) bool {
		return "Bearer "+t.value == refused || !t.good(now)
	})
}

// usable returns a token that allows all that q needs and outlives it.
func (s *session) usable(q *request) (token, bool) {
	now := s.client.policy.now()
	for _, t := range s.tokens {
		if t.good(now) && t.covers(q.scopes) && (t.outlives(now, q.takes) || t.fresh(now)) {
			return t, true
		}
	}
	return token{}, false
}

// denied makes the error for a 401 or 403: CONTAINER1008 when there was
// nobody to be, else CONTAINER1016, as with the SDK.
func (s *session) denied(status error, what string) error {
	login := "docker login, or set DOTNET_CONTAINER_REGISTRY_UNAME and _PWORD"
	if s.mode == ModePushElsewhere {
		login = "docker login: DOTNET_CONTAINER_REGISTRY_UNAME and its like are for the first destination's registry alone"
	}
	account, problem := s.login()
	var st *StatusError
	unauthorized := errors.As(status, &st) && st.StatusCode == http.StatusUnauthorized
	if c := s.host.lastChallenge(); unauthorized && c != nil && c.scheme == "basic" {
		st.login = true // a password is one of the registry, a token one of a repository
	}
	switch {
	case !account.empty():
		return diag.Wrap(diag.RepositoryForbidden, status,
			what+": the account from "+account.from+" may not", "check its rights in "+s.name.String()+", and that the password is right")
	case problem != nil:
		return diag.Wrap(diag.CredentialsUnavailable, errors.Join(status, problem), what+": the registry wants credentials, and they could not be had", login)
	case unauthorized:
		return diag.Wrap(diag.CredentialsUnavailable, status, what+": the registry wants credentials", login)
	}
	return diag.Wrap(diag.RepositoryForbidden, status, what+": the registry does not allow it without credentials", login)
}
