package testenv

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TokenServer hands out bearer tokens as registries want them (distribution,
// spec/auth/token.md and jwt.md).
type TokenServer struct {
	t      testing.TB
	server *httptest.Server
	ca     authority

	user, password string
	lifetime       time.Duration

	mu       sync.Mutex
	requests []TokenRequest
}

// TokenRequest is a question for a token.
type TokenRequest struct {
	Method string
	Scopes []string
	// User is empty when no credentials were sent.
	User string
}

const (
	tokenIssuer  = "gantry test"
	tokenService = "gantry test registry"
)

// StartTokenServer starts one on loopback that gives user everything and
// everyone else pull. Tokens are good for lifetime; 0 means an hour.
// docker-registry takes tokens for a minute longer than they say, so a short
// lifetime may be negative.
func StartTokenServer(t testing.TB, user, password string, lifetime time.Duration) *TokenServer {
	t.Helper()
	if lifetime == 0 {
		lifetime = time.Hour
	}
	s := &TokenServer{t: t, ca: newAuthority(t), user: user, password: password, lifetime: lifetime}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

// Realm is the URL that registries send their clients to. It names the host
// localhost: careful clients refuse a realm that is an address of this kind
// on another port.
func (s *TokenServer) Realm() string {
	return strings.Replace(s.server.URL, "127.0.0.1", "localhost", 1) + "/token"
}

// Requests are the questions so far.
func (s *TokenServer) Requests() []TokenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]TokenRequest(nil), s.requests...)
}

func (s *TokenServer) config(dir string) object {
	bundle := filepath.Join(dir, "token.crt")
	s.ca.writeCertificate(s.t, bundle)
	return object{"token": object{
		"realm": s.Realm(), "service": tokenService, "issuer": tokenIssuer, "rootcertbundle": bundle,
	}}
}

func (s *TokenServer) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	user, password, given := r.BasicAuth()
	if r.Form.Get("grant_type") != "" { // OAuth 2, as for identity tokens
		user, password, given = s.user, r.Form.Get("refresh_token")+r.Form.Get("password"), true
	}
	var scopes []string
	for _, v := range r.Form["scope"] {
		scopes = append(scopes, strings.Fields(v)...)
	}
	s.mu.Lock()
	s.requests = append(s.requests, TokenRequest{Method: r.Method, Scopes: scopes, User: user})
	s.mu.Unlock()
	if given && (user != s.user || password != s.password) {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	token := s.token(s.access(scopes, given), s.lifetime)
	w.Header().Set("Content-Type", "application/json")
	answer := object{"token": token, "access_token": token, "expires_in": max(1, int(s.lifetime.Seconds()))}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

// access is what the scopes "repository:NAME:pull,push" come to.
func (s *TokenServer) access(scopes []string, known bool) []object {
	granted := []object{}
	for _, scope := range scopes {
		kind, rest, ok := strings.Cut(scope, ":")
		i := strings.LastIndex(rest, ":")
		if !ok || i < 0 {
			continue
		}
		actions := strings.Split(rest[i+1:], ",")
		if !known {
			actions = []string{"pull"}
		}
		granted = append(granted, object{"type": kind, "name": rest[:i], "actions": actions})
	}
	return granted
}

// sign gives a request of this package a token for its own repository.
func (s *TokenServer) sign(r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, end := range []string{"/manifests/", "/blobs/", "/tags/"} {
		if i := strings.Index(name, end); i >= 0 {
			name = name[:i]
		}
	}
	token := s.token(s.access([]string{"repository:" + name + ":pull,push"}, true), time.Hour)
	r.Header.Set("Authorization", "Bearer "+token)
}

// token is a JWT signed with ES256 (RFC 7518, 3.4).
func (s *TokenServer) token(access []object, lifetime time.Duration) string {
	now := time.Now()
	header := object{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.ca.der)}}
	claims := object{
		"iss": tokenIssuer, "sub": "test", "aud": tokenService,
		"exp": now.Add(lifetime).Unix(), "nbf": now.Add(-time.Hour).Unix(), "iat": now.Add(-time.Hour).Unix(),
		"jti": fmt.Sprint(now.UnixNano()), "access": access,
	}
	text := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.ca.key, sum[:])
	if err != nil {
		panic(err) // the key is good
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(o object) string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
