package registry

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

var someDigest = "sha256:" + strings.Repeat("0a", 32)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParseReference(t *testing.T) {
	tests := []struct{ in, want string }{
		{"mcr.microsoft.com/dotnet/aspnet:10.0", "mcr.microsoft.com/dotnet/aspnet:10.0"},
		{"ubuntu", "docker.io/library/ubuntu:latest"},
		{"bitnami/redis:7", "docker.io/bitnami/redis:7"},
		{"docker.io/ubuntu:24.04", "docker.io/library/ubuntu:24.04"},
		{"index.docker.io/library/ubuntu", "docker.io/library/ubuntu:latest"},
		{"registry-1.docker.io/ubuntu", "docker.io/library/ubuntu:latest"},
		{"localhost/app", "localhost/app:latest"},
		{"localhost:5000/team/app", "localhost:5000/team/app:latest"},
		{"app:5000", "docker.io/library/app:5000"},
		{"[::1]:5000/app:1", "[::1]:5000/app:1"},
		{"Registry/app", "Registry/app:latest"},
		{"r.example/a@" + someDigest, "r.example/a@" + someDigest},
		{"r.example/a:1@" + someDigest, "r.example/a:1@" + someDigest},
		{"r.example/a__b/c-d.e:_x", "r.example/a__b/c-d.e:_x"},
		{"r.example/a:" + strings.Repeat("x", 128), "r.example/a:" + strings.Repeat("x", 128)},
	}
	for _, tt := range tests {
		got, err := ParseReference(tt.in)
		if err != nil || got.String() != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.in, got, err, tt.want)
			continue
		}
		again, err := ParseReference(got.String())
		if err != nil || again != got {
			t.Errorf("%s: not a fixed point: %+v, %v", tt.in, again, err)
		}
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "a b", "a/../b", "r.example/aa..bb", "r.example/aa//bb", "r.example/-aa", "r.example/aa/", "r.example/Aa",
		"r.example/a:.x", "r.example/a:-x", "r.example/a:" + strings.Repeat("x", 129), "r.example/a:", "r.example/a@", "r.example/a@sha256:abc",
		"r.example/a@" + strings.ToUpper(someDigest), "r.example/a@sha512:" + strings.Repeat("0", 128), "https://r.example/a", "user@r.example/a",
		"r_x.example/a", "-r.example/a", "r.example:port/a", "[::1/a", "[:::1]/a", "r.example/" + strings.Repeat("a", 250), "r.example/a\n", "r.example/ä",
		"r.example/a___b", "r.example/a?x=1", "r.example/a#b", "r.example/a%2fb",
	} {
		got, err := ParseReference(in)
		if err == nil {
			t.Errorf("%q: got %s", in, got)
			continue
		}
		wantCode(t, err, diag.InvalidBaseReference)
	}
}

func TestParseParts(t *testing.T) {
	tests := []struct {
		parse func(string) error
		code  diag.Code
		good  []string
		bad   []string
	}{
		{ParseRegistry, diag.InvalidRegistry, []string{"localhost", "a.b:5000", "127.0.0.1", "[fe80::1]:80"}, []string{"", "http://a", "a/b", "a:b", "a b", "a:", "a_b", "a..b", "u@a"}},
		{ParseRepository, diag.InvalidRepository, []string{"a", "a/b", "my.app", "a__b", "a---b"}, []string{"", "A", "a/", "/a", "a b", "a..b", "a___b", "a:1", strings.Repeat("a", 256)}},
		{ParseTag, diag.InvalidTag, []string{"1", "_", "A.b-c", strings.Repeat("a", 128)}, []string{"", ".a", "-a", "a+b", "a b", "a/b", "ä", strings.Repeat("a", 129), "a\n"}},
	}
	for _, tt := range tests {
		for _, s := range tt.good {
			if err := tt.parse(s); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		for _, s := range tt.bad {
			wantCode(t, tt.parse(s), tt.code)
		}
	}
}

func TestRequestHost(t *testing.T) {
	for _, tt := range []struct{ registry, want string }{
		{"docker.io", "registry-1.docker.io"}, {"Index.Docker.io", "registry-1.docker.io"}, {"Ghcr.IO", "ghcr.io"}, {"localhost:5000", "localhost:5000"},
	} {
		if got := NewName(tt.registry, "a/b").requestHost(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.registry, got, tt.want)
		}
	}
	if !(Name{"docker.io", "a"}).SameRegistry(Name{"index.docker.io", "b"}) || (Name{"a.b", "a"}).SameRegistry(Name{"a.c", "a"}) {
		t.Error("SameRegistry is wrong")
	}
}

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "LOCALHOST:1": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]:5000": true, "[::1]": true,
		"localhost.example": false, "10.0.0.1": false, "example": false, "128.0.0.1": false, "127.0.0.1.example": false,
	} {
		if got := isLoopback(addr); got != want {
			t.Errorf("%s: got %v", addr, got)
		}
	}
}

// TestInvalidNameOfRepository reports with the first call.
func TestInvalidNameOfRepository(t *testing.T) {
	c := New(Options{})
	_, err := c.Repository(Name{"a b", "x"}, ModePull).Manifest(t.Context(), "1")
	wantCode(t, err, diag.InvalidRegistry)
	_, err = c.Repository(Name{"a.b", "X"}, ModePush).PushBlob(t.Context(), blobOf(nil, ""), nil)
	wantCode(t, err, diag.InvalidRepository)
	_, err = c.Repository(Name{"a.b", "x"}, ModePull).Manifest(t.Context(), "../x")
	wantCode(t, err, diag.InvalidTag)
	_, err = c.Repository(Name{"a.b", "x"}, ModePull).Blob(t.Context(), "sha256:../..", 1)
	wantCode(t, err, diag.InvalidBaseManifest)
	_, err = c.Repository(Name{"a.b", "x"}, ModePull).Blob(t.Context(), blobOf(nil, "").Digest, -1)
	wantCode(t, err, diag.InvalidBaseManifest)
}
