package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// Ask is one request as a diagnosis of a registry sends it.
type Ask struct {
	Method string
	// Path is below the registry's /v2/REPOSITORY/, with query; for Root below
	// /v2/ itself.
	Path string
	Root bool
	// URL is where an upload's Location leads, instead of a path.
	URL    *url.URL
	Header http.Header
	Body   []byte
	// From is a repository that has to be read as well, as for a mount.
	From string
}

// Answer is what the registry said, whatever the status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most 4 MiB
	TLS    *tls.ConnectionState
	Proto  string        // such as "HTTP/2.0"
	Took   time.Duration // until the headers were there
	Codes  []string      // of the registry's error document
	Detail string        // its text, without secrets
	res    *http.Response
}

// Ask sends one request, with what the registry asks for as authentication,
// and without trying again. It fails only when there is no answer, with the
// codes of every other request.
func (r *Repository) Ask(ctx context.Context, a Ask) (*Answer, error) {
	if r.invalid != nil {
		return nil, r.invalid
	}
	q := &request{method: a.Method, url: a.URL, header: a.Header, scopes: []string{r.session.scope()}}
	if a.URL == nil {
		q.path = a.Path
		if !a.Root {
			q.path = r.name.Repository + "/" + a.Path
		}
	}
	if a.From != "" && a.From != r.name.Repository {
		q.scopes = append(q.scopes, pullScope(a.From))
	}
	if a.Method == http.MethodDelete {
		q.scopes = append(q.scopes, r.session.deleteScope())
	}
	if a.Body != nil || a.Method == http.MethodPost || a.Method == http.MethodPut || a.Method == http.MethodPatch {
		q.size = int64(len(a.Body))
		q.body = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(a.Body)), nil }
	}
	start := time.Now()
	res, err := r.session.send(ctx, q)
	if err != nil {
		return nil, r.coded(ctx, err, failure{code: diag.RegistryUnreachable, what: "ask " + r.name.String()})
	}
	out := &Answer{Status: res.StatusCode, Header: res.Header, TLS: res.TLS, Proto: res.Proto, Took: time.Since(start), res: res}
	out.Body, err = io.ReadAll(io.LimitReader(res.Body, maxManifest))
	res.Body.Close()
	if err != nil && ctx.Err() != nil {
		return nil, interrupted(ctx, "ask "+r.name.String())
	}
	if res.StatusCode >= 400 {
		out.Codes, out.Detail = parseErrors(out.Body)
		out.Detail = r.client.secrets.redact(out.Detail)
	}
	return out, nil
}

// Location is where an upload goes on.
func (a *Answer) Location() (*url.URL, error) { return (&upload{}).location(a.res) }

// Login is how a registry and its user prove themselves to each other.
type Login struct {
	Challenge string // "bearer", "basic", or empty when nothing was asked for
	Realm     string // of a token server
	From      string // where the account comes from; empty for nobody. Never a secret.
	Problem   string // why an account that should be there could not be had
	Scheme    string // "http" or "https"
	Insecure  bool   // any certificate is accepted
}

// Login tells what the requests so far found out.
func (r *Repository) Login(ctx context.Context) (Login, error) {
	if r.invalid != nil {
		return Login{}, r.invalid
	}
	l := Login{Scheme: r.host.settled(), Insecure: r.host.insecure}
	if c := r.host.lastChallenge(); c != nil {
		l.Challenge = c.scheme
		if u, err := url.Parse(c.params["realm"]); err == nil && c.scheme == "bearer" {
			l.Realm = redactURL(u)
		}
	}
	if err := r.session.lock.acquire(ctx); err != nil {
		return l, interrupted(ctx, "look for credentials")
	}
	defer r.session.lock.release()
	r.session.lookUp(ctx)
	account, problem := r.session.login()
	l.From = account.from
	if problem != nil {
		l.Problem = problem.Error()
	}
	return l, nil
}
