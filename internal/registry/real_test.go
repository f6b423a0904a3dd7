package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// servers are the registries that every test of the plain protocol runs
// against.
var servers = map[string]func(t *testing.T) *testenv.Registry{
	"distribution":          func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t) },
	"distribution no cache": func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t, testenv.WithoutCache()) },
	"distribution tls":      func(t *testing.T) *testenv.Registry { return testenv.StartRegistry(t, testenv.WithTLS()) },
	"olareg":                func(t *testing.T) *testenv.Registry { return testenv.StartOlareg(t) },
}

func TestRoundTrip(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			c := New(Options{})
			r := c.Repository(Name{reg.Host(), "team/app"}, ModePush)
			config, layer, empty := []byte(`{"os":"linux"}`), noise(1, 300_000), []byte{}
			m := pushImage(t, r, "1.0", config, layer, empty)

			got, err := r.Manifest(t.Context(), "1.0")
			if err != nil || !bytes.Equal(got.Body, m) || got.MediaType != OCIManifest || got.Digest != cas.DigestOf(m) {
				t.Fatalf("got %+v, %v", got, err)
			}
			d, err := r.HeadManifest(t.Context(), string(got.Digest))
			if err != nil || d != got.Descriptor() {
				t.Errorf("head: got %+v, %v, want %+v", d, err, got.Descriptor())
			}
			for _, want := range [][]byte{config, layer, empty} {
				if b, err := readBlob(t, r, want); err != nil || !bytes.Equal(b, want) {
					t.Errorf("blob of %d bytes: got %d bytes, %v", len(want), len(b), err)
				}
			}
			if o := mustPush(t, r, blobOf(layer, "team/app")); o != Exists {
				t.Errorf("second push: got %s, want %s", o, Exists)
			}
			other := c.Repository(Name{reg.Host(), "team/other"}, ModePush)
			if o := mustPush(t, other, blobOf(layer, "team/app")); o != Mounted {
				t.Errorf("mount: got %s, want %s", o, Mounted)
			}
			if o := mustPush(t, other, blobOf(noise(2, 1000), "team/app")); o != Uploaded {
				t.Errorf("mount of what is not there: got %s, want %s", o, Uploaded)
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			c := New(Options{})
			if name == "olareg" { // which cannot shut down after questions about a repository that is not there
				pushImage(t, c.Repository(Name{reg.Host(), "nothing/here"}, ModePush), "other", []byte("{}"))
			}
			r := c.Repository(Name{reg.Host(), "nothing/here"}, ModePull)
			_, err := r.Manifest(t.Context(), "latest")
			wantCode(t, err, diag.RepositoryNotFound)
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%v is not ErrNotFound", err)
			}
			if _, err = r.HeadManifest(t.Context(), "latest"); !errors.Is(err, ErrNotFound) {
				t.Errorf("head: %v is not ErrNotFound", err)
			}
			absent := []byte("absent")
			if _, err = readBlob(t, r, absent); !errors.Is(err, ErrNotFound) {
				t.Errorf("blob: %v is not ErrNotFound", err)
			}
			if has, err := r.HasBlob(t.Context(), cas.DigestOf(absent)); has || err != nil {
				t.Errorf("HasBlob: got %v, %v", has, err)
			}
			w := c.Repository(Name{reg.Host(), "nothing/here"}, ModePush)
			err = w.PushManifest(t.Context(), "1", OCIManifest, imageOf([]byte("{}"), absent))
			wantCode(t, err, diag.RegistryPushFailed)
			if !errors.Is(err, ErrBlobUnknown) {
				t.Errorf("push: %v is not ErrBlobUnknown", err)
			}
		})
	}
}

// TestColdPublishCount is the number that the product promises: 13 requests
// for a base of 5 layers in the same registry and one tag, and 2 for each app
// layer, with no byte of the base moved.
func TestColdPublishCount(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *testenv.Registry{"distribution": servers["distribution"], "olareg": servers["olareg"]} {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			baseConfig := []byte(`{"base":1}`)
			var layers [][]byte
			for i := range 5 {
				layers = append(layers, noise(uint64(i), 50_000))
			}
			pushImage(t, New(Options{}).Repository(Name{reg.Host(), "base"}, ModePush), "10", baseConfig, layers...)

			parallel := DefaultParallel
			if name == "olareg" { // which races with itself when a repository is new
				parallel = 1
			}
			c, rec, _ := testClient(t, nil, Options{Parallel: parallel})
			base := c.Repository(Name{reg.Host(), "base"}, ModePullFromOutput)
			app := c.Repository(Name{reg.Host(), "app"}, ModePush)
			m, err := base.Manifest(t.Context(), "10")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := base.Manifest(t.Context(), string(m.Digest)); err != nil { // as the child of an index
				t.Fatal(err)
			}
			if _, err := readBlob(t, base, baseConfig); err != nil {
				t.Fatal(err)
			}
			config, own := []byte(`{"app":1}`), noise(9, 3<<20)
			var g errgroup.Group
			push := func(b BlobSource, want Outcome) {
				g.Go(func() error {
					o, err := app.PushBlob(t.Context(), b, nil)
					if err == nil && o != want {
						t.Errorf("blob of %d bytes: got %s, want %s", b.Size, o, want)
					}
					return err
				})
			}
			for _, l := range layers {
				push(blobOf(l, "base"), Mounted)
			}
			push(blobOf(config, ""), Uploaded)
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			push(blobOf(own, "app"), Uploaded)
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			manifest := imageOf(config, append(layers, own)...)
			if err := app.PushManifest(t.Context(), "1.0", OCIManifest, manifest); err != nil {
				t.Fatal(err)
			}
			want := "3 GET 200, 5 POST 201, 2 POST 202, 3 PUT 201" // 11 and 2 for the app layer
			if got := rec.count(); got != want {
				t.Errorf("got %s, want %s\n%s", got, want, strings.Join(rec.lines, "\n"))
			}
			if want := int64(len(config) + len(own) + len(manifest)); rec.bytes != want {
				t.Errorf("%d bytes were sent, want %d", rec.bytes, want)
			}
		})
	}
}

