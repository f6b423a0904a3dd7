package runner

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/tasks"
)

type copyRequest struct {
	tasks.RequestHeader
	FromPath  string            `json:"fromPath"`
	MorePaths []string          `json:"morePaths,omitempty"`
	Items     []copyItem        `json:"items,omitempty"`
	Values    []string          `json:"values,omitempty"`
	ToPath    string            `json:"toPath,omitempty"`
	Labels    []tasks.NameValue `json:"labels,omitempty"`
}

type copyItem struct {
	SourcePath string `json:"sourcePath"`
}

func (r *copyRequest) Validate() error {
	var errs []error
	if r.FromPath == "" {
		errs = append(errs, errors.New("fromPath is missing"))
	}
	for _, v := range r.Values {
		if v == "bad" {
			errs = append(errs, diag.New(diag.InvalidTag, "values has a bad one", "correct it"))
		}
	}
	return errors.Join(errs...)
}

type copyResponse struct {
	tasks.ResponseHeader
	FromPath string   `json:"fromPath"`
	List     []string `json:"list"`
	Text     string   `json:"text"`
}

// copyStage is a stage that reads one file and tells what it was asked.
func copyStage(got *copyRequest) Stage {
	return typed(Stage{Name: "copy", OutputFields: []string{"toPath"}},
		func(_ context.Context, _ *Env, _ string, req *copyRequest) (*copyResponse, error) {
			*got = *req
			data, err := os.ReadFile(req.FromPath)
			if err != nil {
				return nil, diag.Wrap(diag.UnreadableFile, err, "cannot be read", "")
			}
			resp := &copyResponse{FromPath: req.FromPath, Text: string(data)}
			resp.Inputs = []tasks.FileDigest{{Path: req.FromPath, Digest: cas.DigestOf(data)}}
			return resp, nil
		})
}

// newEnv makes a folder with files and an Env in it.
func newEnv(t *testing.T, files map[string]string) (*Env, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	return &Env{
		Dir: dir, Stdin: strings.NewReader(""), Stdout: &out,
		Log: slog.New(slog.DiscardHandler), Progress: progress.Discard{},
	}, &out
}

const head = `"schemaVersion": 1, "stage": "copy", `

