package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// BlobSource is a blob to be pushed.
type BlobSource struct {
	Digest cas.Digest
	Size   int64 // bytes
	// MountFrom is a repository of the same registry that may have the blob;
	// empty means none. The destination repository itself asks whether the
	// blob is there already, at no cost when it is not.
	MountFrom string
	// Open opens the content, from the start, as often as it is asked to.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Outcome is how a blob came to be in the destination.
type Outcome string

// Outcomes of PushBlob.
const (
	Mounted  Outcome = "mounted"  // taken over from another repository
	Uploaded Outcome = "uploaded" // sent
	Exists   Outcome = "exists"   // it was there
)

// Progress is told about uploads (internal/progress). Started is called once
// for each blob, Advanced with a negative n when an attempt is begun anew,
// and Done once, with an Outcome or "failed".
type Progress interface {
	Started(id string, total int64)
	Advanced(id string, n int64)
	Done(id, outcome string)
}

const (
	// probeSize is the size in bytes from which one question is cheaper than
	// sending a blob that may be there.
	probeSize = 1 << 20
	// cancelTimeout is how long the end of an abandoned upload may take.
	cancelTimeout = 5 * time.Second
	// slowest is the rate in bytes a second for which a token should last.
	slowest = 1 << 20
)

// PushBlob brings a blob into the repository: mounted where the registry can,
// else sent with POST and one PUT. Calls for blobs that are mounted from
// elsewhere should begin before those that ask for what the destination has:
// their answers show whether a refused mount means anything. Fails with
// CONTAINER1001 when the registry refuses, 1008 and 1016 without access, 1006
// and 1017 when it cannot be reached; errors of Open and of its reader keep
// their code.
func (r *Repository) PushBlob(ctx context.Context, b BlobSource, p Progress) (Outcome, error) {
	if err := r.checkBlob(b.Digest, b.Size); err != nil {
		return "", err
	}
	u := &upload{r: r, b: b, progress: p, chunked: r.client.uploads.force, chunk: r.client.uploads.chunkSize(r.host.addr)}
	what := fmt.Sprintf("upload blob %s to %s", b.Digest, r.name)
	if err := r.host.writes.acquire(ctx); err != nil {
		return "", interrupted(ctx, what)
	}
	defer r.host.writes.release()
	if p == nil {
		u.progress = noProgress{}
	}
	u.progress.Started(string(b.Digest), b.Size)
	outcome, err := u.run(ctx)
	if err != nil {
		u.progress.Done(string(b.Digest), "failed")
		return "", r.coded(ctx, err, failure{code: diag.BlobUploadFailed, what: what})
	}
	u.progress.Done(string(b.Digest), string(outcome))
	return outcome, nil
}

// noProgress is told and says nothing.
type noProgress struct{}

func (noProgress) Started(string, int64)  {}
func (noProgress) Advanced(string, int64) {}
func (noProgress) Done(string, string)    {}

// upload is one blob on its way.
type upload struct {
	r        *Repository
	b        BlobSource
	progress Progress
	sent     int64 // bytes told to progress in this attempt
	chunked  bool
	chunk    int64 // bytes
}

// restart says that an upload is to be begun anew, after a pause when it
// comes from a server in trouble.
type restart struct {
	err    error
	status *http.Response // may be nil
	free   bool           // does not count: the way of sending was changed
}

func (e *restart) Error() string { return e.err.Error() }
func (e *restart) Unwrap() error { return e.err }

// networkFailure is the error when there was no answer.
func (e *restart) networkFailure() error {
	if e.status != nil {
		return nil
	}
	return e.err
}

// run makes attempts until the blob is there. Each begins a new upload: most
// registries do not keep what a broken one has sent.
func (u *upload) run(ctx context.Context) (Outcome, error) {
	c := u.r.client
	start := c.policy.now()
	mount := u.b.MountFrom
	for n := 1; ; n++ {
		outcome, err := u.attempt(ctx, mount)
		if errors.Is(err, ErrMirrorFailed) && ctx.Err() == nil {
			u.rewind()
			continue
		}
		var again *restart
		if err == nil || !errors.As(err, &again) || ctx.Err() != nil {
			return outcome, err
		}
		mount = ""
		u.rewind()
		if again.free {
			continue
		}
		a := c.policy.judge(again.status, again.networkFailure())
		if !c.policy.more(n, a) {
			return "", again.err
		}
		if stop, waited := c.wait(ctx, start, n, a); stop {
			return "", firstError(waited, again.err)
		}
	}
}

func (u *upload) attempt(ctx context.Context, mount string) (Outcome, error) {
	var location *url.URL
	if mount != "" && !u.r.host.mounts.isRefused(u.r.name.Repository, mount) {
		outcome, open, err := u.mount(ctx, mount)
		if outcome != "" || err != nil {
			return outcome, err
		}
		location = open.location
		u.adopt(open)
	}
	if location == nil {
		open, err := u.open(ctx)
		if err != nil {
			return "", err
		}
		location = open.location
		u.adopt(open)
	}
	var err error
	if u.chunked {
		location, err = u.sendChunks(ctx, location)
	} else {
		err = u.sendWhole(ctx, location)
	}
	if err == nil {
		return Uploaded, nil
	}
	u.cancel(ctx, location)
	return "", err
}

// opened is an upload that the registry has begun.
type opened struct {
	location *url.URL
	minChunk int64
}

func (u *upload) adopt(o opened) { u.chunk = max(u.chunk, o.minChunk) }

// mount asks the registry to take the blob over. It returns an outcome when
// the blob is there, the upload that the registry opened instead, or neither
// when the mount was refused.
func (u *upload) mount(ctx context.Context, from string) (Outcome, opened, error) {
	self := from == u.r.name.Repository
	end := func(bool) {}
	if !self {
		end = u.r.host.mounts.begin()
	}
	res, err := u.post(ctx, "?mount="+string(u.b.Digest)+"&from="+url.QueryEscape(from), from)
	mounted := err == nil && res.StatusCode == http.StatusCreated
	end(mounted)
	switch {
	case mounted:
		buffered(res)
		u.r.host.mounts.succeed()
		if self {
			return Exists, opened{}, nil
		}
		return Mounted, opened{}, nil
	case err == nil && res.StatusCode == http.StatusAccepted:
		open, err := u.opened(res)
		if err != nil || !self {
			return "", open, err
		}
		return u.probe(ctx, open)
	case err == nil:
		err = u.r.client.statusError(res)
	}
	if isRefusal(err) {
		u.r.host.mounts.refuse(u.r.name.Repository, from)
		return "", opened{}, nil
	}
	return "", opened{}, err
}

// isRefusal says whether an error is an answer and not an outage: a plain
// upload may be allowed where a mount is not, and its answer counts.
func isRefusal(err error) bool {
	if s, ok := asStatus(err); ok {
		return !transient(s.StatusCode)
	}
	code := diag.CodeOf(err)
	return code == diag.RepositoryForbidden || code == diag.CredentialsUnavailable
}

// probe asks whether the blob is there when a refused mount from the
// repository itself proves nothing, as this registry may not do mounts.
func (u *upload) probe(ctx context.Context, open opened) (Outcome, opened, error) {
	if u.b.Size <= probeSize || u.r.host.mounts.known(ctx) {
		return "", open, nil
	}
	if has, err := u.r.hasBlob(ctx, u.b.Digest); err != nil || !has {
		return "", open, nil
	}
	u.cancel(ctx, open.location)
	return Exists, opened{}, nil
}

// open begins an upload.
func (u *upload) open(ctx context.Context) (opened, error) {
	res, err := u.post(ctx, "", "")
	if err != nil {
		return opened{}, err
	}
	if res.StatusCode != http.StatusAccepted {
		return opened{}, u.r.client.statusError(res)
	}
	return u.opened(res)
}

func (u *upload) post(ctx context.Context, query, from string) (*http.Response, error) {
	q := &request{method: http.MethodPost, path: u.r.name.Repository + "/blobs/uploads/" + query, scopes: []string{u.r.session.scope()}}
	if from != "" && from != u.r.name.Repository {
		q.scopes = append(q.scopes, pullScope(from))
	}
	q.body = func(context.Context) (io.ReadCloser, error) { return http.NoBody, nil }
	return u.r.session.repeat(ctx, q)
}

func (u *upload) opened(res *http.Response) (opened, error) {
	buffered(res)
	location, err := u.location(res)
	if err != nil {
		return opened{}, err
	}
	min, _ := parseCount(res.Header.Get("OCI-Chunk-Min-Length"))
	return opened{location: location, minChunk: min}, nil
}

// location resolves where an upload goes on, taken as it is with its query. A
// registry behind a proxy that ends TLS often says http of its own host:
// its https is kept then.
func (u *upload) location(res *http.Response) (*url.URL, error) {
	text := res.Header.Get("Location")
	if text == "" {
		return nil, refuse("the registry opened an upload and did not say where (no Location)")
	}
	ref, err := url.Parse(text)
	if err != nil {
		return nil, refuse("the registry opened an upload at an address that cannot be read")
	}
	from := res.Request.URL
	to := from.ResolveReference(ref)
	to.Fragment = ""
	if from.Scheme == "https" && to.Scheme == "http" && strings.EqualFold(to.Hostname(), from.Hostname()) && (to.Port() == "" || to.Port() == "80" || to.Port() == from.Port()) {
		to.Scheme, to.Host = from.Scheme, from.Host
	}
	return to, checkHop(from, to)
}

// sendWhole sends the blob with one PUT.
func (u *upload) sendWhole(ctx context.Context, location *url.URL) error {
	q := &request{
		method: http.MethodPut, url: withDigest(location, u.b.Digest), size: u.b.Size, body: u.content,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		takes:  time.Duration(u.b.Size/slowest) * time.Second,
	}
	res, err := u.r.session.send(ctx, q)
	return u.finish(ctx, res, err)
}

func withDigest(u *url.URL, d cas.Digest) *url.URL {
	out := *u
	if out.RawQuery != "" {
		out.RawQuery += "&"
	}
	out.RawQuery += "digest=" + url.QueryEscape(string(d))
	return &out
}

// content opens the blob for one attempt. Its bytes are checked while they
// leave: wrong content never becomes a complete upload.
func (u *upload) content(ctx context.Context) (io.ReadCloser, error) {
	u.rewind()
	body, err := u.b.Open(ctx)
	if err != nil {
		return nil, err
	}
	v := newVerifier(ctx, body, u.b.Digest, u.b.Size)
	v.onRead = u.advance
	return v, nil
}

func (u *upload) advance(n int) {
	u.sent += int64(n)
	u.progress.Advanced(string(u.b.Digest), int64(n))
}

func (u *upload) rewind() {
	if u.sent != 0 {
		u.progress.Advanced(string(u.b.Digest), -u.sent)
	}
	u.sent = 0
}
