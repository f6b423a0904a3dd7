package registry

import (
	"errors"
	"net/url"
	"strings"
	"sync"
)

// minSecret is the shortest secret that is looked for in texts, in bytes: a
// shorter one would take ordinary words out of messages.
const minSecret = 4

// secrets are the passwords and tokens that the process has seen. Registries
// and token servers echo what they were sent; what they say is cleaned before
// anybody reads it.
type secrets struct {
	mu    sync.RWMutex
	known map[string]bool
}

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, v := range values {
		if len(v) >= minSecret {
			s.known[v] = true
		}
	}
}

// redact takes known secrets, and the user and query parts of URLs, out of
// text.
func (s *secrets) redact(text string) string {
	s.mu.RLock()
	for v := range s.known {
		text = strings.ReplaceAll(text, v, "***")
	}
	s.mu.RUnlock()
	return redactURLsIn(text)
}

func redactURLsIn(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\"'<>()`", r) })
	for _, f := range fields {
		scheme, rest, found := strings.Cut(f, "://")
		if !found {
			continue
		}
		clean, _, _ := strings.Cut(rest, "?")
		authority, path, hasPath := strings.Cut(clean, "/")
		if i := strings.LastIndexByte(authority, '@'); i >= 0 {
			authority = authority[i+1:]
		}
		clean = scheme + "://" + authority
		if hasPath {
			clean += "/" + path
		}
		text = strings.ReplaceAll(text, f, clean)
	}
	return text
}

// networkError is an error of the transport with its text cleaned. It keeps
// the chain, so that its kind can be told.
type networkError struct {
	text string
	err  error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.err }

// cleanError rebuilds the text of err: net/http puts the whole URL into it.
func (c *Client) cleanError(method string, u *url.URL, err error) error {
	inner := err
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		inner = ue.Err
	}
	return &networkError{text: method + " " + redactURL(u) + ": " + c.secrets.redact(inner.Error()), err: inner}
}
