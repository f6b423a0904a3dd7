package testenv

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// checkImage pulls with a client that is not ours.
func checkImage(t *testing.T, reference string, options ...remote.Option) {
	t.Helper()
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
}

func TestRegistryTakesTinyBases(t *testing.T) {
	tests := []struct {
		name  string
		o     basemaker.TinyOptions
		blobs int // config, layers, manifest, index
	}{
		{"oci", basemaker.TinyOptions{}, 5},
		{"docker", basemaker.TinyOptions{Docker: true, Layers: 5}, 7},
		{"zstd", basemaker.TinyOptions{Zstd: true, Layers: 1}, 3},
		{"no layers", basemaker.TinyOptions{Layers: basemaker.NoLayers}, 2},
		{"foreign", basemaker.TinyOptions{Foreign: true, Docker: true}, 5},
		{"index of one", basemaker.TinyOptions{Index: true}, 6},
		{"docker list", basemaker.TinyOptions{Docker: true, Platforms: []basemaker.Platform{
			{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"},
		}}, 11},
		{"windows", basemaker.TinyOptions{Docker: true, Platforms: []basemaker.Platform{
			{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"},
		}}, 5},
	}
	for server, start := range Registries {
		t.Run(server, func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					r := start(t)
					base := PushTinyBase(t, r, "base/tiny", "1", tt.o)
					if got := r.Tags("base/tiny"); !slices.Equal(got, []string{"1"}) {
						t.Errorf("tags: got %v", got)
					}
					if got := r.BlobCount(); got != tt.blobs {
						t.Errorf("blobs: got %d, want %d", got, tt.blobs)
					}
					mediaType, digest, _ := r.Manifest("base/tiny", "1")
					if mediaType != base.MediaType || digest != base.Digest {
						t.Errorf("got %s %s, want %s %s", mediaType, digest, base.MediaType, base.Digest)
					}
					if tt.o.Zstd || tt.o.Foreign { // which the validator does not know
						return
					}
					for _, m := range base.Images {
						checkImage(t, r.Reference("base/tiny", m.Manifest.Digest))
					}
				})
			}
		})
	}
}

func TestRegistryAuthentication(t *testing.T) {
	token := StartTokenServer(t, "robot", "secret", 0)
	tests := []struct {
		name    string
		option  RegistryOption
		clients []remote.Option
	}{
		{"basic", WithHtpasswd("robot", "secret"), []remote.Option{remote.WithAuth(&authn.Basic{Username: "robot", Password: "secret"})}},
		{"token", WithToken(token), []remote.Option{remote.WithAuth(&authn.Basic{Username: "robot", Password: "secret"})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := StartRegistry(t, tt.option)
			base := PushTinyBase(t, r, "private/base", "1", basemaker.TinyOptions{})
			checkImage(t, base.Reference, tt.clients...)
			res, err := http.Get(r.URL() + "/v2/private/base/manifests/1")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("without credentials: got %s", res.Status)
			}
		})
	}
	if len(token.Requests()) == 0 {
		t.Error("the token server was not asked")
	}
}

func TestRegistryTLSAndOptions(t *testing.T) {
	r := StartRegistry(t, WithTLS(), WithoutCache())
	base := PushTinyBase(t, r, "base", "1", basemaker.TinyOptions{})
	checkImage(t, base.Reference, remote.WithTransport(r.Client().Transport))
	if _, err := http.Get(r.URL() + "/v2/"); err == nil {
		t.Error("a client without the authority got an answer")
	}
	r.Stop()
	if _, err := r.Client().Get(r.URL() + "/v2/"); err == nil {
		t.Error("a stopped registry answered")
	}
	readOnly := StartRegistry(t, WithReadOnly())
	tiny, err := basemaker.Tiny(basemaker.TinyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = readOnly.Target().PushImage(t.Context(), "base", "1", tiny.Images[0])
	if err == nil || !strings.Contains(err.Error(), "405") {
		t.Errorf("read-only: got %v, want 405", err)
	}
}

func TestProxyRecordsAndHarms(t *testing.T) {
	r := StartRegistry(t)
	p := StartProxy(t, r)
	tiny, err := basemaker.Tiny(basemaker.TinyOptions{Layers: 1})
	if err != nil {
		t.Fatal(err)
	}
	target := basemaker.Target{URL: p.URL()}
	if err := target.PushImage(t.Context(), "base", "1", tiny.Images[0]); err != nil {
		t.Fatal(err)
	}
	image := tiny.Images[0]
	want := image.Config.Size + image.Layers[0].Size + image.Manifest.Size
	if got := p.Counts(); got.Requests != 7 || got.Up != want {
		t.Errorf("got %+v, want 7 requests, %d bytes up\n%s", got, want, p.Log())
	}
	u := p.URL() + "/v2/base/manifests/1"
	tests := []struct {
		name  string
		fault Fault
		want  string
	}{
		{"status", Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}}, "429"},
		{"drop", Fault{Drop: true}, "EOF"},
		{"cut", Fault{CutDownload: 10}, "unexpected EOF"},
		{"answer lost", Fault{Pass: true, Drop: true}, "EOF"},
		{"slow", Fault{Delay: time.Millisecond}, "200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.Reset()
			p.Inject(Times(1, http.MethodGet, "/manifests/", tt.fault))
			if got := fetch(u); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := fetch(u); got != "200 OK" {
				t.Errorf("the second time: got %s", got)
			}
		})
	}
	r.Stop()
	if got := fetch(u); !strings.Contains(got, "EOF") {
		t.Errorf("registry stopped: got %s", got)
	}
}

func fetch(u string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, u, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Accept", basemaker.OCIManifest)
	res, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil {
		return err.Error()
	}
	return res.Status
}

func TestPodmanRunsRuntimeBase(t *testing.T) {
	p := NewPodman(t)
	r := StartRegistry(t)
	base := PushRuntimeBase(t, r, "dotnet/aspnet", "10.0") // whose digests and diff IDs podman checks
	if got := len(base.Images[0].Layers); got != 5 {
		t.Errorf("layers: got %d, want 5", got)
	}
	version, err := basemaker.RuntimeVersion()
	if err != nil {
		t.Fatal(err)
	}
	got := p.Run(base.Reference, []string{"--user", "1654"}, "dotnet", "--list-runtimes")
	if got.Code != 0 || !strings.Contains(got.Stdout, "Microsoft.NETCore.App "+version) {
		t.Errorf("got exit code %d and\n%s", got.Code, got.Output)
	}
}