// TestSelfMountBeforeAnyOther asks once, with HEAD, where nothing has shown
// yet that the registry does mounts.
func TestSelfMountBeforeAnyOther(t *testing.T) {
	reg := testenv.StartRegistry(t)
	c, rec, _ := testClient(t, nil, Options{})
	app := c.Repository(Name{reg.Host(), "app"}, ModePush)
	if o := mustPush(t, app, blobOf(noise(1, 2<<20), "app")); o != Uploaded {
		t.Errorf("got %s", o)
	}
	if got, want := rec.count(), "1 HEAD 404, 1 POST 202, 1 PUT 201"; got != want {
		t.Errorf("large: got %s, want %s", got, want)
	}
	rec.reset()
	mustPush(t, app, blobOf(noise(2, 1000), "app"))
	if got, want := rec.count(), "1 POST 202, 1 PUT 201"; got != want {
		t.Errorf("small: got %s, want %s", got, want)
	}
}

func TestBasicAuthentication(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithHtpasswd("ada", "pa55word!"))
	good := map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "ada", "DOTNET_CONTAINER_REGISTRY_PWORD": "pa55word!"}
	c, rec, _ := testClient(t, good, Options{})
	r := c.Repository(Name{reg.Host(), "app"}, ModePush)
	pushImage(t, r, "1", []byte("{}"), noise(1, 100))
	if got, want := rec.count(), "2 POST 202, 1 POST 401, 3 PUT 201"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// the variables for both are not for a pull from elsewhere
	_, err := c.Repository(Name{reg.Host(), "app"}, ModePull).Manifest(t.Context(), "1")
	wantCode(t, err, diag.CredentialsUnavailable)
	if _, err := c.Repository(Name{reg.Host(), "app"}, ModePullFromOutput).Manifest(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	bad := map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "ada", "DOTNET_CONTAINER_REGISTRY_PWORD": "wrong-canary"}
	c, rec, _ = testClient(t, bad, Options{})
	_, err = c.Repository(Name{reg.Host(), "app"}, ModePush).PushBlob(t.Context(), blobOf([]byte("x"), ""), nil)
	wantCode(t, err, diag.RepositoryForbidden)
	if strings.Contains(err.Error(), "wrong-canary") {
		t.Errorf("the password is in %q", err)
	}
	if got, want := rec.count(), "2 POST 401"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTokenAuthentication(t *testing.T) {
	tokens := testenv.StartTokenServer(t, "ada", "pa55word!", 0)
	reg := testenv.StartRegistry(t, testenv.WithToken(tokens))
	home := t.TempDir()
	writeFile(t, filepath.Join(home, ".docker", "config.json"), `{"auths":{"`+reg.Host()+`":{"auth":"YWRhOnBhNTV3b3JkIQ=="}}}`)
	env := map[string]string{"HOME": home}
	c, rec, _ := testClient(t, env, Options{})
	base := c.Repository(Name{reg.Host(), "base"}, ModePush)
	layer := noise(1, 100)
	pushImage(t, base, "1", []byte("{}"), layer)
	if n := len(tokens.Requests()); n != 1 {
		t.Errorf("%d tokens for one repository, want 1", n)
	}
	rec.reset()
	app := c.Repository(Name{reg.Host(), "app"}, ModePush)
	if o := mustPush(t, app, blobOf(layer, "base")); o != Mounted {
		t.Errorf("got %s", o)
	}
	mustPush(t, app, blobOf([]byte("{}"), ""))
	if got, want := rec.count(), "1 GET 200, 1 POST 201, 1 POST 202, 1 PUT 201"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	last := tokens.Requests()[1]
	if got, want := strings.Join(last.Scopes, " "), "repository:app:pull,push repository:base:pull"; got != want || last.User != "ada" {
		t.Errorf("token for %q as %q, want %q", got, last.User, want)
	}
	// anybody may pull
	anonymous, _, _ := testClient(t, nil, Options{})
	if _, err := anonymous.Repository(Name{reg.Host(), "base"}, ModePull).Manifest(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	_, err := anonymous.Repository(Name{reg.Host(), "app"}, ModePush).PushBlob(t.Context(), blobOf(layer, ""), nil)
	wantCode(t, err, diag.CredentialsUnavailable)
}

// TestTokenExpires uses tokens that the registry no longer takes, while the
// client still believes in them.
func TestTokenExpires(t *testing.T) {
	tokens := testenv.StartTokenServer(t, "ada", "pa55word!", -2*time.Minute)
	reg := testenv.StartRegistry(t, testenv.WithToken(tokens))
	c, _, _ := testClient(t, map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "ada", "DOTNET_CONTAINER_REGISTRY_PWORD": "pa55word!"}, Options{})
	_, err := c.Repository(Name{reg.Host(), "app"}, ModePush).PushBlob(t.Context(), blobOf([]byte("x"), ""), nil)
	wantCode(t, err, diag.RepositoryForbidden)
	if n := len(tokens.Requests()); n != maxRenewals {
		t.Errorf("%d tokens were fetched, want %d", n, maxRenewals)
	}
}

