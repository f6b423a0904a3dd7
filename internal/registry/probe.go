package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// ProbeBlob asks for one byte of a blob of a known size in bytes and says
// whether the registry gave it. HEAD proves less: distribution answers it from
// a cached descriptor long after the blob's data is gone, while a GET has to
// open the data. It is false too when the registry has another size for the
// blob, or ends the answer before its first byte.
//
// Fails with CONTAINER1005 (or 2004, not for pushing) for an answer that says
// neither, 1008 and 1016 without access, 1006 and 1017 without a connection.
func (r *Repository) ProbeBlob(ctx context.Context, digest cas.Digest, size int64) (bool, error) {
	return r.readFlag(ctx, digest, func(ctx context.Context, at *Repository) (bool, error) { return at.askByte(ctx, digest, size) })
}

// askByte is ProbeBlob in this very repository.
func (r *Repository) askByte(ctx context.Context, digest cas.Digest, size int64) (bool, error) {
	if err := r.checkBlob(digest, size); err != nil {
		return false, err
	}
	what := fmt.Sprintf("look at blob %s in %s", digest, r.name)
	if err := r.host.asks.acquire(ctx); err != nil {
		return false, interrupted(ctx, what)
	}
	defer r.host.asks.release()
	has, err := r.probeBlob(ctx, digest, size)
	code := diag.LayerNotDownloadable
	if r.mode == ModePush {
		code = diag.RegistryPushFailed
	}
	return has, r.coded(ctx, err, failure{code: code, what: what})
}

func (r *Repository) probeBlob(ctx context.Context, digest cas.Digest, size int64) (bool, error) {
	q := &request{method: http.MethodGet, path: r.name.Repository + "/blobs/" + string(digest)}
	if size > 0 {
		q.header = http.Header{"Range": {"bytes=0-0"}}
	}
	res, err := r.sendProbe(ctx, q)
	if err == nil && res.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		// Of an empty file, or a server that knows no ranges: the body is not
		// read to its end.
		res.Body.Close()
		q.header = nil
		res, err = r.sendProbe(ctx, q)
	}
	if errors.Is(err, errNoByte) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusNotFound:
		res.Body.Close()
		return false, nil
	default:
		return false, r.client.statusError(res)
	}
	defer res.Body.Close()
	if isHTML(res.Header) || !sizeAgrees(res, size) {
		return false, nil
	}
	if size == 0 {
		return true, nil
	}
	n, _ := io.ReadFull(res.Body, make([]byte, 1)) // whatever keeps the byte from coming, it did not come
	return n == 1, nil
}

// errNoByte says that the connection ended where the first byte should come.
var errNoByte = errors.New("no byte came")

// sendProbe is session.repeat, but takes a connection that breaks twice for an
// answer: distribution 2.8 with a cached descriptor begins to answer for data
// that is gone, and hangs up (seen). What follows from it is an upload,
// which notices an outage soon enough.
func (r *Repository) sendProbe(ctx context.Context, q *request) (*http.Response, error) {
	broken := 0
	return r.client.repeat(ctx, func(ctx context.Context) (*http.Response, error) {
		res, err := r.session.send(ctx, q)
		var network *networkError
		if !errors.As(err, &network) {
			return res, err
		}
		var unreachable *unreachableError
		if broken++; broken > 1 && !errors.As(err, &unreachable) {
			return nil, errNoByte
		}
		return res, err
	})
}

// sizeAgrees compares what an answer says of the blob's size with what it
// should be.
func sizeAgrees(res *http.Response, size int64) bool {
	if res.StatusCode == http.StatusOK {
		return res.ContentLength < 0 || res.ContentLength == size
	}
	start, total, ok := parseContentRange(res.Header.Get("Content-Range"))
	return ok && start == 0 && (total < 0 || total == size)
}
