package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestEnvironmentPrecedence is the table of the SDK's variables.
func TestEnvironmentPrecedence(t *testing.T) {
	all := map[string]string{}
	for _, p := range []string{"DOTNET_CONTAINER_PUSH_REGISTRY", "DOTNET_CONTAINER_PULL_REGISTRY", "DOTNET_CONTAINER_REGISTRY", "SDK_CONTAINER_REGISTRY"} {
		all[p+"_UNAME"], all[p+"_PWORD"] = p, "secret"
	}
	tests := []struct {
		mode    Mode
		without []string // prefixes that are not set
		halved  string   // prefix without password
		want    string
	}{
		{mode: ModePush, want: "DOTNET_CONTAINER_PUSH_REGISTRY"},
		{mode: ModePush, without: []string{"DOTNET_CONTAINER_PUSH_REGISTRY"}, want: "DOTNET_CONTAINER_REGISTRY"},
		{mode: ModePush, halved: "DOTNET_CONTAINER_PUSH_REGISTRY", want: "DOTNET_CONTAINER_REGISTRY"},
		{mode: ModePush, without: []string{"DOTNET_CONTAINER_PUSH_REGISTRY"}, halved: "DOTNET_CONTAINER_REGISTRY", want: "SDK_CONTAINER_REGISTRY"},
		{mode: ModePull, want: "DOTNET_CONTAINER_PULL_REGISTRY"},
		{mode: ModePull, without: []string{"DOTNET_CONTAINER_PULL_REGISTRY"}, want: ""},
		{mode: ModePullFromOutput, want: "DOTNET_CONTAINER_PULL_REGISTRY"},
		{mode: ModePullFromOutput, without: []string{"DOTNET_CONTAINER_PULL_REGISTRY"}, want: "DOTNET_CONTAINER_REGISTRY"},
		{mode: ModePullFromOutput, without: []string{"DOTNET_CONTAINER_PULL_REGISTRY", "DOTNET_CONTAINER_REGISTRY"}, want: "SDK_CONTAINER_REGISTRY"},
	}
	for _, tt := range tests {
		got, ok := envCredentials(func(k string) string {
			for _, p := range tt.without {
				if strings.HasPrefix(k, p+"_") {
					return ""
				}
			}
			if k == tt.halved+"_PWORD" {
				return ""
			}
			return all[k]
		}, tt.mode)
		if got.username != tt.want || ok != (tt.want != "") {
			t.Errorf("%+v: got %q, %v", tt, got.username, ok)
		}
	}
}

func auth(user string) string {
	return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":pw")) + `"}`
}

// noHelpers is a machine without credential helpers.
func noHelpers(context.Context, string, string) (credentials, error) {
	return credentials{}, errors.New("no helper here")
}

