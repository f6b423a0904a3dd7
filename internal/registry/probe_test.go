package registry

import (
	"strconv"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestProbeBlob: one byte proves a blob, whatever the way in which a server gives it.
func TestProbeBlob(t *testing.T) {
	b := blobOf(testBlob, "")
	path := "GET /v2/app/blobs/" + string(b.Digest)
	ranged := func(status int, body string, headers ...string) step {
		return step{want: path, header: "Range: bytes=0-0", status: status, body: body, answer: headers}
	}
	probe := func(want bool) func(*testing.T, *Repository) error {
		return func(t *testing.T, r *Repository) error {
			has, err := r.ProbeBlob(t.Context(), b.Digest, b.Size)
			if has != want {
				t.Errorf("got %v, %v; want %v", has, err, want)
			}
			return err
		}
	}
	size := func(n int64) string { return "Content-Range: bytes 0-0/" + strconv.FormatInt(n, 10) }
	whole := string(testBlob)
	runScripts(t, []scriptCase{
		{name: "206", steps: []step{ranged(206, whole[:1], size(b.Size))}, do: probe(true)},
		{name: "206 of another size", steps: []step{ranged(206, whole[:1], size(b.Size+1))}, do: probe(false)},
		{name: "206 without range", steps: []step{ranged(206, whole[:1])}, do: probe(false)},
		{name: "206 without a byte", steps: []step{ranged(206, "", size(b.Size))}, do: probe(false)},
		{name: "ranges are not known", steps: []step{ranged(200, whole)}, do: probe(true)},
		{name: "all of another size", steps: []step{ranged(200, whole+"x")}, do: probe(false)},
		{name: "ranges are refused", steps: []step{ranged(416, ""), {want: path, status: 200, body: whole}}, do: probe(true)},
		{name: "ranges are refused, and it is gone", steps: []step{ranged(416, ""), {want: path, status: 404}}, do: probe(false)},
		{name: "404", steps: []step{ranged(404, "")}, do: probe(false)},
		{name: "web page", steps: []step{ranged(200, "<html>", "Content-Type: text/html")}, do: probe(false)},
		{name: "broken once", steps: []step{{want: path, cut: true}, ranged(206, whole[:1], size(b.Size))}, do: probe(true)},
		{name: "broken twice", steps: times(2, step{want: path, cut: true}), do: probe(false)},
		{name: "500, then there", steps: []step{ranged(500, ""), ranged(206, whole[:1], size(b.Size))}, do: probe(true)},
		{name: "503 for good", steps: times(6, ranged(503, "")), do: probe(false), want: diag.RegistryPushFailed, mode: ModePush},
		{name: "403", steps: []step{ranged(403, "")}, do: probe(false), want: diag.RepositoryForbidden},
	})
	empty := blobOf(nil, "")
	runScripts(t, []scriptCase{{name: "empty", steps: []step{{want: "GET /v2/app/blobs/" + string(empty.Digest), status: 200}}, do: func(t *testing.T, r *Repository) error {
		has, err := r.ProbeBlob(t.Context(), empty.Digest, 0)
		if !has {
			t.Error("an empty blob is not there")
		}
		return err
	}}})
}
