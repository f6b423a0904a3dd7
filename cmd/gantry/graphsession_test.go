package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// planSite writes a list of one image, HOST/app:1 from HOST/base:1, and files beside it, and returns a process that plans it.
func planSite(t *testing.T, host string, env, files map[string]string) (p *process, dir string, output func() string) {
	t.Helper()
	dir = t.TempDir()
	all := map[string]string{
		"graph/gantry.graph.toml": fmt.Sprintf("[[image]]\nname = 'app'\ncontext = '.'\ntags = ['%s/app:1']\n", host),
		"graph/Dockerfile":        fmt.Sprintf("FROM %s/base:1\nCOPY Dockerfile /\n", host),
	}
	for name, text := range files {
		all[name] = strings.ReplaceAll(text, "$DIR", dir)
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, stdout, stderr := newProcess(t, "graph", "plan", "--list", filepath.Join(dir, "graph"))
	environ := map[string]string{"HOME": dir, "XDG_RUNTIME_DIR": dir, "GANTRY_SETTINGS_DIR": filepath.Join(dir, "graph")}
	for name, value := range env {
		environ[name] = strings.ReplaceAll(value, "$DIR", dir)
	}
	p.getenv = func(name string) string { return environ[name] }
	return p, dir, func() string { return stdout.String() + stderr.String() }
}

// TestGraphPlan_mirror: what is outside the graph is read where registries.conf says. What the graph itself makes is asked for at its
// registry: a mirror may still have what is gone there.
func TestGraphPlan_mirror(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "mirror/base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	conf := "[[registry]]\nlocation = '%[1]s'\ninsecure = true\n[[registry.mirror]]\nlocation = '%[1]s/mirror'\ninsecure = true\n"
	env := map[string]string{"CONTAINERS_REGISTRIES_CONF": "$DIR/registries.conf", "GANTRY_CACHE_DIR": t.TempDir()}
	p, _, output := planSite(t, proxy.Host(), env, map[string]string{"registries.conf": fmt.Sprintf(conf, proxy.Host())})
	if status := p.run(t.Context()); status != 0 || !strings.Contains(output(), "no build of it is recorded") {
		t.Fatalf("status %d\n%s", status, output())
	}
	if got := proxy.Log(); strings.Contains(got, "/mirror/app/") || !strings.Contains(got, "/v2/app/manifests/src-") || !strings.Contains(got, "/mirror/base/") {
		t.Errorf("requests:\n%s", got)
	}
}

// TestGraphPlan_settings: a gantry.toml beside the list says where things are kept, and how often a registry is asked.
func TestGraphPlan_settings(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	files := map[string]string{"graph/gantry.toml": "[cache]\ndir = '../kept'\n[retries]\nattempts = 1\n[limits]\nrequests = 1\n"}
	p, dir, output := planSite(t, proxy.Host(), nil, files)
	if status := p.run(t.Context()); status != 0 {
		t.Fatalf("status %d\n%s", status, output())
	}
	for _, name := range []string{"graph", "records/references/*.json"} {
		if got, err := filepath.Glob(filepath.Join(dir, "kept", name)); err != nil || len(got) != 1 {
			t.Errorf("%s: kept %q, %v", name, got, err)
		}
	}
	proxy.Reset()
	proxy.Inject(testenv.Times(-1, http.MethodHead, "/base/", testenv.Fault{Status: http.StatusServiceUnavailable}))
	p, _, output = planSite(t, proxy.Host(), nil, files)
	p.args = append(p.args, "--config", filepath.Join(dir, "graph", "gantry.toml"))
	if status := p.run(t.Context()); status != 3 || strings.Count(proxy.Log(), "/base/") != 1 {
		t.Errorf("status %d\n%s\n%s", status, output(), proxy.Log())
	}
}

// TestGraphPlan_login: the account is that of Docker's configuration.
func TestGraphPlan_login(t *testing.T) {
	tokens := testenv.StartTokenServer(t, "ada", "pa55word!", 0)
	reg := testenv.StartRegistry(t, testenv.WithToken(tokens))
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	auth := fmt.Sprintf(`{"auths": {%q: {"auth": "YWRhOnBhNTV3b3JkIQ=="}}}`, reg.Host())
	before := len(tokens.Requests())
	env := map[string]string{"DOCKER_CONFIG": "$DIR", "GANTRY_CACHE_DIR": t.TempDir()}
	p, _, output := planSite(t, reg.Host(), env, map[string]string{"config.json": auth})
	if status := p.run(t.Context()); status != 0 {
		t.Fatalf("status %d\n%s", status, output())
	}
	asked := tokens.Requests()[before:]
	if len(asked) < 2 || slices.ContainsFunc(asked, func(r testenv.TokenRequest) bool { return r.User != "ada" }) {
		t.Errorf("got %v", asked)
	}
}

// TestGraphPlan_refused: a wrong password, or none, must not make a plan that builds everything.
func TestGraphPlan_refused(t *testing.T) {
	tokens := testenv.StartTokenServer(t, "ada", "pa55word!", 0)
	servers := map[string]*testenv.Registry{
		"password": testenv.StartRegistry(t, testenv.WithHtpasswd("ada", "pa55word!")),
		"token":    testenv.StartRegistry(t, testenv.WithToken(tokens)),
	}
	for name, reg := range servers {
		for account, code := range map[string]string{
			fmt.Sprintf(`{"auths": {%q: {"auth": "YWRhOndyb25n"}}}`, reg.Host()): "CONTAINER1016", `{}`: "CONTAINER1008",
		} {
			if name == "token" && account == "{}" {
				continue // it may have a token for what anybody may read
			}
			p, _, output := planSite(t, reg.Host(), map[string]string{"DOCKER_CONFIG": "$DIR", "GANTRY_CACHE_DIR": t.TempDir()},
				map[string]string{"config.json": account, "graph/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
			if status := p.run(t.Context()); status != 1 || !strings.Contains(output(), code) || strings.Contains(output(), "Build 1 of 1") {
				t.Errorf("%s %s: status %d\n%s", name, account, status, output())
			}
		}
	}
}

// TestGraphPlan_company runs the real binary where a registry has a name that only a proxy knows, and a certificate that nobody knows.
func TestGraphPlan_company(t *testing.T) {
	gantry := testenv.BuildGantry(t)
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	front := testenv.StartFront(t, reg, "registry.company.example", false)
	open := testenv.StartConnectProxy(t, map[string]string{front.Name: front.Addr}, "")
	ca, err := os.ReadFile(front.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env, files map[string]string
		fails      bool
	}{
		"nothing":         {fails: true},
		"certs.d":         {files: map[string]string{".config/containers/certs.d/" + front.Name + "/company.crt": string(ca)}},
		"registries.conf": {files: map[string]string{"registries.conf": "[[registry]]\nlocation = '" + front.Name + "'\ninsecure = true\n"}},
		"a variable":      {env: map[string]string{"DOTNET_CONTAINER_INSECURE_REGISTRIES": front.Name}},
	} {
		t.Run(name, func(t *testing.T) {
			_, dir, _ := planSite(t, front.Name, nil, test.files)
			cmd := exec.CommandContext(t.Context(), gantry, "graph", "plan", "--list", "graph")
			cmd.Dir = dir
			cmd.Env = []string{
				"HOME=" + dir, "GANTRY_CACHE_DIR=" + t.TempDir(), "GANTRY_RETRIES_ATTEMPTS=1", "HTTPS_PROXY=" + open.URL(),
				"CONTAINERS_REGISTRIES_CONF=" + filepath.Join(dir, "registries.conf"),
			}
			if test.files["registries.conf"] == "" {
				cmd.Env = cmd.Env[:len(cmd.Env)-1]
			}
			for name, value := range test.env {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, err := cmd.CombinedOutput()
			if (err != nil) != test.fails || test.fails && !strings.Contains(string(out), "certificate") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestGraphRun_secrets: what may be a secret is in no record, and in no reason; that it changed is.
func TestGraphRun_secrets(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	app := testenv.PushTinyBase(t, reg, "app", "1", basemaker.TinyOptions{Docker: true})
	list := "[[image]]\nname = 'app'\ncontext = '.'\ntags = ['%[1]s/app:1']\nargs = { TOKEN = '%[2]s' }\n"
	dockerfile := "FROM %[1]s/base:1\nARG TOKEN\nENV E=$TOKEN\nADD --checksum=%[3]s https://ada:$TOKEN@example.org/x?s=$TOKEN /x\nRUN login %[2]s\nCOPY Dockerfile /\n"
	env := map[string]string{"GANTRY_CACHE_DIR": t.TempDir()}
	site := func(secret string, args ...string) string {
		t.Helper()
		p, dir, output := planSite(t, reg.Host(), env, map[string]string{
			"graph/gantry.graph.toml": fmt.Sprintf(list, reg.Host(), secret), "graph/Dockerfile": fmt.Sprintf(dockerfile, reg.Host(), secret, app.Digest),
		})
		p.args = append([]string{"gantry", "graph"}, append(args, "--list", filepath.Join(dir, "graph"))...)
		if status := p.run(t.Context()); status != 0 {
			t.Fatalf("status %d\n%s", status, output())
		}
		return output()
	}
	site("s3cret-old", "run", "--builder", "echo "+app.Digest+" >$GANTRY_DIGEST_FILE")
	if out, err := exec.Command("grep", "-rl", "s3cret", reg.Dir()).CombinedOutput(); err == nil || len(out) > 0 {
		t.Errorf("%v: in the registry:\n%s", err, out)
	}
	if out, err := exec.Command("grep", "-rl", "argument", reg.Dir()).CombinedOutput(); err != nil {
		t.Errorf("there is no record: %v\n%s", err, out)
	}
	for _, format := range []string{"text", "html", "dot", "mermaid"} {
		out := site("s3cret-new", "plan", "--all", "--format", format)
		if format == "html" { // which has what a job needs, as the JSON has
			continue
		}
		if strings.Contains(out, "s3cret") || format == "text" && !strings.Contains(out, "argument TOKEN changed\n") {
			t.Errorf("%s: got %s", format, out)
		}
	}
}

// TestGraph_flags: every command on a graph takes the flags of all commands, and a file of settings.
func TestGraph_flags(t *testing.T) {
	p, _, _ := newProcess(t)
	for _, command := range p.app().Commands {
		if command.Name != "graph" {
			continue
		}
		if len(command.Subcommands) < 7 {
			t.Errorf("only %d commands", len(command.Subcommands))
		}
		for _, sub := range command.Subcommands {
			has := map[string]bool{}
			for _, f := range sub.Flags {
				for _, name := range f.Names() {
					if has[name] {
						t.Errorf("graph %s has --%s twice", sub.Name, name)
					}
					has[name] = true
				}
			}
			for _, name := range []string{"config", "error-file", "verbosity", "log-format"} {
				if !has[name] {
					t.Errorf("graph %s has no --%s", sub.Name, name)
				}
			}
		}
	}
}

// TestGraphPlan_limited: a registry that wants a pause gets it, and one that wants hours ends the plan with what it says of its limit.
func TestGraphPlan_limited(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	proxy := testenv.StartProxy(t, reg)
	soon := testenv.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
	hub := testenv.Fault{
		Status: http.StatusTooManyRequests, Body: `{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your limit"}]}`,
		Header: http.Header{"Ratelimit-Limit": {"100;w=21600"}, "Ratelimit-Remaining": {"0;w=21600"}},
	}
	for _, test := range []struct {
		fault  testenv.Fault
		status int
		says   string
	}{
		{soon, 0, "the registry limits requests: it is not asked for a time, and then fewer at once registry=" + proxy.Host() + " pause=1s at-once=1\n"},
		{hub, 3, "/base:1: the registry limits requests to 100 in 6h, and wants none for 6h: GET "},
	} {
		proxy.Reset()
		proxy.Inject(testenv.Times(1, http.MethodGet, "/base/", test.fault))
		p, _, output := planSite(t, proxy.Host(), map[string]string{"GANTRY_CACHE_DIR": t.TempDir()}, nil)
		if status := p.run(t.Context()); status != test.status || strings.Count(output(), "limits requests") != 1 || !strings.Contains(output(), test.says) {
			t.Errorf("status %d, want %d and %q\n%s", status, test.status, test.says, output())
		}
	}
}