func TestExec(t *testing.T) {
	request := "{" + head + `"fromPath": "data/a.txt"}`
	env, _ := newEnv(t, map[string]string{"obj/request.json": request, "obj/data/a.txt": "<é>\n"})
	var got copyRequest
	files := Files{Request: "obj/request.json", Response: "obj/response.json"}
	if err := copyStage(&got).Exec(t.Context(), env, files); err != nil {
		t.Fatal(err)
	}
	response, err := os.ReadFile(filepath.Join(env.Dir, "obj/response.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "schemaVersion": 1,
  "stage": "copy",
  "inputs": [
    {
      "path": "data/a.txt",
      "digest": "` + string(cas.DigestOf([]byte("<é>\n"))) + `"
    },
    {
      "path": "request.json",
      "digest": "` + string(cas.DigestOf([]byte(request))) + `"
    }
  ],
  "outputs": [],
  "fromPath": "data/a.txt",
  "list": [],
  "text": "<é>\n"
}
`
	if diff := cmp.Diff(want, string(response)); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// TestExec_unchanged proves that a response with the same bytes is not written: its file stays the same one.
func TestExec_unchanged(t *testing.T) {
	env, _ := newEnv(t, map[string]string{"request.json": "{" + head + `"fromPath": "a"}`, "a": "1"})
	var got copyRequest
	run := func() os.FileInfo {
		t.Helper()
		if err := copyStage(&got).Exec(t.Context(), env, Files{"request.json", "response.json"}); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(filepath.Join(env.Dir, "response.json"))
		if err != nil {
			t.Fatal(err)
		}
		return fi
	}
	first := run()
	if !os.SameFile(first, run()) {
		t.Error("the response was written again")
	}
	if err := os.WriteFile(filepath.Join(env.Dir, "a"), []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.SameFile(first, run()) {
		t.Error("the changed response was not replaced as a whole")
	}
}

func TestExec_paths(t *testing.T) {
	request := "{" + head + `"fromPath": "a", "morePaths": ["x/../b", "/abs"], "items": [{"sourcePath": "c"}], "values": ["v"], "toPath": "out.json"}`
	env, out := newEnv(t, map[string]string{"sub/request.json": request, "sub/a": "", "a": ""})
	var got copyRequest
	if err := copyStage(&got).Exec(t.Context(), env, Files{"sub/request.json", Dash}); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(env.Dir, "sub")
	want := copyRequest{
		RequestHeader: tasks.RequestHeader{SchemaVersion: 1, Stage: "copy"},
		FromPath:      filepath.Join(sub, "a"), MorePaths: []string{filepath.Join(sub, "b"), "/abs"},
		Items: []copyItem{{filepath.Join(sub, "c")}}, Values: []string{"v"}, ToPath: "out.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	if !strings.Contains(out.String(), `"fromPath": "sub/a"`) { // standard output counts as the working directory
		t.Errorf("got %s", out)
	}
	env.Stdin = strings.NewReader("{" + head + `"fromPath": "a"}`)
	if err := copyStage(&got).Exec(t.Context(), env, Files{Dash, Dash}); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(env.Dir, "a"); got.FromPath != want {
		t.Errorf("standard input: got %s, want %s", got.FromPath, want)
	}
}

func TestExec_extends(t *testing.T) {
	env, out := newEnv(t, map[string]string{
		"shared/all.json": "{" + head + `"encoding": "percent", "fromPath": "%61", "values": ["1", "2"], "labels": [{"name": "x", "value": "y"}]}`,
		"rid/own.json":    "{" + head + `"extendsPath": "../shared/all.json", "values": ["%33"], "morePaths": ["b"]}`,
		"shared/a":        "",
	})
	var got copyRequest
	if err := copyStage(&got).Exec(t.Context(), env, Files{"rid/own.json", Dash}); err != nil {
		t.Fatal(err)
	}
	want := copyRequest{
		RequestHeader: tasks.RequestHeader{SchemaVersion: 1, Stage: "copy", ExtendsPath: "../shared/all.json"},
		FromPath:      filepath.Join(env.Dir, "shared/a"), MorePaths: []string{filepath.Join(env.Dir, "rid/b")},
		Values: []string{"%33"}, Labels: []tasks.NameValue{{Name: "x", Value: "y"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	for _, path := range []string{"rid/own.json", "shared/a", "shared/all.json"} {
		if !strings.Contains(out.String(), `"path": "`+path+`"`) {
			t.Errorf("%s is not listed in %s", path, out)
		}
	}
}

func TestExec_refused(t *testing.T) {
	files := map[string]string{
		"version.json":  `{"schemaVersion": 2, "stage": "copy", "fromPath": "a"}`,
		"none.json":     `{"fromPath": "a"}`,
		"stage.json":    `{"schemaVersion": 1, "stage": "paste", "fromPath": "a"}`,
		"one.json":      "{" + head + `"values": []}`,
		"two.json":      "{" + head + `"values": ["bad"]}`,
		"unread.json":   "{" + head + `"fromPath": "nowhere"}`,
		"chain.json":    "{" + head + `"extendsPath": "link.json"}`,
		"link.json":     "{" + head + `"extendsPath": "chain.json"}`,
		"lost.json":     "{" + head + `"extendsPath": "nowhere.json"}`,
		"other.json":    "{" + head + `"extendsPath": "stage.json", "fromPath": "a"}`,
		"good.json":     "{" + head + `"fromPath": "good.json"}`,
		"response.json": "earlier",
	}
	tests := []struct {
		request, response string
		code              diag.Code
		text              string
	}{
		{"version.json", "response.json", diag.UnsupportedSchema, "schemaVersion is 2"},
		{"none.json", "response.json", diag.UnsupportedSchema, "schemaVersion is 0"},
		{"stage.json", "response.json", diag.UnsupportedSchema, `stage is "paste"`},
		{"one.json", "response.json", diag.InvalidValue, "the request cannot be used: fromPath is missing"},
		{"two.json", "response.json", diag.InvalidTag, "fromPath is missing; and values has a bad one; correct it"},
		{"unread.json", "response.json", diag.UnreadableFile, "nowhere"},
		{"chain.json", "response.json", diag.InvalidValue, "a request that is extended extends another"},
		{"lost.json", "response.json", diag.RequestUnreadable, "nowhere.json"},
		{"other.json", "response.json", diag.UnsupportedSchema, "stage.json: stage is"},
		{"nowhere.json", "response.json", diag.RequestUnreadable, "nowhere.json"},
		{".", "response.json", diag.RequestUnreadable, "is a directory"},
		{"good.json", "./good.json", diag.BadUsage, "the same file"},
		{"good.json", "nowhere/response.json", diag.ResponseUnwritable, "nowhere/response.json"},
	}
	for _, test := range tests {
		t.Run(test.request, func(t *testing.T) {
			env, _ := newEnv(t, files)
			var got copyRequest
			err := copyStage(&got).Exec(t.Context(), env, Files{test.request, test.response})
			if err == nil || diag.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %s %v, want %s %s", diag.CodeOf(err), err, test.code, test.text)
			}
			if left, err := os.ReadFile(filepath.Join(env.Dir, "response.json")); err != nil || string(left) != "earlier" {
				t.Errorf("the earlier response is now %q, %v", left, err)
			}
		})
	}
}

func TestBelow(t *testing.T) {
	tests := []struct{ dir, path, want string }{
		{"/a/b", "/a/b/c", "c"},
		{"/a/b", "/a/b/c/", "c/"},
		{"/a/b", "/a/b", "."},
		{"/a/b", "/a/bc", "/a/bc"},
		{"/a/b", "/a", "/a"},
		{"/a/b", "/a/b/..c", "..c"},
		{"/a/b", "relative", "relative"},
		{"/", "/a", "a"},
	}
	for _, test := range tests {
		if got := below(test.dir, test.path); got != test.want {
			t.Errorf("below(%s, %s) = %s, want %s", test.dir, test.path, got, test.want)
		}
	}
}

func TestStages(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Stages() {
		if seen[s.Name] || s.Summary == "" || s.Reads == "" || s.Writes == "" || s.RunsWhen == "" {
			t.Errorf("%s is listed twice or says too little", s.Name)
		}
		seen[s.Name] = true
	}
	if _, err := Find(Stages(), "nonsense"); diag.CodeOf(err) != diag.BadUsage {
		t.Errorf("got %v, want code %s", err, diag.BadUsage)
	}
}
