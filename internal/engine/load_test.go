package engine

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

// TestLoad_index: an engine that holds no index is not sent one.
func TestLoad_index(t *testing.T) {
	sent := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/info":
			_, _ = io.WriteString(w, `{"OSType":"linux","Architecture":"x86_64","DriverStatus":[["Backing Filesystem","extfs"]]}`)
		case strings.HasSuffix(r.URL.Path, "/json"):
			http.NotFound(w, r)
		default:
			sent = true
		}
	}))
	defer server.Close()
	x := image.Index{MediaType: image.OCIIndex, Manifests: []image.Descriptor{}}
	body, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	img := &content.Image{Top: deliver.NewDocument(body, x.MediaType)}
	for _, kind := range []Kind{Docker, Podman} {
		e := &Engine{kind, slog.New(slog.DiscardHandler), newAPI(server.URL)}
		_, err := e.Load(t.Context(), img, []content.Name{e.NameOf("", "shop", "1")})
		if diag.CodeOf(err) != diag.FormatCannotHold || sent {
			t.Errorf("%s: %v, sent: %v", kind, err, sent)
		}
	}
}

// TestLoad_fails: what an engine says of a load that it began is the error, though it answered 200 before.
func TestLoad_fails(t *testing.T) {
	answers := []string{`{"stream":"x"}{"errorDetail":{"message":"no space left"},"error":"no space left"}`, `{"stream":"x"}nothing`}
	for _, answer := range answers {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, answer)
		}))
		err := newAPI(server.URL).load(t.Context(), func(w io.Writer) error {
			_, err := io.WriteString(w, "an archive")
			return err
		})
		if err == nil || strings.Contains(answer, "space") && !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", answer, err)
		}
		server.Close()
	}
}

// TestLoad_stops: an engine that answers, or goes away, before it has read the whole archive is quoted, and not the pipe that it left.
func TestLoad_stops(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		says   string // empty: it is content
	}{
		"refuses": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"no space left"}`, http.StatusInternalServerError)
		}, "no space left"},
		"fails":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"error":"no space left"}`) }, "no space left"},
		"has enough": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"stream":"x"}`) }, ""},
		"dies":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "/images/load"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			err := newAPI(server.URL).load(t.Context(), func(w io.Writer) error {
				piece := make([]byte, 1<<20)
				for range 64 {
					if _, err := w.Write(piece); err != nil {
						return err
					}
				}
				return nil
			})
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v, want %q", err, tc.says)
			}
		})
	}
}

// TestSpared: of the lowest layers, which another image has too, one that lies above as well is sent: there the engine wants its content.
func TestSpared(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) }))
	defer server.Close()
	a, b, c := cas.DigestOf([]byte("a")), cas.DigestOf([]byte("b")), cas.DigestOf([]byte("c"))
	l := &loading{
		Engine: &Engine{Docker, slog.New(slog.DiscardHandler), newAPI(server.URL)}, image: &content.Image{},
		manifest: &image.Manifest{Layers: []image.Descriptor{{Digest: a}, {Digest: b}, {Digest: a}, {Digest: c}}},
		diffIDs:  []cas.Digest{a, b, a, c}, known: [][]cas.Digest{{a, b, c}},
	}
	if has, err := l.spared(t.Context()); err != nil || len(has) != 1 || !has[b] {
		t.Errorf("%v, %v; want %s alone", has, err, b)
	}
}

// TestLoad_lostSnapshot: what Docker cannot unpack because containerd collected a snapshot meanwhile is sent again, and nothing else is.
func TestLoad_lostSnapshot(t *testing.T) {
	const lost = `failed to unpack loaded image: failed to prepare extraction snapshot "extract-1 sha256:a": ` +
		`parent snapshot sha256:b does not exist: not found`
	x := image.Index{MediaType: image.OCIIndex, Manifests: []image.Descriptor{}}
	body, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	img := &content.Image{Top: deliver.NewDocument(body, x.MediaType)}
	for name, tc := range map[string]struct {
		says  string
		fails int // loads, until one succeeds
		loads int // that there are
		want  diag.Code
	}{
		"lost once":    {lost, 1, 2, ""},
		"lost always":  {lost, 9, attempts, diag.LocalLoadFailed},
		"another word": {"no space left on device", 1, 1, diag.LocalLoadFailed},
	} {
		t.Run(name, func(t *testing.T) {
			loads := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/info":
					_, _ = io.WriteString(w, `{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`)
				case r.URL.Path == "/images/load":
					_, _ = io.Copy(io.Discard, r.Body)
					if loads++; loads <= tc.fails {
						_ = json.NewEncoder(w).Encode(map[string]string{"error": tc.says})
					}
				case strings.HasSuffix(r.URL.Path, "/json") && loads > tc.fails:
					_ = json.NewEncoder(w).Encode(map[string]string{"Id": string(img.Top.Descriptor.Digest)})
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			e := &Engine{Docker, slog.New(slog.DiscardHandler), newAPI(server.URL)}
			_, err := e.Load(t.Context(), img, []content.Name{e.NameOf("", "shop", "1")})
			if loads != tc.loads || tc.want == "" && err != nil || tc.want != "" && diag.CodeOf(err) != tc.want {
				t.Errorf("%d loads, %v; want %d", loads, err, tc.loads)
			}
		})
	}
}

// TestLoad_says: of a program that tells of each layer, what it says at the end is the error.
func TestLoad_says(t *testing.T) {
	const podman = `i=0
while [ $i -lt 100 ]; do i=$((i+1)); echo "Copying blob sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; done >&2
`
	for script, want := range map[string]string{
		podman + "echo 'Error: no space left' >&2; exit 125":             "podman load: Error: no space left",
		podman + "printf 'Error: no image:\n * oci: no\n' >&2; exit 125": "podman load: Error: no image:\n * oci: no",
		"echo starting >&2; echo no daemon >&2; exit 1":                  "podman load: starting\nno daemon",
	} {
		program := filepath.Join(t.TempDir(), "podman")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", filepath.Dir(program))
		err := (&cli{program: "podman"}).load(t.Context(), func(io.Writer) error { return nil })
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
