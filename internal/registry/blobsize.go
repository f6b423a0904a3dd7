package registry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// BlobSize asks for the size of a blob in bytes: with HEAD, and where that is not answered, or not with a size, with GET for the first
// byte. Fails with CONTAINER2004 (and ErrNotFound in the chain) when the registry does not have the blob.
func (r *Repository) BlobSize(ctx context.Context, digest cas.Digest) (int64, error) {
	return read(ctx, r, string(digest), func(ctx context.Context, at *Repository) (int64, error) { return at.askSize(ctx, digest) })
}

// askSize is BlobSize in this very repository.
func (r *Repository) askSize(ctx context.Context, digest cas.Digest) (int64, error) {
	if err := r.checkBlob(digest, 0); err != nil {
		return 0, err
	}
	what := fmt.Sprintf("look at blob %s in %s", digest, r.name)
	if err := r.host.asks.acquire(ctx); err != nil {
		return 0, interrupted(ctx, what)
	}
	defer r.host.asks.release()
	size, err := r.blobSize(ctx, digest)
	return size, r.coded(ctx, err, failure{code: diag.LayerNotDownloadable, what: what})
}

func (r *Repository) blobSize(ctx context.Context, digest cas.Digest) (int64, error) {
	q := &request{method: http.MethodHead, path: r.name.Repository + "/blobs/" + string(digest)}
	res, err := r.session.repeat(ctx, q)
	if err != nil {
		return 0, err
	}
	switch status := res.StatusCode; {
	case status == http.StatusOK && res.ContentLength >= 0 && !isHTML(res.Header):
		res.Body.Close()
		return res.ContentLength, nil
	case status == http.StatusNotFound || status == http.StatusUnauthorized || transient(status):
		return 0, r.client.statusError(res)
	}
	res.Body.Close()
	q.method, q.header = http.MethodGet, http.Header{"Range": {"bytes=0-0"}}
	if res, err = r.session.repeat(ctx, q); err != nil {
		return 0, err
	}
	return r.sizeOf(res)
}

// sizeOf reads the answer to a request for the first byte, which a server that knows no ranges answers with all.
func (r *Repository) sizeOf(res *http.Response) (int64, error) {
	switch {
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent:
		return 0, r.client.statusError(res)
	case isHTML(res.Header):
		res.Body.Close()
		return 0, refuse("the answer is a web page: a proxy or a login page may stand in between")
	}
	res.Body.Close() // of a whole blob the rest is not read
	if res.StatusCode == http.StatusOK && res.ContentLength >= 0 {
		return res.ContentLength, nil
	}
	if start, total, ok := parseContentRange(res.Header.Get("Content-Range")); ok && start == 0 && total > 0 {
		return total, nil
	}
	return 0, refuse("the registry does not say how large it is")
}
