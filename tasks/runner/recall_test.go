package runner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/recall"
)

// process is what a new process of a build has.
func process(t *testing.T, store *cas.Store, dir, build string) *Env {
	t.Helper()
	return &Env{
		Dir: dir, Stdin: os.Stdin, Stdout: io.Discard, Store: store, Registry: registry.New(registry.Options{}), BuildID: build,
		Log: slog.New(slog.DiscardHandler), Progress: progress.Discard{}, Warn: func(diag.Code, string) {},
	}
}

func recallRequest(t *testing.T, file, host string, tags ...string) {
	t.Helper()
	data, err := json.Marshal(&recall.Request{
		RequestHeader: tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: recall.Stage},
		Registry:      host, Repository: "a/b", Tags: tags, RuntimeIdentifier: "linux-x64",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRecaller: the registry is asked once in a build, by whichever process needs it first; what another build was told counts for
// nothing, nor does the answer to another question.
func TestRecaller(t *testing.T) {
	proxy := testenv.StartProxy(t, testenv.StartRegistry(t))
	dir, store := t.TempDir(), cas.Open(t.TempDir())
	request, response := filepath.Join(dir, "recall.request.json"), filepath.Join(dir, "recall.json")
	recallRequest(t, request, proxy.Host(), "1")
	one := process(t, store, dir, "b1")
	for _, tc := range []struct {
		name     string
		before   func()
		env      *Env
		requests int // a tag and latest; none when the answer is known
	}{
		{"first", nil, one, 2},
		{"the same process", nil, one, 0},
		{"another process of the build", nil, process(t, store, dir, "b1"), 0},
		{"another build", nil, process(t, store, dir, "b2"), 2},
		{"no build", nil, process(t, store, dir, ""), 2},
		{"no build again", nil, process(t, store, dir, ""), 2},
		{"the build is another again", nil, process(t, store, dir, "b2"), 2},
		{"another question", func() { recallRequest(t, request, proxy.Host(), "1", "2") }, process(t, store, dir, "b2"), 3},
		{"the answer is damaged", func() { overwrite(t, response, "{") }, process(t, store, dir, "b2"), 3},
		{"the answer is of another stage", func() { overwrite(t, response, `{"schemaVersion":1,"stage":"scan","build":"b2"}`) }, process(t, store, dir, "b2"), 3},
		{"the answer names no question", func() { overwrite(t, response, `{"schemaVersion":1,"stage":"recall","build":"b2"}`) }, process(t, store, dir, "b2"), 3},
	} {
		if tc.before != nil {
			tc.before()
		}
		proxy.Reset()
		r, err := tc.env.recaller("recall.request.json")
		if err != nil {
			t.Fatal(err)
		}
		if cheap := r.cheap(); cheap != (tc.requests == 0) {
			t.Errorf("%s: cheap is %v", tc.name, cheap)
		}
		got, err := r.ask()(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := proxy.Counts().Requests; n != tc.requests || got.Build != tc.env.BuildID || len(got.Tags) == 0 || !r.cheap() && tc.env.BuildID != "" {
			t.Errorf("%s: %d requests, want %d: %+v", tc.name, n, tc.requests, got)
		}
	}
}

func overwrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRecaller_requests: a request that cannot be used is an error before anything is asked, and none means that nobody is asked.
func TestRecaller_requests(t *testing.T) {
	dir := t.TempDir()
	env := process(t, cas.Open(t.TempDir()), dir, "b")
	if r, err := env.recaller(""); err != nil || r.ask() != nil || r.cheap() {
		t.Errorf("without a request: %v, %v", r, err)
	}
	if _, err := env.recaller("missing.json"); diag.CodeOf(err) != diag.RequestUnreadable {
		t.Errorf("got %v", err)
	}
	recallRequest(t, filepath.Join(dir, "bad.json"), "localhost:1", "no tag")
	if _, err := env.recaller("bad.json"); diag.CodeOf(err) != diag.InvalidTag {
		t.Errorf("got %v", err)
	}
	for _, stage := range []string{"select-base", "create-layers", "compute-config"} {
		s, err := Find(Stages(), stage)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{
			"select-base":    `"resolveBasePath":"x","runtimeIdentifier":"linux-x64"`,
			"create-layers":  `"selectBasePath":"x","fileListPath":"y","workingDirectory":"/app"`,
			"compute-config": `"selectBasePath":"x"`,
		}[stage]
		overwrite(t, filepath.Join(dir, "request.json"), `{"schemaVersion":1,"stage":"`+stage+`","recallRequestPath":"bad.json",`+fields+`}`)
		if err := s.Exec(t.Context(), env, Files{Request: "request.json", Response: "response.json"}); diag.CodeOf(err) != diag.InvalidTag {
			t.Errorf("%s: got %v", stage, err)
		}
	}
}

// TestRecaller_atOnce: stages of one process that ask at once share one answer, and a context that ends is an error that is not kept.
func TestRecaller_atOnce(t *testing.T) {
	proxy := testenv.StartProxy(t, testenv.StartRegistry(t))
	dir := t.TempDir()
	recallRequest(t, filepath.Join(dir, "request.json"), proxy.Host(), "1")
	env := process(t, cas.Open(t.TempDir()), dir, "")
	r, err := env.recaller("request.json")
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.ask()(stopped); !errors.Is(err, context.Canceled) && diag.CodeOf(err) != diag.Interrupted {
		t.Errorf("got %v", err)
	}
	proxy.Reset()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, err := r.ask()(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := proxy.Counts().Requests; n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}
