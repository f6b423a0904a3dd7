package runner

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/save"
)

// pushOf is a push that counts.
func pushOf(pushed *int) Stage {
	return typed(Stage{Name: "push"}, func(_ context.Context, env *Env, _ string, _ *push.Request) (*push.Response, error) {
		*pushed++
		env.Log.Info("pushed")
		return &push.Response{}, nil
	})
}

// currentEnv is a folder with all requests and responses, and no stamp.
func currentEnv(t *testing.T) (*Env, *bytes.Buffer) {
	t.Helper()
	files := map[string]string{"app/shop": "the app", "stamp/x": "", "steps": ""}
	for stage, fields := range map[string]string{
		"scan":           `"folderPath": "app"`,
		"select-base":    `"resolveBasePath": "resolve-base.json", "runtimeIdentifier": "linux-x64"`,
		"compute-config": `"selectBasePath": "select-base.json"`,
		"create-layers":  `"selectBasePath": "select-base.json", "fileListPath": "scan.json", "workingDirectory": "/app/"`,
		"push": `"registry": "example.com", "repository": "shop", "tags": ["1"], "selectBasePath": "select-base.json",
			"computeConfigPath": "compute-config.json", "createLayersPath": "create-layers.json"`,
	} {
		files[stage+".request.json"] = `{"schemaVersion": 1, "stage": "` + stage + `", ` + fields + `}`
		files[stage+".json"] = "{}"
	}
	files["resolve-base.json"] = "{}"
	env, _ := newEnv(t, files)
	var log bytes.Buffer
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	return env, &log
}

// stampAs writes the stamp that a run of the stage would leave.
func stampAs(t *testing.T, env *Env, stage string) {
	t.Helper()
	s, err := Find(Stages(), stage)
	if err != nil {
		t.Fatal(err)
	}
	reads, err := s.reads(env, stage+".request.json")
	if err != nil {
		t.Fatal(err)
	}
	put(t, env, filepath.Join("stamp", stage), string(reads))
}

// TestExecIfCurrent goes through a publish in which all stages have work: after each the push comes one stage further.
func TestExecIfCurrent(t *testing.T) {
	env, log := currentEnv(t)
	pushed := 0
	files := Files{Request: "push.request.json", Response: "push.json"}
	stages := []string{"select-base", "compute-config", "create-layers"}
	for i := range len(stages) + 1 {
		err := pushOf(&pushed).ExecIfCurrent(t.Context(), env, files, "steps")
		if i == len(stages) {
			if err != nil || pushed != 1 {
				t.Errorf("all current: %v, pushed %d times", err, pushed)
			}
			break
		}
		if err != NotCurrent || pushed != 0 {
			t.Errorf("%s has work: %v, pushed %d times", stages[i], err, pushed)
		}
		stampAs(t, env, stages[i])
	}
	if got, want := text(env, "steps"), "scan ran\nselect-base skipped\ncompute-config skipped\ncreate-layers skipped\n"; got != want {
		t.Errorf("steps\n got %q\nwant %q", got, want)
	}
	if got := log.String(); strings.Contains(got, "scanned") || !strings.Contains(got, "pushed") {
		t.Errorf("log:\n%s", got)
	}

	put(t, env, "steps", "")
	put(t, env, "app/shop", "another app")
	if err := pushOf(&pushed).ExecIfCurrent(t.Context(), env, files, "steps"); err != NotCurrent || pushed != 1 {
		t.Errorf("a file changed: %v, pushed %d times", err, pushed)
	}
	if got, want := text(env, "steps"), "scan ran\nselect-base skipped\ncompute-config skipped\n"; got != want {
		t.Errorf("a file changed: steps\n got %q\nwant %q", got, want)
	}
}

func TestExecIfCurrent_errors(t *testing.T) {
	files := Files{Request: "push.request.json", Response: "push.json"}
	pushed := 0
	env, _ := currentEnv(t)
	put(t, env, "scan.request.json", `{"schemaVersion": 1, "stage": "scan", "folderPath": "gone"}`)
	if err := pushOf(&pushed).ExecIfCurrent(t.Context(), env, files, "steps"); diag.CodeOf(err) != diag.PublishFolderMissing {
		t.Errorf("no publish folder: %v", err)
	}
	// the base comes first, and its request may not be there
	put(t, env, "resolve-base.request.json", `{"schemaVersion": 1, "stage": "resolve-base", "reference": "example.com/b a"}`)
	if err := pushOf(&pushed).ExecIfCurrent(t.Context(), env, files, "steps"); diag.CodeOf(err) == diag.PublishFolderMissing || err == nil {
		t.Errorf("no base: %v", err)
	}
	if err := pushOf(&pushed).ExecIfCurrent(t.Context(), env, files, ""); diag.CodeOf(err) != diag.BadUsage {
		t.Errorf("no trace: %v", err)
	}
	if err := copyStage(&copyRequest{}).ExecIfCurrent(t.Context(), env, files, "steps"); diag.CodeOf(err) != diag.BadUsage {
		t.Errorf("another stage: %v", err)
	}
	if pushed != 0 {
		t.Errorf("pushed %d times", pushed)
	}
}

// TestExecIfCurrent_save: the stage for other destinations does as push does.
func TestExecIfCurrent_save(t *testing.T) {
	env, _ := currentEnv(t)
	put(t, env, "save.request.json", `{"schemaVersion": 1, "stage": "save", "repository": "shop", "tags": ["1"], "destination": "archive",
		"archivePath": "out.d/", "selectBasePath": "select-base.json", "computeConfigPath": "compute-config.json", "createLayersPath": "create-layers.json"}`)
	s, err := Find(Stages(), "save")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ExecIfCurrent(t.Context(), env, Files{Request: "save.request.json", Response: "save.json"}, "steps"); err != NotCurrent {
		t.Errorf("select-base has work: %v", err)
	}
	req, _, err := s.load(env, "save.request.json")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.(*save.Request).ArchivePath, filepath.Join(env.Dir, "out.d")+string(filepath.Separator); got != want {
		t.Errorf("a folder for archives: got %s, want %s", got, want)
	}
}

// What a user should see of stages in the push's own process passes; the rest would be shown with what the push says.
func TestQuiet(t *testing.T) {
	env, log := currentEnv(t)
	quiet := env.quiet().Log.With("stage", "scan")
	quiet.Info("scanned")
	quiet.Info(diag.MessageLine(diag.PublishedCopyStale, "replaced"))
	quiet.Warn("look")
	if got := log.String(); strings.Contains(got, "scanned") || !strings.Contains(got, "GANTRY4016: replaced") || !strings.Contains(got, "look") {
		t.Errorf("log:\n%s", got)
	}
}
