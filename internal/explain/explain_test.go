package explain

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

const canary = "s3cr3t-canary"

// write puts files into a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	identity = "1.0.0 /packages/gan try/gantry 638\n"
	head     = `{"schemaVersion": 1, "stage": "compute-config", "encoding": "percent", `
	base     = `{"schemaVersion": 1, "stage": "select-base", "inputs": [], "base": {"digest": "sha256:aa", "manifest": {"digest": "sha256:bb", "size": 1}}}`
)

// config is a stamp of compute-config.
func config(tool, own, shared, base string) string {
	return tool + head + own + "}\n" + head + shared + "}\n" + base
}

func TestStamped_namesTheInput(t *testing.T) {
	before := config(identity, `"user": "app", "entrypoint": ["dotnet"]`, `"labels": [{"name": "a", "value": "`+canary+`"}], "environment": []`, base)
	tests := []struct {
		name, after, because string
	}{
		{
			"label", config(identity, `"user": "app", "entrypoint": ["dotnet"]`, `"labels": [{"name": "a", "value": "`+canary+`%253B"}], "environment": []`, base),
			"labels[a].value of compute-config.shared.json: sha256:8a03ea8b… → sha256:",
		},
		{
			"new variable", config(identity, `"user": "app", "entrypoint": ["dotnet"]`, `"labels": [{"name": "a", "value": "`+canary+`"}], "environment": [{"name": "X%3DY", "value": "`+canary+`"}]`, base),
			"environment[X=Y] of compute-config.shared.json added: sha256:",
		},
		{
			"user", config(identity, `"user": "root", "entrypoint": ["dotnet"]`, `"labels": [{"name": "a", "value": "`+canary+`"}], "environment": []`, base),
			"user of compute-config.request.json: app → root",
		},
		{
			"argument", config(identity, `"user": "app", "entrypoint": ["`+canary+`"]`, `"labels": [{"name": "a", "value": "`+canary+`"}], "environment": []`, base),
			"entrypoint[0] of compute-config.request.json: sha256:",
		},
		{
			"base", strings.ReplaceAll(before, "sha256:aa", "sha256:cc"),
			"base.digest of select-base.json: sha256:aa → sha256:cc",
		},
		{
			"tool", strings.Replace(before, "1.0.0", "1.0.1", 1), "version of the tool: 1.0.0 → 1.0.1",
		},
		{
			"tool's path", strings.Replace(before, "gan try", "gantry", 1), "path of the tool: /packages/gan try/gantry → /packages/gantry/gantry",
		},
		{"tool's content", strings.Replace(before, " 638\n", " 639\n", 1), "content of the tool: 638 → 639"},
		{"setting", strings.Replace(before, "638\n", "638\n{\"settings\": {\"trust.layer-keys\": false}}\n", 1), "trust.layer-keys of settings added: false"},
		{"white space", strings.Replace(before, `"user": `, `"user":  `, 1), "no field of it does"},
		{"damaged", before[:len(before)-10], "of select-base.json"},
		{"cut", before[:len(identity)+len(head)], "of compute-config.request.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"stamp/compute-config": tt.after, "stamp/compute-config.before": before})
			e := explainer{dir, map[string]State{"compute-config": Ran}}
			got := e.stamped("compute-config")
			if !strings.Contains(got.Because, tt.because) {
				t.Errorf("got %q, want %q in it", got.Because, tt.because)
			}
			if text, _ := json.Marshal(got); bytes.Contains(text, []byte(canary)) {
				t.Errorf("the secret is shown: %s", text)
			}
		})
	}
}

// files is a stamp of create-layers.
func files(list string) string {
	return identity + `{"stage": "create-layers"}` + base + `{"stage": "scan", "inputs": [{"path": "x/", "digest": "sha256:` + strings.Repeat("0", len(list)) + `"}], "files": [` + list + `]}`
}

