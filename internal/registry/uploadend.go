package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// uploadSettings are the variables of the SDK that change how blobs are sent.
type uploadSettings struct {
	serial bool  // DOTNET_CONTAINER_REGISTRY_PARALLEL_UPLOAD=false
	force  bool  // DOTNET_CONTAINER_DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD
	size   int64 // DOTNET_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES, 0 if not set
}

const (
	// defaultChunk is in bytes: GHCR takes no chunk larger than 4 MiB.
	defaultChunk = 4 << 20
	// ecrChunk is the smallest chunk that Amazon ECR takes.
	ecrChunk = 5 << 20
	// maxChunk bounds the memory that a chunk needs.
	maxChunk = 256 << 20
)

func uploadSettingsFrom(getenv func(string) string) uploadSettings {
	get := func(name string) string {
		if v := getenv("DOTNET_CONTAINER_" + name); v != "" {
			return strings.TrimSpace(v)
		}
		return strings.TrimSpace(getenv("SDK_CONTAINER_" + name))
	}
	var s uploadSettings
	if n, ok := parseCount(get("REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES")); ok {
		s.size = min(n, maxChunk)
	}
	s.force = isYes(get("DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD"))
	parallel := get("REGISTRY_PARALLEL_UPLOAD")
	s.serial = parallel != "" && !isYes(parallel)
	return s
}

// isYes reads what the SDK takes for true.
func isYes(s string) bool {
	switch strings.ToLower(s) {
	case "true", "1", "yes":
		return true
	}
	return false
}

func (s uploadSettings) chunkSize(addr string) int64 {
	switch {
	case s.size > 0:
		return s.size
	case strings.HasSuffix(addr, ".amazonaws.com") && strings.Contains(addr, ".dkr.ecr"):
		return ecrChunk
	}
	return defaultChunk
}

// sendChunks sends the blob in parts: PATCH for each, then an empty PUT. It
// returns where the upload is now. A part is kept in memory while it is sent,
// so that an expired token costs that part alone.
func (u *upload) sendChunks(ctx context.Context, location *url.URL) (*url.URL, error) {
	content, err := u.content(ctx)
	if err != nil {
		return location, &sourceError{err: err}
	}
	defer content.Close()
	part := make([]byte, min(u.chunk, u.b.Size))
	for offset := int64(0); offset < u.b.Size; {
		n, err := io.ReadFull(content, part[:min(int64(len(part)), u.b.Size-offset)])
		if err != nil {
			return location, &sourceError{err: err}
		}
		next, err := u.patch(ctx, location, part[:n], offset)
		if err != nil {
			return location, err
		}
		location = next
		offset += int64(n)
	}
	res, err := u.r.session.send(ctx, &request{
		method: http.MethodPut, url: withDigest(location, u.b.Digest),
		body: func(context.Context) (io.ReadCloser, error) { return http.NoBody, nil },
	})
	return location, u.finish(ctx, res, err)
}

func (u *upload) patch(ctx context.Context, location *url.URL, part []byte, offset int64) (*url.URL, error) {
	last := offset + int64(len(part)) - 1
	res, err := u.r.session.send(ctx, &request{
		method: http.MethodPatch, url: location, size: int64(len(part)),
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {strconv.FormatInt(offset, 10) + "-" + strconv.FormatInt(last, 10)},
		},
		body: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(part)), nil },
	})
	if err == nil && (res.StatusCode == http.StatusAccepted || res.StatusCode == http.StatusCreated || res.StatusCode == http.StatusNoContent) {
		buffered(res)
		return u.location(res)
	}
	return nil, u.failed(res, err)
}

// finish reads the answer to the PUT that ends an upload.
func (u *upload) finish(ctx context.Context, res *http.Response, err error) error {
	if err != nil || res.StatusCode/100 != 2 {
		err = u.failed(res, err)
		var again *restart
		if errors.As(err, &again) && !again.free && u.arrived(ctx, again) {
			return nil
		}
		return err
	}
	buffered(res)
	said := res.Header.Get("Docker-Content-Digest")
	switch {
	case said == string(u.b.Digest) && res.StatusCode == http.StatusCreated:
		return nil
	case strings.HasPrefix(said, "sha256:") && said != string(u.b.Digest):
		return otherContent("upload blob", cas.Digest(shorten(said, 80)), u.b.Digest)
	}
	has, err := u.r.hasBlob(ctx, u.b.Digest)
	if err != nil {
		return err
	}
	if !has {
		return refuse("the registry answered %d and does not have the blob", res.StatusCode)
	}
	return nil
}

// arrived asks for the blob when an answer was lost: the registry may have
// taken it.
func (u *upload) arrived(ctx context.Context, again *restart) bool {
	if again.status != nil && !transient(again.status.StatusCode) {
		return false
	}
	has, err := u.r.hasBlob(ctx, u.b.Digest)
	return err == nil && has
}

// failed says what a failed PUT or PATCH means: begin anew, begin anew in
// parts, or give up.
func (u *upload) failed(res *http.Response, err error) error {
	if err != nil {
		if a := u.r.client.policy.judge(nil, err); a.again {
			return &restart{err: err}
		}
		return err
	}
	status := u.r.client.statusError(res)
	switch {
	case status.StatusCode == http.StatusRequestEntityTooLarge && !u.chunked:
		u.chunked = true
		return &restart{err: status, free: true}
	case transient(status.StatusCode),
		status.StatusCode == http.StatusNotFound, // the upload was forgotten
		status.StatusCode == http.StatusRequestedRangeNotSatisfiable,
		status.hasCode("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"):
		return &restart{err: status, status: res}
	}
	return status
}

// cancel ends an upload that will not be finished, so that the registry need
// not keep it (distribution-spec, "cancel"). It is tried once, also after an
// interrupt, and its answer does not matter.
func (u *upload) cancel(ctx context.Context, location *url.URL) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	res, err := u.r.session.send(ctx, &request{method: http.MethodDelete, url: location})
	if err == nil {
		res.Body.Close()
	}
}