func TestConfigLookup(t *testing.T) {
	hub := Name{"docker.io", "library/ubuntu"}
	tests := []struct {
		name   string
		config string
		of     Name
		want   string // user, "" for nobody
	}{
		{"plain", `{"auths":{"r.example":` + auth("a") + `}}`, Name{"r.example", "x"}, "a"},
		{"scheme and path", `{"auths":{"https://r.example/v2/":` + auth("a") + `}}`, Name{"r.example", "x"}, "a"},
		{"address", `{"auths":{"https://r.example/api/docker/x":` + auth("a") + `}}`, Name{"r.example", "y"}, "a"},
		{"port counts", `{"auths":{"r.example":` + auth("a") + `}}`, Name{"r.example:5000", "x"}, ""},
		{"case of the host", `{"auths":{"R.Example":` + auth("a") + `}}`, Name{"r.example", "x"}, "a"},
		{"longest", `{"auths":{"r.example":` + auth("a") + `,"r.example/ns":` + auth("b") + `,"r.example/ns/app":` + auth("c") + `}}`, Name{"r.example", "ns/app"}, "c"},
		{"whole components", `{"auths":{"r.example":` + auth("a") + `,"r.example/ns":` + auth("b") + `}}`, Name{"r.example", "nsx/app"}, "a"},
		{"other namespace", `{"auths":{"r.example/ns1":` + auth("a") + `,"r.example/ns2":` + auth("b") + `}}`, Name{"r.example", "ns1/app"}, "a"},
		{"no namespace", `{"auths":{"r.example/ns1":` + auth("a") + `}}`, Name{"r.example", "x"}, ""},
		{"suffix is no match", `{"auths":{"example":` + auth("a") + `}}`, Name{"r.example", "x"}, ""},
		{"docker hub", `{"auths":{"https://index.docker.io/v1/":` + auth("a") + `,"docker.io":` + auth("b") + `}}`, hub, "a"},
		{"docker hub by name", `{"auths":{"docker.io":` + auth("b") + `}}`, hub, "b"},
		{"docker hub by its host", `{"auths":{"registry-1.docker.io":` + auth("b") + `}}`, hub, "b"},
		{"two spellings", `{"auths":{"https://r.example":` + auth("b") + `,"http://r.example":` + auth("a") + `}}`, Name{"r.example", "x"}, "a"},
		{"user and password", `{"auths":{"r.example":{"username":"a","password":"pw"}}}`, Name{"r.example", "x"}, "a"},
		{"password with colon", `{"auths":{"r.example":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("a:p:w")) + `"}}}`, Name{"r.example", "x"}, "a"},
		{"empty entry", `{"auths":{"r.example":{}}}`, Name{"r.example", "x"}, ""},
		{"helper fails, entry good", `{"credsStore":"none","auths":{"r.example":` + auth("a") + `}}`, Name{"r.example", "x"}, "a"},
		{"nothing", `{}`, Name{"r.example", "x"}, ""},
		{"empty file", ``, Name{"r.example", "x"}, ""},
		{"byte order mark", "\ufeff{}", Name{"r.example", "x"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config, err := parseDockerConfig([]byte(tt.config), false)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 { // a map's order must not matter
				got, _ := config.find(t.Context(), noHelpers, tt.of)
				if got.username != tt.want {
					t.Fatalf("got %q, want %q", got.username, tt.want)
				}
			}
		})
	}
}

func TestConfigTokens(t *testing.T) {
	config, err := parseDockerConfig([]byte(`{"auths":{"a.b":{"identitytoken":"it"},"b.b":{"registrytoken":"rt"},"c.b":`+auth("<token>")+`}}`), false)
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]credentials{"a.b": {identity: "it"}, "b.b": {bearer: "rt"}, "c.b": {identity: "pw"}} {
		if got, err := config.find(t.Context(), noHelpers, Name{registry, "x"}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", registry, got, err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `{"auths":"canary-x"}`, `{"auths":{"r.example":{"auth":7}}}`} {
		if _, err := parseDockerConfig([]byte(text), false); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	for _, text := range []string{`{"auths":{"r.example":{"auth":"%%%"}}}`, `{"auths":{"r.example":{"auth":"Y2FuYXJ5"}}}`} {
		config, err := parseDockerConfig([]byte(text), false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.find(t.Context(), noHelpers, Name{"r.example", "x"})
		if err == nil || !got.empty() || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

func TestConfigSources(t *testing.T) {
	dir := t.TempDir()
	place := func(user string, parts ...string) string {
		p := filepath.Join(append([]string{dir}, parts...)...)
		writeFile(t, p, `{"auths":{"r.example":`+auth(user)+`}}`)
		return p
	}
	place("home", "home", ".docker", "config.json")
	place("config", "config", "config.json")
	place("xdg", "run", "containers", "auth.json")
	place("podman", "home", ".config", "containers", "auth.json")
	file := place("file", "auth.json")
	old := podmanFile
	t.Cleanup(func() { podmanFile = old })
	podmanFile = dir + "/%d/auth.json"
	place("run", strconv.Itoa(os.Getuid()), "auth.json")
	writeFile(t, filepath.Join(dir, "old", ".dockercfg"), `{"https://r.example/v1/":`+auth("old")+`}`)
	empty := filepath.Join(dir, "empty")
	tests := []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": dir + "/home"}, "home"},
		{map[string]string{"HOME": dir + "/home", "DOCKER_CONFIG": dir + "/config"}, "config"},
		{map[string]string{"HOME": dir + "/home", "DOCKER_CONFIG": empty}, "run"},
		{map[string]string{"HOME": dir + "/home", "DOCKER_CONFIG": empty, "XDG_RUNTIME_DIR": empty}, "podman"},
		{map[string]string{"HOME": dir + "/old", "DOCKER_CONFIG": empty, "XDG_RUNTIME_DIR": empty}, "old"},
		{map[string]string{"HOME": dir + "/home", "DOCKER_CONFIG": empty, "XDG_RUNTIME_DIR": dir + "/run"}, "xdg"},
		{map[string]string{"DOCKER_CONFIG": empty, "XDG_RUNTIME_DIR": dir + "/run", "REGISTRY_AUTH_FILE": file}, "file"},
		{map[string]string{"HOME": dir + "/home", "DOCKER_AUTH_CONFIG": `{"auths":{"r.example":` + auth("text") + `}}`}, "text"},
		{map[string]string{"XDG_RUNTIME_DIR": empty}, ""},
	}
	for _, tt := range tests {
		c := New(Options{Getenv: func(k string) string { return tt.env[k] }})
		got, err := c.lookup(t.Context(), Name{"r.example", "x"}, ModePull)
		if err != nil || got.username != tt.want {
			t.Errorf("%v: got %q, %v, want %q", tt.env, got.username, err, tt.want)
		}
	}
}

// TestCredentialHelpers runs real programs, as Docker does.
func TestCredentialHelpers(t *testing.T) {
	testenv.Require(t, "sh")
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	helper := func(name, script string) {
		writeFile(t, filepath.Join(bin, "docker-credential-"+name), "#!/bin/sh\nread server\n"+script+"\n")
		if err := os.Chmod(filepath.Join(bin, "docker-credential-"+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	helper("good", `echo "{\"ServerURL\":\"$server\",\"Username\":\"$1 $server\",\"Secret\":\"s3cret\"}"`)
	helper("token", `echo '{"Username":"<token>","Secret":"s3cret"}'`)
	helper("none", `echo "credentials not found in native keychain"; exit 1`)
	helper("broken", `echo '{"Secret":"canary-secret"}'; echo canary-secret >&2; exit 1`)
	helper("garbage", `echo canary-secret`)
	tests := []struct {
		config, user string
		bad          bool
	}{
		{`{"credHelpers":{"r.example":"good"},"credsStore":"broken"}`, "get r.example", false},
		{`{"credsStore":"good"}`, "get r.example", false},
		{`{"credsStore":"token"}`, "", false},
		{`{"credsStore":"none"}`, "", false},
		{`{"credsStore":"none","auths":{"r.example":` + auth("a") + `}}`, "a", false},
		{`{"credHelpers":{"r.example":"absent"},"credsStore":"good"}`, "get r.example", false},
		{`{"credsStore":"broken"}`, "", true},
		{`{"credsStore":"garbage"}`, "", true},
		{`{"credsStore":"../../bin/good"}`, "", true},
	}
	c := New(Options{})
	for _, tt := range tests {
		config, err := parseDockerConfig([]byte(tt.config), false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.find(t.Context(), c.runHelper, Name{"r.example", "x"})
		if got.username != tt.user || (err != nil) != tt.bad || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: got %q, %v", tt.config, got.username, err)
		}
	}
	config := &dockerConfig{CredsStore: "good"}
	if got, err := config.find(t.Context(), c.runHelper, Name{"docker.io", "library/x"}); err != nil || got.username != "get "+dockerHubKey {
		t.Errorf("docker hub: got %q, %v", got.username, err)
	}
}

// TestMissingHelper keeps nobody from pulling a public image, and says what
// is missing when the registry wants credentials after all.
func TestMissingHelper(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), `{"credsStore":"that-is-not-there"}`)
	ask := step{want: getTag, status: 401, answer: []string{`WWW-Authenticate: Bearer realm="http://HOST/token"`}}
	runScripts(t, []scriptCase{
		{
			name: "public", env: map[string]string{"DOCKER_CONFIG": dir}, do: pullTag,
			steps: []step{ask, {want: "GET /token*", status: 200, body: `{"token":"one"}`}, {want: getTag, auth: "Bearer one", status: 200, answer: []string{ociType}, body: string(testManifest)}},
		},
		{
			name: "not public", env: map[string]string{"DOCKER_CONFIG": dir}, do: pullTag, want: diag.CredentialsUnavailable, says: "docker-credential-that-is-not-there",
			steps: []step{ask, {want: "GET /token*", status: 401}},
		},
	})
}