func TestStamped_namesFiles(t *testing.T) {
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	a := `{"path": "a.dll", "type": "file", "size": 3, "origin": "app", "digest": "` + one + `"}`
	tests := []struct{ name, was, now, because string }{
		{"size and content", a, `{"path": "a.dll", "type": "file", "size": 4, "origin": "app", "digest": "` + two + `"}`, "a.dll of scan.json: size 3, content sha256:11111111… → size 4, content sha256:22222222…"},
		{"content", `{"path": "web.config", "size": 3, "digest": "sha256:1"}`, `{"path": "web.config", "size": 3, "digest": "sha256:2"}`, "web.config of scan.json: content sha256:1 → content sha256:2"},
		{"content, by an older gantry", `{"path": "a.dll", "type": "file", "size": 3, "modTime": 5, "origin": "app"}`, a, "a.dll of scan.json: content none → content sha256:11111111…"},
		{"added", a, a + `,{"path": "b.txt", "origin": "package", "originName": "N", "originVersion": "1"}`, "b.txt of scan.json added: package N 1"},
		{"removed", a + `,{"path": "b.txt"}`, a, "b.txt of scan.json removed: app"},
		{"origin", a, `{"path": "a.dll", "type": "file", "size": 3, "origin": "project", "originName": "lib", "digest": "` + one + `"}`, "a.dll of scan.json: origin app → origin project lib"},
		{"name with a quote", "{\"path\": \"q\x01\"\"}", "{\"path\": \"q\x01\"\", \"size\": 1}", `q" of scan.json: size none → size 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{
				"stamp/create-layers": files(tt.now), "stamp/create-layers.before": files(tt.was),
				"trace": "select-base skipped\nscan ran\ncompute-config skipped\ncreate-layers ran\npush ran\n",
			})
			report, err := Publish(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range report.Folders[0].Stages {
				if (s.Name == "create-layers" || s.Name == "scan") && !strings.HasSuffix(s.Because, tt.because) {
					t.Errorf("%s: got %q, want %q", s.Name, s.Because, tt.because)
				}
			}
		})
	}
}

// TestStamped_namesItems: what differs in the layers of items is named, and the stage that found it is listed where there are such items.
func TestStamped_namesItems(t *testing.T) {
	item := func(name, digest string) string {
		return `{"name": "` + name + `", "order": "BeforeApp", "blob": {"descriptor": {"digest": "` + digest + `", "size": 1}}}`
	}
	with := func(list string) string {
		return files("") + `{"stage": "resolve-layers", "inputs": [], "layers": [` + list + `]}`
	}
	one := with(item("agent", "sha256:1"))
	for _, tt := range []struct{ name, was, now, because string }{
		{"another digest", one, with(item("agent", "sha256:2")), "looked at in every publish: layers[agent].blob.descriptor.digest of resolve-layers.json: sha256:1 → sha256:2"},
		{"one more", one, with(item("agent", "sha256:1") + "," + item("models", "sha256:3")), "layers[models] of resolve-layers.json added: sha256:"},
		{"the user's words", one, with(strings.Replace(item("agent", "sha256:1"), "{", `{"description": "`+canary+`", `, 1)), "layers[agent].description of resolve-layers.json added: sha256:"},
		{"the first", files(""), one, "document of resolve-layers.json added"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{
				"stamp/create-layers": tt.now, "stamp/create-layers.before": tt.was,
				"trace": "select-base skipped\nscan ran\nresolve-layers ran\ncompute-config skipped\ncreate-layers ran\npush ran\n",
			})
			report, err := Publish(dir)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range report.Folders[0].Stages {
				names = append(names, s.Name)
				if s.Name == "resolve-layers" && (!strings.Contains(s.Because, tt.because) || strings.Contains(s.Because, canary)) {
					t.Errorf("got %q, want %q", s.Because, tt.because)
				}
				if s.Name == "scan" && len(s.Differences) != 0 {
					t.Errorf("scan has %+v", s.Differences)
				}
			}
			if want := "resolve-base select-base scan resolve-layers compute-config create-layers"; !strings.HasPrefix(strings.Join(names, " "), want) {
				t.Errorf("stages %v", names)
			}
		})
	}
}

func TestPush_saysWhatTheReportSays(t *testing.T) {
	digests := strings.NewReplacer("DIGEST", string(cas.DigestOf([]byte("a"))), "OTHER", string(cas.DigestOf([]byte("b"))))
	tests := []struct {
		name, report string
		state        State
		because      string
	}{
		{
			"present", `{"pushed": false, "reason": "every tag names it", "digest": "DIGEST", "reference": "r/app", "tags": [{"tag": "1", "state": "current"}]}`,
			Skipped, "every tag names it (DIGEST in r/app); tags: 1 current",
		},
		{
			"moved", `{"reason": "it is there", "digest": "DIGEST", "reference": "r/app", "tags": [{"tag": "1", "state": "moved", "was": "OTHER"}]}`,
			Skipped, "tags: 1 moved from OTHER",
		},
		{
			"pushed", `{"pushed": true, "reason": "it is not there", "digest": "DIGEST", "reference": "r/app", "blobs": {"uploaded": {"count": 1, "bytes": 5}}}`,
			Ran, "it is not there (DIGEST in r/app): 1 blob uploaded",
		},
		{
			"several", `{"reason": "it is there", "digest": "DIGEST", "reference": "r/app", "alsoPushed": [
			  {"pushed": true, "reason": "it is not there", "digest": "DIGEST", "reference": "s/app", "blobs": {"uploaded": {"count": 1, "bytes": 5}}},
			  {"reason": "the destination did not get the image", "digest": "DIGEST", "reference": "t/app", "error": {"code": "CONTAINER1016", "message": "it forbids"}}]}`,
			Ran, "it is there (DIGEST in r/app); and it is not there (DIGEST in s/app): 1 blob uploaded (5 B); and " +
				"the destination did not get the image (DIGEST in t/app): CONTAINER1016: it forbids",
		},
		{"deferred", `{"deferred": true}`, Skipped, "found through the index"},
		{"none", ``, Ran, "asked in every publish"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.report != "" {
				write(t, dir, map[string]string{"push.report.json": digests.Replace(tt.report)})
			}
			got := (&explainer{dir, nil}).push("push")
			if got.State != tt.state || !strings.Contains(got.Because, digests.Replace(tt.because)) {
				t.Errorf("got %+v, want %s, %q", got, tt.state, tt.because)
			}
		})
	}
}

func TestPublish_findsTheNewest(t *testing.T) {
	dir := t.TempDir()
	trace := "push ran\n"
	write(t, dir, map[string]string{
		"obj/Debug/net10.0/gantry/linux-x64/trace":     trace,
		"obj/Release/net10.0/gantry/linux-x64/trace":   trace,
		"obj/Release/net10.0/gantry/linux-arm64/trace": trace,
		"obj/Release/net10.0/other/linux-x64/trace":    trace,
		"bin/gantry/linux-x64/trace":                   trace,
	})
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"obj/Debug/net10.0/gantry/linux-x64/trace", "obj/Release/net10.0/gantry/linux-x64/trace"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, arg := range []string{dir, filepath.Join(dir, "obj", "Release", "net10.0", "gantry", "linux-arm64")} {
		report, err := Publish(arg)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Folders[0].RuntimeIdentifier; got != "linux-arm64" {
			t.Errorf("%s: got %s", arg, got)
		}
	}
	for _, arg := range []string{t.TempDir(), filepath.Join(dir, "none")} {
		if _, err := Publish(arg); diag.CodeOf(err) != diag.RequestUnreadable {
			t.Errorf("%s: got %v", arg, err)
		}
	}
}

func TestPublish_failed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"error.txt": "gantry : error GANTRY4001: no files\n"})
	report, err := Publish(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.Text(&text); err != nil || !strings.Contains(text.String(), "failed: gantry : error GANTRY4001: no files") {
		t.Errorf("got %q, %v", text.String(), err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"check/trace":      "check ran\n",
		"check/check.json": `{"hit": true, "tag": "content-1", "digest": "sha256:ab"}`,
	})
	report, err := Publish(filepath.Join(dir, "check"))
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Folders[0].Stages; len(s) != 1 || !strings.Contains(s[0].Because, "sha256:ab is there under the tag of the cache key, content-1") {
		t.Errorf("got %+v", s)
	}
	write(t, dir, map[string]string{
		"check/check.json": `{"hit": false, "tag": "content-1", "reason": "no such tag"}`,
		"linux-x64/trace":  "asked ran\npush ran\n",
	})
	if report, err = Publish(filepath.Join(dir, "linux-x64")); err != nil {
		t.Fatal(err)
	}
	if s := report.Folders[0].Stages[0]; s.Name != "check" || s.Because != "the tag of the cache key, content-1, is no hit: no such tag" {
		t.Errorf("got %+v", s)
	}
}

func TestText_isBoundedAndPrintable(t *testing.T) {
	s := Stage{Name: "create-layers", State: Ran, Because: "x\x1b[31m\u0085"}
	for range 100 {
		s.Differences = append(s.Differences, Difference{Field: "f", Change: Added})
	}
	var b bytes.Buffer
	if err := (&Report{Folders: []Folder{{Stages: []Stage{s}}}}).Text(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != maxLines+3 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
	if strings.ContainsAny(b.String(), "\x1b\u0085") {
		t.Errorf("got %q", b.String())
	}
}

// FuzzStamp compares damaged stamps: nothing may panic, and no value may be shown.
func FuzzStamp(f *testing.F) {
	f.Add([]byte(config(identity, `"user": "app"`, `"labels": [{"name": "a", "value": "1"}]`, base)))
	f.Add([]byte(identity + "{}[]1 null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := config(identity, `"entrypoint": ["`+canary+`"]`, `"labels": [{"name": "a", "value": "`+canary+`"}], "environment": [{"name": "b", "value": "`+canary+`"}]`, base)
		for _, stage := range []string{"select-base", "compute-config", "create-layers"} {
			a, b := parseStamp(stage, []byte(before)), parseStamp(stage, text)
			list := append(compareStamps(a, b), compareStamps(b, a)...)
			for _, d := range list {
				if strings.Contains(d.String(), canary) {
					t.Errorf("the secret is shown: %s", d)
				}
			}
		}
	})
}
