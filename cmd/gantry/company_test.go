package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestCompany runs the real binary where registries have names that only a proxy knows, and certificates that only a file vouches for.
func TestCompany(t *testing.T) {
	gantry := testenv.BuildGantry(t)
	front := testenv.StartFront(t, testenv.StartRegistry(t), "registry.company.example", false)
	open := testenv.StartConnectProxy(t, map[string]string{front.Name: front.Addr}, "")
	guarded := testenv.StartConnectProxy(t, map[string]string{front.Name: front.Addr}, "proxy-user:proxy-password")
	withoutUser := strings.Replace(guarded.URL(), "proxy-user:proxy-password@", "", 1)
	tests := map[string]struct {
		env   []string
		certs bool // a certs.d of the user
		fails string
	}{
		"proxy and SSL_CERT_FILE":   {env: []string{"HTTPS_PROXY=" + open.URL(), "SSL_CERT_FILE=" + front.CAFile}},
		"proxy and certs.d":         {env: []string{"HTTPS_PROXY=" + open.URL()}, certs: true},
		"lower case":                {env: []string{"https_proxy=" + open.URL()}, certs: true},
		"proxy with a user":         {env: []string{"HTTPS_PROXY=" + guarded.URL()}, certs: true},
		"proxy that wants a user":   {env: []string{"HTTPS_PROXY=" + withoutUser}, certs: true, fails: "asks for credentials: set them in HTTPS_PROXY"},
		"no authority":              {env: []string{"HTTPS_PROXY=" + open.URL()}, fails: "certificate"},
		"NO_PROXY":                  {env: []string{"HTTPS_PROXY=" + open.URL(), "NO_PROXY=other.example,.company.example"}, certs: true, fails: front.Name},
		"no proxy":                  {certs: true, fails: front.Name},
		"HTTP_PROXY is not for TLS": {env: []string{"HTTP_PROXY=" + open.URL()}, certs: true, fails: front.Name},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if test.certs {
				ca, err := os.ReadFile(front.CAFile)
				if err != nil {
					t.Fatal(err)
				}
				dir := filepath.Join(home, ".config", "containers", "certs.d", front.Name)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "company.crt"), ca, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := len(open.Hosts())
			cmd := exec.Command(gantry, "registry", "doctor", front.Name+"/team/app")
			cmd.Env = append([]string{"HOME=" + home, "GANTRY_CACHE_DIR=" + t.TempDir(), "GANTRY_RETRIES_ATTEMPTS=1"}, test.env...)
			cmd.Dir = home
			out, err := cmd.CombinedOutput()
			text := string(out)
			if strings.Contains(text, "proxy-password") {
				t.Errorf("the proxy's password is shown:\n%s", text)
			}
			if test.fails != "" {
				if err == nil || !strings.Contains(text, test.fails) || !strings.Contains(text, "failed  connection") {
					t.Errorf("%v\n%s", err, text)
				}
				return
			}
			if err != nil || !strings.Contains(text, "ok      certificate: TLS 1.3, CN="+front.Name) || !strings.Contains(text, "trusted by CN=company authority") ||
				!strings.Contains(text, "through the proxy 127.0.0.1:") {
				t.Errorf("%v\n%s", err, text)
			}
			if hosts := open.Hosts()[before:]; name != "proxy with a user" && !slices.Contains(hosts, front.Name+":443") {
				t.Errorf("the proxy was asked for %q", hosts)
			}
		})
	}
	if len(guarded.Hosts()) == 0 {
		t.Error("the proxy with a user was not used")
	}
}

// TestClientCertificates: a registry that wants a certificate of its clients gets the one in certs.d, where Skopeo finds it too.
func TestClientCertificates(t *testing.T) {
	testenv.Require(t, "skopeo")
	gantry := testenv.BuildGantry(t)
	const name = "registry.company.example"
	reg := testenv.StartRegistry(t, testenv.WithClientCertificates(name))
	testenv.PushTinyBase(t, reg, "team/app", "1", basemaker.TinyOptions{})
	proxy := testenv.StartConnectProxy(t, map[string]string{name: reg.Host()}, "")
	for _, client := range []bool{true, false} {
		home := t.TempDir()
		files := []string{reg.CAFile}
		if client {
			files = append(files, reg.CertFile, reg.KeyFile)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(home, ".config", "containers", "certs.d", name, filepath.Base(file))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run := func(program string, args ...string) string {
			cmd := exec.Command(program, args...)
			cmd.Dir, cmd.Env = home, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "HTTPS_PROXY=" + proxy.URL(), "GANTRY_RETRIES_ATTEMPTS=1"}
			out, err := cmd.CombinedOutput()
			if (err == nil) != client {
				t.Errorf("client certificate %v: %s %q: %v\n%s", client, program, args, err, out)
			}
			return string(out)
		}
		run("skopeo", "inspect", "--raw", "docker://"+name+"/team/app:1")
		if out := run(gantry, "registry", "doctor", name+"/team/app"); !client && (!strings.Contains(out, "certificate") || !strings.Contains(out, "certs.d")) {
			t.Errorf("got\n%s", out)
		}
		run(gantry, "copy", name+"/team/app:1", name+"/team/copy:1")
	}
	if got := reg.Tags("team/copy"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got tags %q", got)
	}
}

// TestCopy_brokenMirror: a blob that a mirror gives wrongly comes from the next place, whatever it is written to.
func TestCopy_brokenMirror(t *testing.T) {
	reg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{})
	bad := testenv.StartProxy(t, reg)
	bad.Inject(testenv.Times(-1, "GET", "/blobs/", testenv.Fault{Corrupt: true}))
	dir := t.TempDir()
	conf := filepath.Join(dir, "registries.conf")
	text := "[[registry]]\nprefix = 'up.invalid'\nlocation = '" + reg.Host() + "'\n[[registry.mirror]]\nlocation = '" + bad.Host() + "'\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"oci:" + dir + "/layout:1", "oci-archive:" + dir + "/oci.tar:1", "docker-archive:" + dir + "/docker.tar:app:1"} {
		bad.Reset()
		p, _, stderr := newProcess(t, "copy", "up.invalid/app:1", to)
		p.getenv = func(name string) string {
			return map[string]string{"HOME": dir, "XDG_RUNTIME_DIR": dir, "CONTAINERS_REGISTRIES_CONF": conf, "GANTRY_CACHE_DIR": t.TempDir()}[name]
		}
		if status := p.run(t.Context()); status != 0 || bad.Counts().Requests < 2 {
			t.Errorf("%s: status %d after %d requests to the mirror\n%s", to, status, bad.Counts().Requests, stderr)
		}
		if out, err := exec.Command("skopeo", "inspect", to).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", to, err, out)
		}
	}
}
