package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestScripts runs testdata/script/*.txtar with the real binary against a real registry. Each script has a content store of its
// own and a recording proxy in front of the registry, whose name is $REGISTRY. Beside testscript's own commands there are
//
//	base REPO:TAG [docker] [index] [entrypoint]   pushes a small base image for linux/amd64 (index: and linux/arm64)
//	fill FILE...                                  replaces $NAME in files by the script's variables
//	tags REPO TAG...                              checks the tags of a repository
//	digest NAME FILE                              sets $NAME to the top-level digest of a response
//	requests reset                                forgets the requests so far
//	requests COUNT PATTERN                        checks how many requests there were, as "METHOD path"
//	exits STATUS COMMAND...                       runs a command that must end with this status
//	hold PATTERN                                  holds the requests that match from now on; held waits for the first
func TestScripts(t *testing.T) {
	registry := testenv.StartRegistry(t)
	gantry := testenv.BuildGantry(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(env, registry, gantry) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"base":     cmdBase,
			"fill":     cmdFill,
			"tags":     cmdTags,
			"digest":   cmdDigest,
			"requests": cmdRequests,
			"hold":     cmdHold,
			"held":     cmdHeld,
			"exits":    cmdExits,
		},
	})
}

// script is what the commands of one script share.
type script struct {
	t        testing.TB
	registry *testenv.Registry
	proxy    *testenv.Proxy
	skip     int // requests before the last reset
	held     chan struct{}
}

type scriptKey struct{}

func setup(env *testscript.Env, registry *testenv.Registry, gantry string) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return fmt.Errorf("%T is no testing.TB", env.T())
	}
	s := &script{t: t, registry: registry, proxy: testenv.StartProxy(t, registry)}
	env.Values[scriptKey{}] = s
	env.Setenv("PATH", strings.TrimSuffix(gantry, "/gantry")+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("REGISTRY", s.proxy.Host())
	env.Setenv("GANTRY_CACHE_DIR", env.WorkDir+"/.store")
	return os.Mkdir(env.WorkDir+"/tmp", 0o755)
}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func cmdBase(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	repository, tag, _ := strings.Cut(args[0], ":")
	o := basemaker.TinyOptions{Layers: 2, Docker: slices.Contains(args, "docker")}
	if slices.Contains(args, "index") {
		o.Platforms = []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	}
	if slices.Contains(args, "arm64") {
		o.Platforms = []basemaker.Platform{{OS: "linux", Architecture: "arm64"}}
	}
	o.Config = func(config map[string]any) {
		delete(config, "Entrypoint")
		if slices.Contains(args, "entrypoint") {
			config["Entrypoint"] = []string{"/base-entrypoint"}
		}
	}
	base := testenv.PushTinyBase(s.t, s.registry, repository, tag, o)
	ts.Setenv("BASE_DIGEST", base.Digest)
}

var variable = regexp.MustCompile(`\$[A-Z_]+`)

func cmdFill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		file := ts.MkAbs(name)
		text := variable.ReplaceAllStringFunc(ts.ReadFile(file), func(v string) string { return ts.Getenv(v[1:]) })
		ts.Check(os.WriteFile(file, []byte(text), 0o644))
	}
}

func cmdTags(ts *testscript.TestScript, _ bool, args []string) {
	got := of(ts).registry.Tags(args[0])
	slices.Sort(got)
	if want := args[1:]; !slices.Equal(got, want) {
		ts.Fatalf("%s has the tags %q, want %q", args[0], got, want)
	}
}

var topDigest = regexp.MustCompile(`(?m)^  "digest": "(sha256:[0-9a-f]{64})",?$`)

func cmdDigest(ts *testscript.TestScript, _ bool, args []string) {
	m := topDigest.FindStringSubmatch(ts.ReadFile(args[1]))
	if m == nil {
		ts.Fatalf("%s has no digest", args[1])
	}
	ts.Setenv(args[0], m[1])
}

func cmdRequests(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	all := s.proxy.Requests()
	if args[0] == "reset" {
		s.skip = len(all)
		return
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern, got := regexp.MustCompile(args[1]), 0
	for _, r := range all[s.skip:] {
		if pattern.MatchString(r.Method + " " + r.Path) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d requests match %s, want %d", got, args[1], want)
	}
}

func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	s.held = make(chan struct{})
	pattern, never := regexp.MustCompile(args[0]), make(chan struct{})
	var once sync.Once
	s.proxy.Inject(func(r *http.Request) *testenv.Fault {
		if !pattern.MatchString(r.Method + " " + r.URL.Path) {
			return nil
		}
		once.Do(func() { close(s.held) })
		return &testenv.Fault{Wait: never}
	})
	ts.Defer(func() { close(never) })
}

func cmdHeld(ts *testscript.TestScript, _ bool, _ []string) { <-of(ts).held }

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s did not run: %v", args[1], err)
	}
	got := 0
	if exit != nil {
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
