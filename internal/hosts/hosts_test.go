package hosts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/hosts"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registriesconf"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// upstream is a registry that no name server knows.
var upstream = registry.Name{Registry: "upstream.invalid", Repository: "app"}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// client uses a registries.conf. REG in it is an entry's head for upstream.
func client(t *testing.T, conf string, env map[string]string, o registry.Options) *registry.Client {
	t.Helper()
	file := write(t, filepath.Join(t.TempDir(), "registries.conf"), conf)
	o.Network = hosts.New(hosts.Files{Registries: registriesconf.Paths{Named: file}})
	o.Getenv = func(k string) string { return env[k] }
	o.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return registry.New(o)
}

func mirrorOf(places ...string) string {
	out := "[[registry]]\nlocation = 'upstream.invalid'\n"
	for _, p := range places {
		out += "[[registry.mirror]]\nlocation = '" + p + "'\n"
	}
	return out
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestMirror(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "mirror/app", "1", basemaker.TinyOptions{})
	lacking := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, lacking, "none/app", "other", basemaker.TinyOptions{Seed: "other"})
	empty, full := testenv.StartProxy(t, lacking), testenv.StartProxy(t, reg)
	dead := closed(t)
	var dials atomic.Int64
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == dead {
			dials.Add(1)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	c := client(t, mirrorOf(dead, empty.Host()+"/none", full.Host()+"/mirror"), nil, registry.Options{Transport: tr})
	repo := c.Repository(upstream, registry.ModePull)
	ctx := t.Context()

	m, err := repo.Manifest(ctx, "1")
	if err != nil || string(m.Digest) != base.Digest {
		t.Fatalf("got %v, %v", m, err)
	}
	tried := dials.Load()
	if d, err := repo.HeadManifest(ctx, base.Digest); err != nil || string(d.Digest) != base.Digest {
		t.Errorf("got %v, %v", d, err)
	}
	layer := base.Images[0].Layers[0]
	digest := cas.Digest(layer.Digest)
	for range 2 {
		body, err := repo.Blob(ctx, digest, layer.Size)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		body.Close()
		if err != nil || cas.DigestOf(data) != digest {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	}
	if has, err := repo.HasBlob(ctx, digest); !has || err != nil {
		t.Errorf("got %v, %v", has, err)
	}
	if has, err := repo.ProbeBlob(ctx, digest, layer.Size); !has || err != nil {
		t.Errorf("got %v, %v", has, err)
	}
	if n := dials.Load(); tried == 0 || n != tried {
		t.Errorf("a mirror that is down was tried %d times, then %d times more", tried, n-tried)
	}
	if n := empty.Counts().Requests; n != 6 {
		t.Errorf("the mirror that has nothing got %d requests:\n%s", n, empty.Log())
	}

	// what nobody has: the error is that of the location, and says what the mirrors said
	_, err = repo.Manifest(ctx, "none")
	if diag.CodeOf(err) != diag.RegistryUnreachable || !strings.Contains(err.Error(), full.Host()+"/mirror/app: ") || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
	full.Reset()
	if _, err := c.Repository(upstream, registry.ModePush).HeadManifest(ctx, "1"); diag.CodeOf(err) != diag.RegistryUnreachable {
		t.Errorf("got %v", err)
	}
	if n := full.Counts().Requests; n != 0 {
		t.Errorf("the destination was asked at a mirror:\n%s", full.Log())
	}
}

// A mirror that fails in the middle of a blob is not asked for it again, and the next place is: for what is kept in memory or in the
// store, or sent to another registry.
func TestMirror_brokenBlob(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	layer := base.Images[0].Layers[0]
	digest := cas.Digest(layer.Digest)
	desc := image.Descriptor{MediaType: layer.MediaType, Digest: digest, Size: layer.Size}
	uses := map[string]func(*registry.Client, *registry.Repository) error{
		"memory": func(_ *registry.Client, from *registry.Repository) error {
			data, err := from.ReadBlob(t.Context(), digest, layer.Size)
			if err == nil && cas.DigestOf(data) != digest {
				t.Error("the content is wrong")
			}
			return err
		},
		"store": func(_ *registry.Client, from *registry.Repository) error {
			store := cas.Open(t.TempDir())
			_, err := pull.Ensure(t.Context(), store, from, desc)
			if _, lost := store.ReadAll(digest); err == nil {
				err = lost
			}
			return err
		},
		"registry": func(c *registry.Client, from *registry.Repository) error {
			name := registry.Name{Registry: testenv.StartOlareg(t).Host(), Repository: "copy"}
			_, err := c.Repository(name, registry.ModePush).PushBlob(t.Context(), registry.BlobSource{
				Digest: digest, Size: layer.Size, Open: func(ctx context.Context) (io.ReadCloser, error) { return from.Blob(ctx, digest, layer.Size) },
			}, nil)
			return err
		},
	}
	faults := map[string]testenv.Fault{"corrupt": {Corrupt: true}, "cut": {CutDownload: 10}}
	for use, do := range uses {
		for name, fault := range faults {
			t.Run(use+" "+name, func(t *testing.T) {
				first, second, good := testenv.StartProxy(t, reg), testenv.StartProxy(t, reg), testenv.StartProxy(t, reg)
				for _, p := range []*testenv.Proxy{first, second} {
					p.Inject(testenv.Times(-1, http.MethodGet, "/blobs/", fault))
				}
				c := client(t, mirrorOf(first.Host(), second.Host(), good.Host()), nil, registry.Options{})
				repo := c.Repository(upstream, registry.ModePull)
				if err := do(c, repo); err != nil {
					t.Fatal(err)
				}
				asked := first.Counts().Requests + second.Counts().Requests
				if has, err := repo.HasBlob(t.Context(), digest); !has || err != nil || asked == 0 {
					t.Errorf("got %v, %v after %d requests", has, err, asked)
				}
				if n := first.Counts().Requests + second.Counts().Requests - asked; n != 0 || good.Counts().Requests == 0 {
					t.Errorf("mirrors that failed were asked %d times more:\n%s", n, good.Log())
				}
			})
		}
	}

	// the last place has nobody after it
	p := testenv.StartProxy(t, reg)
	p.Inject(testenv.Times(-1, http.MethodGet, "/blobs/", faults["corrupt"]))
	conf := "[[registry]]\nprefix = 'upstream.invalid'\nlocation = '" + p.Host() + "'\n[[registry.mirror]]\nlocation = '" + p.Host() + "'\n"
	_, err := client(t, conf, nil, registry.Options{}).Repository(upstream, registry.ModePull).ReadBlob(t.Context(), digest, layer.Size)
	if diag.CodeOf(err) != diag.DigestMismatch || errors.Is(err, registry.ErrMirrorFailed) || p.Counts().Requests != 2 {
		t.Errorf("got %v after %d requests", err, p.Counts().Requests)
	}
}

// TestMirror_trouble: a mirror that is in trouble is not waited for, as there is another place.
func TestMirror_trouble(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	for name, test := range map[string]struct {
		fault    testenv.Fault
		requests int
	}{
		"503":         {testenv.Fault{Status: 503}, 2},
		"Retry-After": {testenv.Fault{Status: 429, Header: http.Header{"Retry-After": {"50"}}}, 1},
		"cut off":     {testenv.Fault{Drop: true}, 2},
	} {
		p := testenv.StartProxy(t, reg)
		p.Inject(testenv.Times(-1, "", "/manifests/", test.fault))
		c := client(t, mirrorOf(p.Host(), reg.Host()), nil, registry.Options{Transport: &http.Transport{DisableKeepAlives: true}})
		m, err := c.Repository(upstream, registry.ModePull).Manifest(t.Context(), "1")
		if n := p.Counts().Requests; err != nil || string(m.Digest) != base.Digest || n != test.requests {
			t.Errorf("%s: %d requests, want %d; %v", name, n, test.requests, err)
		}
	}
}

// A mirror with other content is as good as none.
func TestMirror_corrupt(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	bad := testenv.StartProxy(t, reg)
	bad.Inject(func(*http.Request) *testenv.Fault { return &testenv.Fault{Corrupt: true} })
	c := client(t, mirrorOf(bad.Host(), reg.Host()), nil, registry.Options{})
	m, err := c.Repository(upstream, registry.ModePull).Manifest(t.Context(), base.Digest)
	if err != nil || string(m.Digest) != base.Digest {
		t.Errorf("got %v, %v", m, err)
	}
	if bad.Counts().Requests == 0 {
		t.Error("the corrupt mirror was not asked")
	}
}

func TestMirror_kinds(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	p := testenv.StartProxy(t, reg)
	tests := []struct {
		pull, ref string
		asked     bool
	}{
		{"all", "1", true},
		{"all", base.Digest, true},
		{"digest-only", "1", false},
		{"digest-only", base.Digest, true},
		{"tag-only", "1", true},
	}
	for _, test := range tests {
		p.Reset()
		conf := "[[registry]]\nprefix = 'upstream.invalid'\nlocation = '" + reg.Host() + "'\n[[registry.mirror]]\nlocation = '" + p.Host() + "'\npull-from-mirror = '" + test.pull + "'\n"
		m, err := client(t, conf, nil, registry.Options{}).Repository(upstream, registry.ModePull).Manifest(t.Context(), test.ref)
		if err != nil || string(m.Digest) != base.Digest {
			t.Errorf("got %v, %v", m, err)
		}
		if asked := p.Counts().Requests > 0; asked != test.asked {
			t.Errorf("%s %s: asked %v, want %v", test.pull, test.ref, asked, test.asked)
		}
	}
}

// The variables with credentials are for the registry that the user named: a mirror gets the account that Docker's file has for it.
func TestMirror_credentials(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithHtpasswd("mirror-user", "mirror-password"))
	base := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	p := testenv.StartProxy(t, reg)
	env := map[string]string{
		"DOTNET_CONTAINER_PULL_REGISTRY_UNAME": "upstream-user", "DOTNET_CONTAINER_PULL_REGISTRY_PWORD": "upstream-password",
		"DOCKER_AUTH_CONFIG": `{"auths":{"` + p.Host() + `":{"username":"mirror-user","password":"mirror-password"}}}`,
	}
	for _, mode := range []registry.Mode{registry.ModePull, registry.ModePullFromOutput} {
		m, err := client(t, mirrorOf(p.Host()), env, registry.Options{}).Repository(upstream, mode).Manifest(t.Context(), "1")
		if err != nil || string(m.Digest) != base.Digest {
			t.Errorf("got %v, %v", m, err)
		}
	}
	for _, r := range p.Requests() {
		sent, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
		if strings.Contains(string(sent), "upstream") {
			t.Errorf("%s had the upstream's account", r)
		}
	}
}

