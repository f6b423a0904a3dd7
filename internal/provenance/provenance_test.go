package provenance

import (
	"net/http"
	"os"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
)

func TestWithoutSecrets(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"https://github.com/a/b", "https://github.com/a/b"},
		{"https://x-access-token:ghs_1@github.com/a/b.git?token=1#x", "https://github.com/a/b.git"},
		{"ssh://git@host:22/a/b", "ssh://host:22/a/b"},
		{"git@github.com:a/b.git", "github.com:a/b.git"},
		{"https://user:p%zz@host/a", ""},
		{"https:///a", ""},
	}
	for _, tt := range tests {
		if got := WithoutSecrets(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestRecord has a registry without and one with a list of referrers.
func TestRecord(t *testing.T) {
	for _, kind := range []string{"docker-registry", "olareg"} {
		t.Run(kind, func(t *testing.T) {
			server := testenv.StartRegistry(t)
			host := server.Host()
			if kind == "olareg" {
				host = testenv.StartOlareg(t).Host()
			}
			repo := registry.New(registry.Options{Getenv: os.Getenv, Transport: http.DefaultTransport, Insecure: []string{host}}).
				Repository(registry.NewName(host, "app"), registry.ModePush)
			name := registry.NewName(host, "app")
			body := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
			image := registry.Descriptor{MediaType: registry.OCIIndex, Digest: cas.DigestOf(body), Size: int64(len(body))}
			if err := repo.PushManifest(t.Context(), "1", image.MediaType, body); err != nil {
				t.Fatal(err)
			}
			if err := Record(t.Context(), repo, name, image, Source{}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := Record(t.Context(), repo, name, image, Source{"abc", "https://u:p@example.org/a"}); err != nil {
					t.Fatal(err)
				}
			}
			found, err := repo.Referrers(t.Context(), image.Digest, ArtifactType)
			if err != nil || len(found) != 1 {
				t.Fatalf("got %+v, %v", found, err)
			}
			if a := found[0].Annotations; a[AnnotationRevision] != "abc" || a[AnnotationSource] != "https://example.org/a" {
				t.Errorf("got %v", a)
			}
		})
	}
}
