package hosts_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/hosts"
	"github.com/gantry-build/gantry/internal/registriesconf"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// dialer leads a name to an address.
func dialer(f *testenv.Front) *http.Transport {
	return &http.Transport{Proxy: nil, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(addr); host == f.Name {
			addr = f.Addr
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
}

func TestCertificates(t *testing.T) {
	reg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	tests := map[string]struct {
		mutual bool
		files  []string // of the front, in certs.d
		conf   string
		daemon string
		want   diag.Code
		text   string
	}{
		"nothing":              {want: diag.RegistryUnreachable, text: "certificate"},
		"authority":            {files: []string{"ca.crt"}},
		"insecure":             {conf: "[[registry]]\nlocation = 'reg.example/app'\ninsecure = true\n"},
		"insecure elsewhere":   {conf: "[[registry]]\nlocation = 'reg.example/application'\ninsecure = true\n", want: diag.RegistryUnreachable},
		"Docker's list":        {daemon: `{"insecure-registries": ["other:5000", "https://REG.example"]}`},
		"Docker's list, other": {daemon: `{"insecure-registries": ["reg.example:444", "10.0.0.0/8"]}`, want: diag.RegistryUnreachable},
		"Docker's list, bad":   {daemon: `{"insecure-registries": "reg.example"}`, want: diag.RegistryUnreachable},
		"client without":       {mutual: true, files: []string{"ca.crt"}, want: diag.RegistryUnreachable, text: "certs.d"},
		"client with":          {mutual: true, files: []string{"ca.crt", "client.cert", "client.key"}},
		"client, half":         {mutual: true, files: []string{"ca.crt", "client.cert"}, want: diag.BadCertificates},
		"client and insecure":  {mutual: true, files: []string{"client.cert", "client.key"}, conf: "[[registry]]\nlocation = 'reg.example'\ninsecure = true\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := testenv.StartFront(t, reg, "reg.example", test.mutual)
			for _, file := range test.files {
				data, err := os.ReadFile(filepath.Join(filepath.Dir(f.CAFile), file))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "certs.d", "reg.example", file), string(data))
			}
			tr := dialer(f)
			t.Cleanup(tr.CloseIdleConnections)
			c := registry.New(registry.Options{
				Transport: tr, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
				Network: hosts.New(hosts.Files{
					Registries: registriesconf.Paths{Named: write(t, filepath.Join(dir, "r.conf"), test.conf)}, Certs: []string{filepath.Join(dir, "certs.d")},
					Daemons: []string{filepath.Join(dir, "none"), write(t, filepath.Join(dir, "daemon.json"), test.daemon)},
				}),
			})
			_, err := c.Repository(registry.Name{Registry: "reg.example", Repository: "app"}, registry.ModePull).Manifest(t.Context(), "1")
			switch {
			case test.want == "" && err != nil, test.want != "" && diag.CodeOf(err) != test.want, err != nil && !strings.Contains(err.Error(), test.text):
				t.Errorf("got %s %v, want %s", diag.CodeOf(err), err, test.want)
			}
		})
	}
}

// TestCertificates_elsewhere: the authority of a registry is that of where it sends its uploads, too.
func TestCertificates_elsewhere(t *testing.T) {
	data := []byte("a layer")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.Host {
		case "POST reg.example.com":
			w.Header().Set("Location", "https://uploads.example.com/here")
			w.WriteHeader(http.StatusAccepted)
		case "PUT uploads.example.com":
			w.Header().Set("Docker-Content-Digest", string(cas.DigestOf(data)))
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	certs := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	write(t, filepath.Join(certs, "reg.example.com", "ca.crt"), string(ca))
	c := registry.New(registry.Options{Transport: tr, Network: hosts.New(hosts.Files{Certs: []string{certs}})})
	for host, fails := range map[string]bool{"reg.example.com": false, "other.example.com": true} {
		_, err := c.Repository(registry.Name{Registry: host, Repository: "app"}, registry.ModePush).PushBlob(t.Context(), registry.BlobSource{
			Digest: cas.DigestOf(data), Size: int64(len(data)),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
		}, nil)
		if (err != nil) != fails {
			t.Errorf("%s: %v", host, err)
		}
	}
}
