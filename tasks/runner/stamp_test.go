package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

type stampRequest struct {
	tasks.RequestHeader
	SelectBasePath    string `json:"selectBasePath"`
	RecallRequestPath string `json:"recallRequestPath,omitempty"`
	User              string `json:"user,omitempty"`
}

func (*stampRequest) Validate() error { return nil }

type stampResponse struct {
	tasks.ResponseHeader
	User string `json:"user"`
}

const (
	configFolder  = `"schemaVersion": 1, "stage": "compute-config", `
	configRequest = "{" + configFolder + `"extendsPath": "shared.json", "selectBasePath": "base.json", "recallRequestPath": "recall.json"}`
)

// stampStage is a stage with a stamp; do is what it does.
func stampStage(do func() error) Stage {
	return typed(Stage{Name: "compute-config"}, func(_ context.Context, _ *Env, _ string, req *stampRequest) (*stampResponse, error) {
		return &stampResponse{User: req.User}, do()
	})
}

// stampEnv has the documents of stampStage.
func stampEnv(t *testing.T) *Env {
	t.Helper()
	env, _ := newEnv(t, map[string]string{
		"request.json": configRequest, "shared.json": "{" + configFolder + `"user": "app"}`, "base.json": `{"a": "\\"}`, "stamp/x": "",
	})
	env.Tool = "1.0 /gantry 00"
	return env
}

var stampFiles = Files{Request: "request.json", Response: "response.json"}

func put(t *testing.T, env *Env, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(env.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func text(env *Env, name string) string {
	data, err := os.ReadFile(filepath.Join(env.Dir, name))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func TestStamp_changes(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, env *Env)
		ran    bool
	}{
		{"nothing", func(*testing.T, *Env) {}, false},
		{"the same text written again", func(t *testing.T, env *Env) { put(t, env, "base.json", `{"a": "\\"}`+"\n") }, false},
		{"the request", func(t *testing.T, env *Env) { put(t, env, "request.json", configRequest+" ") }, false},
		{"a setting", func(t *testing.T, env *Env) {
			put(t, env, "request.json", "{"+configFolder+`"selectBasePath": "base.json", "user": "b"}`)
		}, true},
		{"the request that is extended", func(t *testing.T, env *Env) { put(t, env, "shared.json", "{"+configFolder+`"user": "b"}`) }, true},
		{"a response before", func(t *testing.T, env *Env) { put(t, env, "base.json", `{"a": "/"}`) }, true},
		{"what it need not read", func(t *testing.T, env *Env) { put(t, env, "recall.json", `{}`) }, false},
		{"the tool", func(_ *testing.T, env *Env) { env.Tool = "1.1 /gantry 00" }, true},
		{"no response", func(t *testing.T, env *Env) { os.Remove(filepath.Join(env.Dir, "response.json")) }, true},
		{"an emptied response", func(t *testing.T, env *Env) { put(t, env, "response.json", "") }, true},
		{"half a response", func(t *testing.T, env *Env) { put(t, env, "response.json", `{"user": "a`) }, true},
		{"no stamp", func(t *testing.T, env *Env) { os.Remove(filepath.Join(env.Dir, "stamp/s")) }, true},
		{"half a stamp", func(t *testing.T, env *Env) { put(t, env, "stamp/s", "1.0 /gantry 00\n{") }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := stampEnv(t)
			stage := stampStage(func() error { return nil })
			for i, want := range []bool{true, tt.ran, false} {
				if i == 1 {
					tt.change(t, env)
				}
				ran, err := stage.ExecUnlessCurrent(t.Context(), env, stampFiles, "stamp/s")
				if err != nil || ran != want {
					t.Errorf("call %d: ran %t, want %t; %v", i, ran, want, err)
				}
			}
		})
	}
}

// TestStamp_trust: what was taken from an earlier image is made when such images are no longer trusted.
func TestStamp_trust(t *testing.T) {
	env := stampEnv(t)
	stage := stampStage(func() error { return nil })
	for i, call := range []struct{ makeLayers, ran bool }{{false, true}, {false, false}, {true, true}, {true, false}, {false, true}} {
		env.MakeLayers = call.makeLayers
		if ran, err := stage.ExecUnlessCurrent(t.Context(), env, stampFiles, "stamp/s"); err != nil || ran != call.ran {
			t.Errorf("call %d: ran %t, want %t; %v", i, ran, call.ran, err)
		}
	}
}

// A stamp must never be equal to what is read while the response is that of something else.
func TestStamp_interrupted(t *testing.T) {
	env := stampEnv(t)
	stage := stampStage(func() error { return nil })
	if _, err := stage.ExecUnlessCurrent(t.Context(), env, stampFiles, "stamp/s"); err != nil {
		t.Fatal(err)
	}
	first, response := text(env, "stamp/s"), text(env, "response.json")
	if text(env, "stamp/s.before") != noStamp {
		t.Errorf("the stamp before the first is %q", text(env, "stamp/s.before"))
	}

	put(t, env, "base.json", `{"a": 2}`)
	failing := stampStage(func() error {
		if got := text(env, "stamp/s"); got == first {
			t.Error("the stamp is there while the stage runs")
		}
		return diag.New(diag.InvalidValue, "failed", "")
	})
	if _, err := failing.ExecUnlessCurrent(t.Context(), env, stampFiles, "stamp/s"); diag.CodeOf(err) != diag.InvalidValue {
		t.Errorf("error %v", err)
	}
	if text(env, "stamp/s") != first || text(env, "response.json") != response {
		t.Error("a run that failed changed stamp or response")
	}

	changing := stampStage(func() error {
		put(t, env, "base.json", `{"a": 3}`)
		return nil
	})
	if _, err := changing.ExecUnlessCurrent(t.Context(), env, stampFiles, "stamp/s"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "stamp/s")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stamped, though what the stage reads changed while it ran: %v", err)
	}
	if text(env, "stamp/s.before") != first {
		t.Error("the stamp before is not that of the last run")
	}
}

func TestStamp_refused(t *testing.T) {
	env, _ := newEnv(t, map[string]string{"request.json": "{" + head + `"fromPath": "a"}`})
	if _, err := copyStage(&copyRequest{}).ExecUnlessCurrent(t.Context(), env, stampFiles, "s"); diag.CodeOf(err) != diag.BadUsage {
		t.Errorf("error %v", err)
	}
}