func TestBlocked(t *testing.T) {
	olareg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, olareg, "other", "2", basemaker.TinyOptions{})
	reg := testenv.StartProxy(t, olareg)
	name := registry.Name{Registry: reg.Host(), Repository: "secret/app"}
	c := client(t, "[[registry]]\nlocation = '"+reg.Host()+"/secret'\nblocked = true\n", nil, registry.Options{})
	for _, mode := range []registry.Mode{registry.ModePull, registry.ModePush} {
		_, err := c.Repository(name, mode).Manifest(t.Context(), "1")
		if diag.CodeOf(err) != diag.RegistryBlocked || !strings.Contains(err.Error(), "registries.conf") {
			t.Errorf("got %v", err)
		}
	}
	if reg.Counts().Requests != 0 {
		t.Error(reg.Log())
	}
	// a tag alone
	c = client(t, "[[registry]]\nprefix = '"+name.Registry+"/other:2'\nlocation = '"+name.Registry+"/other'\nblocked = true\n", nil, registry.Options{})
	name.Repository = "other"
	if _, err := c.Repository(name, registry.ModePull).Manifest(t.Context(), "2"); diag.CodeOf(err) != diag.RegistryBlocked {
		t.Errorf("got %v", err)
	}
	if _, err := c.Repository(name, registry.ModePull).Manifest(t.Context(), "1"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	_, err := client(t, "[[registry]]\n", nil, registry.Options{}).Repository(name, registry.ModePull).Manifest(t.Context(), "1")
	if diag.CodeOf(err) != diag.BadRegistriesConf {
		t.Errorf("got %v", err)
	}
	_, err = client(t, mirrorOf("m.invalid/UPPER"), nil, registry.Options{}).Repository(upstream, registry.ModePull).Manifest(t.Context(), "1")
	if diag.CodeOf(err) != diag.BadRegistriesConf || !strings.Contains(err.Error(), "m.invalid/UPPER/app") {
		t.Errorf("got %v", err)
	}
}

