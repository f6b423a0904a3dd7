package registry

import (
	"errors"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestBlobSize: HEAD says how large a blob is, and where it does not, the answer to a request for the first byte.
func TestBlobSize(t *testing.T) {
	b := blobOf([]byte("0123456789"), "")
	path := "/v2/app/blobs/" + string(b.Digest)
	head := func(status int, answer ...string) step {
		return step{want: "HEAD " + path, status: status, answer: answer}
	}
	get := func(status int, body string, answer ...string) step {
		return step{want: "GET " + path, header: "Range: bytes=0-0", status: status, answer: answer, body: body}
	}
	of10 := get(206, "0", "Content-Range: bytes 0-0/10")
	size := func(want int64) func(*testing.T, *Repository) error {
		return func(t *testing.T, r *Repository) error {
			n, err := r.BlobSize(t.Context(), b.Digest)
			if n != want {
				t.Errorf("got %d, want %d", n, want)
			}
			return err
		}
	}
	absent := func(t *testing.T, r *Repository) error {
		_, err := r.BlobSize(t.Context(), b.Digest)
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		return err
	}
	chunked := "Transfer-Encoding: chunked"
	runScripts(t, []scriptCase{
		{name: "HEAD", steps: []step{head(200, "Content-Length: 10")}, do: size(10)},
		{name: "no length", steps: []step{head(200, chunked), of10}, do: size(10)},
		{name: "a page for HEAD", steps: []step{head(200, "Content-Length: 7", "Content-Type: text/html"), of10}, do: size(10)},
		{name: "no HEAD", steps: []step{head(405), of10}, do: size(10)},
		{name: "refused as HEAD", steps: []step{head(403), of10}, do: size(10)},
		{name: "no ranges", steps: []step{head(501), get(200, "0123456789")}, do: size(10)},
		{name: "neither", steps: []step{head(405), get(200, "0123456789", chunked)}, do: size(0), want: diag.LayerNotDownloadable},
		{name: "no total", steps: []step{head(405), get(206, "0", "Content-Range: bytes 0-0/*")}, do: size(0), want: diag.LayerNotDownloadable},
		{name: "another byte", steps: []step{head(405), get(206, "1", "Content-Range: bytes 1-1/10")}, do: size(0), want: diag.LayerNotDownloadable},
		{name: "a page", steps: []step{head(405), get(200, "<html>", "Content-Type: text/html")}, do: size(0), want: diag.LayerNotDownloadable},
		{name: "not there", steps: []step{head(404)}, do: absent, want: diag.LayerNotDownloadable},
		{name: "not there, by GET", steps: []step{head(405), get(404, "")}, do: absent, want: diag.LayerNotDownloadable},
		{name: "refused in both ways", steps: []step{head(403), get(403, "")}, do: size(0), want: diag.RepositoryForbidden},
		{name: "500, then there", steps: []step{head(500), head(200, "Content-Length: 10")}, do: size(10)},
		{name: "503 for good", steps: times(6, head(503)), do: size(0), want: diag.LayerNotDownloadable},
	})
}
