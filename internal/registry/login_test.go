package registry

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// run is a program of a user whose home is a folder; it has to succeed.
func run(t *testing.T, home, stdin string, env []string, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// TestLogin: whoever has logged in with Podman or Skopeo has to Gantry.
func TestLogin(t *testing.T) {
	testenv.Require(t, "skopeo", "podman")
	reg := testenv.StartRegistry(t, testenv.WithHtpasswd("company-user", "pass:word"))
	testenv.PushTinyBase(t, reg, "team/app", "1", basemaker.TinyOptions{})
	tests := map[string]struct {
		program, at string
		env         []string // @ is the home
		file        string
	}{
		"podman":                  {program: "podman", env: []string{"XDG_RUNTIME_DIR=@/run"}, file: "run/containers/auth.json"},
		"podman, for a namespace": {program: "podman", at: "/team", env: []string{"XDG_RUNTIME_DIR=@/run"}, file: "run/containers/auth.json"},
		"podman, named file":      {program: "podman", env: []string{"REGISTRY_AUTH_FILE=@/a.json"}, file: "a.json"},
		"skopeo":                  {program: "skopeo", env: []string{"XDG_RUNTIME_DIR=@/run"}, file: "run/containers/auth.json"},
		"skopeo, for an image":    {program: "skopeo", at: "/team/app", env: []string{"REGISTRY_AUTH_FILE=@/a.json"}, file: "a.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if err := os.Mkdir(filepath.Join(home, "run"), 0o700); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home}
			var theirs []string
			for _, v := range test.env {
				key, value, _ := strings.Cut(strings.ReplaceAll(v, "@", home), "=")
				theirs, env[key] = append(theirs, key+"="+value), value
			}
			run(t, home, "pass:word", theirs, test.program, "login", "--tls-verify=false", "--username", "company-user", "--password-stdin", reg.Host()+test.at)
			c := New(Options{Getenv: func(k string) string { return env[k] }})
			r := c.Repository(Name{reg.Host(), "team/app"}, ModePull)
			if _, err := r.Manifest(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			login, err := r.Login(t.Context())
			if want := filepath.Join(home, test.file); err != nil || login.From != want {
				t.Errorf("the account is from %q, want %q, %v", login.From, want, err)
			}
			_, err = c.Repository(Name{reg.Host(), "other"}, ModePull).HeadManifest(t.Context(), "1")
			if got := strings.Contains(err.Error(), "wants credentials"); got != (test.at != "") {
				t.Errorf("another repository: %v", err)
			}
		})
	}
}

// TestAccountsLikeSkopeo: of the accounts of one file, the same is used.
func TestAccountsLikeSkopeo(t *testing.T) {
	testenv.Require(t, "skopeo", "sh")
	reg := testenv.StartRegistry(t, testenv.WithHtpasswd("right", "pw"))
	p := testenv.StartProxy(t, reg)
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	helper := filepath.Join(bin, "docker-credential-company")
	writeFile(t, helper, "#!/bin/sh\nread server\necho '{\"Username\":\"helper\",\"Secret\":\"pw\"}'\n")
	if err := os.Chmod(helper, 0o755); err != nil {
		t.Fatal(err)
	}
	h := p.Host()
	tests := map[string]struct{ config, want string }{
		"host":                 {`{"auths":{"` + h + `":` + auth("host") + `}}`, "host"},
		"longest":              {`{"auths":{"` + h + `":` + auth("host") + `,"` + h + `/team":` + auth("team") + `,"` + h + `/team/app":` + auth("app") + `}}`, "app"},
		"whole names":          {`{"auths":{"` + h + `/te":` + auth("te") + `,"` + h + `/team/a":` + auth("a") + `}}`, ""},
		"address":              {`{"auths":{"https://` + h + `/v2/":` + auth("address") + `}}`, "address"},
		"address with a path":  {`{"auths":{"http://` + h + `/artifactory/api":` + auth("address") + `}}`, "address"},
		"helper":               {`{"credHelpers":{"` + h + `":"company"}}`, "helper"},
		"helper over entry":    {`{"auths":{"` + h + `/team":` + auth("team") + `},"credHelpers":{"` + h + `":"company"}}`, "helper"},
		"helper of another":    {`{"auths":{"` + h + `/team":` + auth("team") + `},"credHelpers":{"x.example":"company"}}`, "team"},
		"entry without an end": {`{"auths":{"` + h + `":{},"` + h + `/team/app":{}}}`, ""},
	}
	users := func() string {
		out := ""
		for _, r := range p.Requests() {
			if text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")); err == nil && len(text) > 0 {
				out, _, _ = strings.Cut(string(text), ":")
			}
		}
		p.Reset()
		return out
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			file := filepath.Join(home, "auth.json")
			writeFile(t, file, test.config)
			cmd := exec.Command("skopeo", "inspect", "--raw", "--tls-verify=false", "--authfile", file, "docker://"+h+"/team/app:1")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
			_ = cmd.Run() // none of the accounts may
			theirs := users()
			c := New(Options{Getenv: func(k string) string {
				return map[string]string{"REGISTRY_AUTH_FILE": file, "XDG_RUNTIME_DIR": home}[k]
			}})
			_, _ = c.Repository(Name{h, "team/app"}, ModePull).Manifest(t.Context(), "1")
			if ours := users(); ours != theirs || ours != test.want {
				t.Errorf("got %q, Skopeo %q, want %q", ours, theirs, test.want)
			}
		})
	}
}