// TestInsecure_part: what is allowed for one part of a registry is not for another.
func TestInsecure_part(t *testing.T) {
	reg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	tr := dialer(testenv.StartFront(t, reg, "reg.example", false))
	t.Cleanup(tr.CloseIdleConnections)
	c := client(t, "[[registry]]\nlocation = 'reg.example/app'\ninsecure = true\n", nil, registry.Options{Transport: tr})
	if _, err := c.Repository(registry.Name{Registry: "reg.example", Repository: "app"}, registry.ModePull).Manifest(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	_, err := c.Repository(registry.Name{Registry: "reg.example", Repository: "other"}, registry.ModePull).Manifest(t.Context(), "1")
	if diag.CodeOf(err) != diag.RegistryUnreachable {
		t.Errorf("got %v", err)
	}
}

// TestHelpers: the credential helpers of registries.conf are asked when no file has an account.
func TestHelpers(t *testing.T) {
	testenv.Require(t, "sh")
	reg := testenv.StartRegistry(t, testenv.WithHtpasswd("company", "pw"))
	testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, answer := range map[string]string{
		"none": "credentials not found in native keychain", "company": `{"Username":"company","Secret":"pw"}`,
	} {
		if err := os.Chmod(write(t, filepath.Join(bin, "docker-credential-"+name), "#!/bin/sh\nread server\necho '"+answer+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := registry.Name{Registry: reg.Host(), Repository: "app"}
	c := client(t, "credential-helpers = ['containers-auth.json', 'none', 'company']\n", map[string]string{"XDG_RUNTIME_DIR": bin}, registry.Options{})
	r := c.Repository(name, registry.ModePull)
	if _, err := r.Manifest(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if login, err := r.Login(t.Context()); err != nil || login.From != "docker-credential-company" {
		t.Errorf("got %+v, %v", login, err)
	}
}
