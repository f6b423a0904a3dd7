package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

const (
	// maxResumes is how often a download in which nothing much moves is taken
	// up again.
	maxResumes = 6
	// resumeProgress is how many bytes make a resumed download a working one.
	resumeProgress = 1 << 20
	// maxAllResumes ends a download that breaks all the time.
	maxAllResumes = 100
)

// Blob reads a blob of a known size in bytes. The reader gives the last bytes
// only when all hash to the digest (else GANTRY2004), never more than size,
// and takes a broken download up where it broke. Closing it frees its place
// among the parallel requests. A mirror that fails in the middle is an
// ErrMirrorFailed. Fails with CONTAINER2004 (and ErrNotFound in
// the chain) when the registry does not have the blob.
func (r *Repository) Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error) {
	return read(ctx, r, string(digest), func(ctx context.Context, at *Repository) (io.ReadCloser, error) {
		return at.openBlob(ctx, digest, size)
	})
}

// openBlob is Blob in this very repository.
func (r *Repository) openBlob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error) {
	if err := r.checkBlob(digest, size); err != nil {
		return nil, err
	}
	d := &download{ctx: ctx, r: r, digest: digest, size: size}
	if err := r.host.reads.acquire(ctx); err != nil {
		return nil, interrupted(ctx, d.what())
	}
	if err := d.open(); err != nil {
		r.host.reads.release()
		return nil, d.coded(err)
	}
	if r.spare {
		return &mirrored{newVerifier(ctx, d, digest, size), ctx, r, digest}, nil
	}
	return newVerifier(ctx, d, digest, size), nil
}

func (r *Repository) checkBlob(digest cas.Digest, size int64) error {
	if r.invalid != nil {
		return r.invalid
	}
	if _, err := cas.ParseDigest(string(digest)); err != nil {
		return diag.Wrap(diag.InvalidBaseManifest, err, "blob in "+r.name.String(), "use another base image")
	}
	if size < 0 {
		return diag.New(diag.InvalidBaseManifest, fmt.Sprintf("blob %s in %s has the size %d", digest, r.name, size), "use another base image")
	}
	return nil
}

// download is the content of a blob over as many requests as it needs.
type download struct {
	ctx     context.Context // of the whole download
	r       *Repository
	digest  cas.Digest
	size    int64
	offset  int64 // of the next byte
	body    io.ReadCloser
	resumes int   // since something moved
	all     int   // resumes altogether
	from    int64 // where the last resume began
	closed  bool
}

func (d *download) what() string { return fmt.Sprintf("download blob %s of %s", d.digest, d.r.name) }

func (d *download) coded(err error) error {
	return d.r.coded(d.ctx, err, failure{code: diag.LayerNotDownloadable, what: d.what()})
}

// open asks for the blob from the offset on.
func (d *download) open() error {
	q := &request{method: http.MethodGet, path: d.r.name.Repository + "/blobs/" + string(d.digest)}
	if d.offset > 0 {
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", d.offset)}}
	}
	res, err := d.r.session.repeat(d.ctx, q)
	if err != nil {
		return err
	}
	if err := d.check(res); err != nil {
		res.Body.Close()
		return err
	}
	d.body = res.Body
	if d.offset > 0 && res.StatusCode == http.StatusOK {
		// The server does not know ranges: what was read is read again.
		if _, err := io.CopyN(io.Discard, d.body, d.offset); err != nil {
			d.closeBody()
			return d.r.client.cleanError(http.MethodGet, res.Request.URL, err)
		}
	}
	return nil
}

func (d *download) check(res *http.Response) error {
	switch {
	case res.StatusCode == http.StatusOK:
		if isHTML(res.Header) && d.size != res.ContentLength {
			return refuse("%s is answered with a web page: a proxy or a login page may stand in between", d.digest)
		}
		if n := res.ContentLength; n >= 0 && n != d.size {
			return diag.New(diag.DigestMismatch, fmt.Sprintf("%s: the registry has %d bytes where the manifest says %d", d.what(), n, d.size), digestHint)
		}
		return nil
	case res.StatusCode == http.StatusPartialContent && d.offset > 0:
		start, total, ok := parseContentRange(res.Header.Get("Content-Range"))
		if !ok || start != d.offset || total >= 0 && total != d.size {
			return refuse("the registry was asked for the bytes from %d on and answered with others", d.offset)
		}
		return nil
	}
	return d.r.client.statusError(res)
}