// named makes a transport under which the registry has a name that is not
// this machine's.
func named(t *testing.T, reg *testenv.Registry, roots bool) *http.Transport {
	tr := newTransport()
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, reg.Host())
	}
	tr.TLSClientConfig = &tls.Config{ServerName: "localhost"}
	if roots {
		tr.TLSClientConfig.RootCAs = reg.Roots
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestTLS(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithTLS())
	plain := testenv.StartRegistry(t)
	const host = "registry.example:5000"
	insecure := []string{"other", host}
	tests := map[string]struct {
		reg      *testenv.Registry
		roots    bool
		insecure []string
		want     diag.Code
	}{
		"trusted":           {reg: reg, roots: true},
		"not trusted":       {reg: reg, want: diag.RegistryUnreachable},
		"insecure":          {reg: reg, insecure: insecure},
		"plain":             {reg: plain, want: diag.RegistryUnreachable},
		"plain, insecure":   {reg: plain, insecure: insecure},
		"insecure, trusted": {reg: reg, roots: true, insecure: insecure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := New(Options{Transport: named(t, tt.reg, tt.roots), Insecure: tt.insecure})
			c.policy.sleep = (&pauses{}).sleep
			_, err := c.Repository(Name{host, "app"}, ModePush).PushBlob(t.Context(), blobOf([]byte("x"), ""), nil)
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				wantCode(t, err, tt.want)
				var e *diag.Error
				if errors.As(err, &e) && e.Retryable {
					t.Error("is said to pass")
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	reg := testenv.StartRegistry(t)
	host := reg.Host()
	reg.Stop()
	c, rec, p := testClient(t, nil, Options{})
	_, err := c.Repository(Name{host, "app"}, ModePull).Manifest(t.Context(), "1")
	wantCode(t, err, diag.RegistryUnreachable)
	if diag.ExitCode(err) != diag.ExitRetryable {
		t.Errorf("exit code %d", diag.ExitCode(err))
	}
	if got, want := rec.count(), "6 GET 0"; got != want || len(p.slept) != 2 {
		t.Errorf("got %s and %d pauses, want %s and 2", got, len(p.slept), want)
	}
}

func TestChunkedUpload(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			c := New(Options{Getenv: func(k string) string {
				return map[string]string{
					"SDK_CONTAINER_DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD":       "yes",
					"DOTNET_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES":     "65536",
					"SDK_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES":        "1",
					"DOTNET_CONTAINER_DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD_NO": "1",
				}[k]
			}})
			content := noise(3, 200_000)
			r := c.Repository(Name{reg.Host(), "app"}, ModePush)
			mustPush(t, r, blobOf(content, ""))
			if b, err := readBlob(t, r, content); err != nil || !bytes.Equal(b, content) {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
		})
	}
}

// TestDamagedBlob reads what rots on the registry's disk: no registry checks
// what it serves.
func TestDamagedBlob(t *testing.T) {
	reg := testenv.StartRegistry(t)
	r := New(Options{}).Repository(Name{reg.Host(), "app"}, ModePush)
	content := noise(4, 10_000)
	m := pushImage(t, r, "1", content)
	file := reg.BlobFile(string(cas.DigestOf(content)))
	rotten := bytes.Clone(content)
	rotten[5000] ^= 1
	if err := os.WriteFile(file, rotten, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readBlob(t, r, content)
	wantCode(t, err, diag.DigestMismatch)
	rotten = bytes.Replace(m, []byte(`"size":10000`), []byte(`"size":10001`), 1)
	if err := os.WriteFile(reg.BlobFile(string(cas.DigestOf(m))), rotten, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = r.Manifest(t.Context(), "1")
	wantCode(t, err, diag.DigestMismatch)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
