package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
)

// ErrNotFound is in the chain of every error that says that a manifest or a
// blob does not exist.
var ErrNotFound = errors.New("not found")

// ErrBlobUnknown is in the chain of a PushManifest error when the registry
// misses a blob or a child that the manifest names. Pushing the blobs again
// without a mount repairs it.
var ErrBlobUnknown = errors.New("the registry misses content that the manifest names")

// ErrLogin is in the chain of an error when nobody may ask anything: the account
// was refused itself, or there is none where one is wanted. A 401 that may be of
// one repository alone, as one after a token was given, is none.
var ErrLogin = errors.New("the login was refused")

// maxErrorBody is how much of an error's body is read, in bytes.
const maxErrorBody = 64 << 10

// StatusError is an answer that is not what was asked for.
type StatusError struct {
	Method     string
	URL        string // without query and user
	StatusCode int
	Codes      []string // codes of the registry's error document
	Detail     string   // its messages, shortened and without secrets
	RetryAt    time.Time

	limit quota
	login bool // see ErrLogin
}

// Error names the request, the status and what the registry said.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.StatusCode, http.StatusText(e.StatusCode))
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if !e.RetryAt.IsZero() {
		s += ", retry after " + e.RetryAt.UTC().Format(time.RFC3339)
	}
	return s
}

// Is makes a 404 an ErrNotFound, a 401 about the account an ErrLogin, and the
// codes for missing content an ErrBlobUnknown.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrLogin:
		return e.login
	case ErrBlobUnknown:
		return e.hasCode("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
	}
	return false
}

func (e *StatusError) hasCode(codes ...string) bool {
	for _, have := range e.Codes {
		for _, c := range codes {
			if have == c {
				return true
			}
		}
	}
	return false
}

// statusError reads what is left of res and closes it.
func (c *Client) statusError(res *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	res.Body.Close()
	e := &StatusError{StatusCode: res.StatusCode}
	if res.Request != nil {
		e.Method, e.URL = res.Request.Method, redactURL(res.Request.URL)
	}
	if at, ok := notBefore(res, c.policy.now()); ok && transient(res.StatusCode) {
		e.RetryAt, e.limit = at, quotaOf(res.Header)
	}
	e.Codes, e.Detail = parseErrors(body)
	if e.Detail == "" && isHTML(res.Header) {
		e.Detail = "a web page, not a registry's answer: a proxy or a login page may stand in between"
	}
	e.Detail = c.secrets.redact(e.Detail)
	return e
}

// parseErrors reads the error document of the distribution specification and
// returns its codes and a short text. Anything else gives nothing: a page of
// HTML in an error line helps nobody.
func parseErrors(body []byte) (codes []string, text string) {
	var doc struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil, ""
	}
	var parts []string
	for i, e := range doc.Errors {
		if i == 3 {
			break
		}
		codes = append(codes, e.Code)
		part := shorten(e.Code, 60)
		if e.Message != "" {
			part = strings.TrimPrefix(part+": "+shorten(e.Message, 240), ": ")
		}
		parts = append(parts, part)
	}
	return codes, strings.Join(parts, "; ")
}

// shorten cuts s to at most n bytes and takes control characters out.
func shorten(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

func isHTML(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Get("Content-Type"))), "text/html")
}

// redactURL keeps scheme, host and path: queries carry signatures and upload
// states, the user part carries passwords.
func redactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func asStatus(err error) (*StatusError, bool) {
	var s *StatusError
	ok := errors.As(err, &s)
	return s, ok
}

// policyError is a refusal of our own: a redirect, a realm or an answer that
// must not be followed. Trying again does not help.
type policyError struct{ text string }

func (e *policyError) Error() string { return e.text }

func refuse(format string, args ...any) error {
	return &policyError{text: fmt.Sprintf(format, args...)}
}

// unreachableError says that no connection came about.
type unreachableError struct {
	err   error
	fixed bool // trying again does not help: certificates, wrong scheme
}

func (e *unreachableError) Error() string { return e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

// failure is what an operation's errors become: what says what was tried,
// code is the SDK's code for it when the registry answered with a status that
// has no code of its own.
type failure struct {
	code diag.Code
	what string
	// notFound is the code of a 404; empty means code.
	notFound diag.Code
}

// coded turns err into the one coded error that a person sees.
func (r *Repository) coded(ctx context.Context, err error, f failure) error {
	var already *diag.Error
	var status *StatusError
	var unreachable *unreachableError
	var policy *policyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return err
	case ctx.Err() != nil:
		return interrupted(ctx, f.what)
	case isSourceError(err):
		return diag.Wrap(diag.BlobMissing, err, f.what+": the content could not be read", "run again: the blob is made or fetched anew")
	case errors.As(err, &status):
		return r.codedStatus(status, f)
	case errors.As(err, &unreachable):
		e := diag.Wrap(diag.RegistryUnreachable, err, fmt.Sprintf("%s: no connection to registry %s", f.what, r.name.Registry), unreachableHint(err))
		e.Retryable = !unreachable.fixed
		return e
	case errors.As(err, &policy):
		return diag.Wrap(f.code, err, f.what, "the registry's administrator can tell why it answers so")
	}
	return diag.Wrap(diag.TooManyRetries, err, f.what+" failed, also when tried again", "run again later").AsRetryable()
}

func interrupted(ctx context.Context, what string) error {
	return diag.Wrap(diag.Interrupted, ctx.Err(), what, "run again: nothing was left half done")
}

func (r *Repository) codedStatus(s *StatusError, f failure) error {
	switch s.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return r.session.denied(s, f.what)
	case http.StatusNotFound:
		if f.notFound != "" {
			return diag.Wrap(f.notFound, s, f.what+": it does not exist", "check the name for a typing error; a registry may also answer so when the account may not see it")
		}
	case http.StatusTooManyRequests:
		return r.limited(s, f)
	}
	e := diag.Wrap(f.code, s, f.what, statusHint(s))
	e.Retryable = transient(s.StatusCode)
	return e
}

// limited is the error when the registry wants fewer requests: what it allows,
// and when it wants the next, as far as it says so.
func (r *Repository) limited(s *StatusError, f failure) error {
	what, hint := f.what+": the registry limits requests", "run again later; a login often raises the limit"
	if s.limit.requests > 0 {
		what += " to " + s.limit.String()
	}
	policy := r.session.client.policy
	if left := s.RetryAt.Sub(policy.now()); !s.RetryAt.IsZero() && left > policy.mostOrdered {
		what += ", and wants none for " + progress.Words(left)
		hint = "run again then; a login often raises the limit. A pause of at most " + progress.Words(policy.mostOrdered) + " is waited for (retries.max-wait)"
	}
	return diag.Wrap(f.code, s, what, hint).AsRetryable()
}

func statusHint(s *StatusError) string {
	switch {
	case transient(s.StatusCode):
		return "run again later"
	case s.StatusCode == http.StatusNotFound:
		return "check that the repository exists and that the account may use it"
	case s.StatusCode == http.StatusRequestEntityTooLarge:
		return "raise the body size limit of the registry or of the proxy before it"
	}
	return "read the registry's answer above"
}