// parseContentRange reads "bytes 5-9/10" or "bytes 5-9/*" (RFC 9110, 14.4);
// total is -1 when it is not said.
func parseContentRange(s string) (start, total int64, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	span, size, found := strings.Cut(strings.TrimSpace(rest), "/")
	first, last, dash := strings.Cut(span, "-")
	if !strings.EqualFold(unit, "bytes") || !found || !dash {
		return 0, 0, false
	}
	start, ok = parseCount(first)
	end, ok2 := parseCount(last)
	total = -1
	if size != "*" {
		n, ok3 := parseCount(size)
		if !ok3 || n <= end {
			return 0, 0, false
		}
		total = n
	}
	return start, total, ok && ok2 && start <= end
}

// parseCount reads digits and nothing else.
func parseCount(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && !strings.HasPrefix(s, "+")
}

// Read takes a broken download up again: the verifier behind it proves that
// the parts fit.
func (d *download) Read(p []byte) (int, error) {
	for {
		if d.body == nil && d.offset >= d.size {
			return 0, io.EOF
		}
		if d.body == nil {
			if err := d.resume(); err != nil {
				return 0, d.coded(err)
			}
		}
		n, err := d.body.Read(p)
		d.offset += int64(n)
		if err != nil {
			d.closeBody()
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (d *download) resume() error {
	if d.offset-d.from >= resumeProgress {
		d.resumes = 0
	}
	d.from = d.offset
	d.resumes++
	d.all++
	if d.resumes > maxResumes || d.all > maxAllResumes {
		return diag.New(diag.TooManyRetries, fmt.Sprintf("%s broke off %d times, last after %d of %d bytes", d.what(), d.all, d.offset, d.size), "run again later").AsRetryable()
	}
	c := d.r.client
	c.log.DebugContext(d.ctx, "download broke off and is taken up again", "digest", d.digest, "bytes", d.offset, "attempt", d.resumes)
	if err := c.policy.sleep(d.ctx, c.policy.pause(d.resumes)); err != nil {
		return err
	}
	return d.open()
}

func (d *download) closeBody() {
	if d.body != nil {
		d.body.Close()
		d.body = nil
	}
}

func (d *download) Close() error {
	if !d.closed {
		d.closed = true
		d.closeBody()
		d.r.host.reads.release()
	}
	return nil
}

// askBlob is HasBlob in this very repository.
func (r *Repository) askBlob(ctx context.Context, digest cas.Digest) (bool, error) {
	if err := r.checkBlob(digest, 0); err != nil {
		return false, err
	}
	what := fmt.Sprintf("look for blob %s in %s", digest, r.name)
	if err := r.host.asks.acquire(ctx); err != nil {
		return false, interrupted(ctx, what)
	}
	defer r.host.asks.release()
	has, err := r.hasBlob(ctx, digest)
	code := diag.LayerNotDownloadable
	if r.mode == ModePush {
		code = diag.RegistryPushFailed
	}
	return has, r.coded(ctx, err, failure{code: code, what: what})
}

func (r *Repository) hasBlob(ctx context.Context, digest cas.Digest) (bool, error) {
	q := &request{method: http.MethodHead, path: r.name.Repository + "/blobs/" + string(digest)}
	res, err := r.session.repeat(ctx, q)
	if err != nil {
		return false, err
	}
	if res.StatusCode == http.StatusMethodNotAllowed || res.StatusCode == http.StatusNotImplemented {
		res.Body.Close()
		q.method, q.header = http.MethodGet, http.Header{"Range": {"bytes=0-0"}}
		if res, err = r.session.repeat(ctx, q); err != nil {
			return false, err
		}
	}
	switch {
	case res.StatusCode == http.StatusNotFound:
		res.Body.Close()
		return false, nil
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent:
		return false, r.client.statusError(res)
	}
	res.Body.Close()
	if isHTML(res.Header) {
		return false, refuse("the answer is a web page: a proxy or a login page may stand in between")
	}
	said := res.Header.Get("Docker-Content-Digest")
	return said == "" || said == string(digest), nil
}

// ReadBlob reads a small blob into memory. Errors are those of Blob.
func (r *Repository) ReadBlob(ctx context.Context, digest cas.Digest, size int64) (data []byte, err error) {
	err = Retrieve(ctx, r, digest, size, func(body io.Reader) (err error) {
		data, err = io.ReadAll(body)
		return err
	})
	return data, err
}
