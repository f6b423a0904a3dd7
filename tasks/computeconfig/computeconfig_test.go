package computeconfig

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

var noDescriptor = tasks.Descriptor{MediaType: image.OCIManifest, Digest: cas.DigestOf([]byte("manifest")), Size: 8}

// env is a stage on a base whose configuration the test writes.
type env struct {
	t     *testing.T
	deps  Deps
	base  tasks.Base
	file  string
	codes []diag.Code
}

// noSource fails the test that asks a registry.
type noSource struct{}

func (noSource) Blob(context.Context, cas.Digest, int64) (io.ReadCloser, error) {
	return nil, errors.New("the registry was asked")
}

func newEnv(t *testing.T, config string) *env {
	t.Helper()
	dir := t.TempDir()
	e := &env{t: t, file: filepath.Join(dir, "select-base.json")}
	e.deps = Deps{
		Source: func(registry.Name, registry.Mode) pull.Blobs { return noSource{} },
		Store:  cas.Open(filepath.Join(dir, "store")),
		Log:    slog.New(slog.DiscardHandler),
		Warn:   func(c diag.Code, _ string) { e.codes = append(e.codes, c) },
	}
	d, err := e.deps.Store.PutBytes([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	e.base = tasks.Base{
		Reference: "registry.example/base:1", Registry: "registry.example", Repository: "base", Digest: noDescriptor.Digest,
		Manifest: noDescriptor, Config: tasks.Descriptor{MediaType: image.OCIConfig, Digest: d, Size: int64(len(config))},
		RuntimeIdentifier: "linux-x64", Format: tasks.FormatOCI,
	}
	if c, err := image.ParseConfig([]byte(config)); err == nil {
		e.base.Platform, e.base.Created = c.Platform, c.Created
	}
	return e
}

func (e *env) run(req Request) (*Response, error) {
	e.t.Helper()
	doc := struct {
		tasks.ResponseHeader
		Base tasks.Base `json:"base"`
	}{tasks.ResponseHeader{SchemaVersion: 1, Stage: "select-base"}, e.base}
	body, err := json.Marshal(doc)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(e.file, body, 0o600); err != nil {
		e.t.Fatal(err)
	}
	req.SelectBasePath = e.file
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return Run(e.t.Context(), e.deps, &req)
}

// document is what a test looks at in a configuration.
type document struct {
	Created string         `json:"created"`
	Config  map[string]any `json:"config"`
	History []struct {
		Created   string `json:"created"`
		CreatedBy string `json:"created_by"`
		Empty     bool   `json:"empty_layer"`
	} `json:"history"`
}

func (e *env) mustRun(req Request) (document, *Response) {
	e.t.Helper()
	resp, err := e.run(req)
	if err != nil {
		e.t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(resp.Config, &doc); err != nil {
		e.t.Fatal(err)
	}
	return doc, resp
}

// onPurpose are the measured cases where Gantry differs from the SDK, with the reason.
var onPurpose = map[string]string{
	"b-noconfig":     "image-spec makes config optional; the SDK crashes",
	"b-nullconfig":   "the same",
	"b-dupenv":       "the last value counts; the SDK crashes",
	"b-noos":         "refused with GANTRY2003; the SDK crashes",
	"b-noarch":       "refused with GANTRY2003; the SDK crashes",
	"b-userempty":    "an empty user is left out; it means the same",
	"b-userenvempty": "an empty APP_UID does not make the user root",
	"b-ports":        "-5 and 99999 are no ports",
	"port8":          "-1 is no port: CONTAINER2017",
	"port9":          "65536 is no port: CONTAINER2017",
	"port16":         "the number of an enum's value is no type: CONTAINER2017",
	"port17":         "the same",
	"envbad":         "the stage drops invalid names itself; with the SDK an earlier task does",
	"labelsoff":      "the user's labels are written with generateLabels=false",
}

// kept are members that the SDK drops and Gantry keeps.
var kept = []string{"Healthcheck", "Shell", "AttachStdin"}

// TestRun_asSDK compares with configurations that the SDK made of the same base and the same items.
func TestRun_asSDK(t *testing.T) {
	body, err := os.ReadFile("testdata/sdk-config.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name    string          `json:"name"`
			Base    json.RawMessage `json:"base"`
			Request Request         `json:"request"`
			Want    map[string]any  `json:"want"`
			Codes   []diag.Code     `json:"codes"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range file.Cases {
		if _, ok := onPurpose[c.Name]; ok {
			seen++
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			e := newEnv(t, string(c.Base))
			c.Request.AppCommand = []string{"dotnet", "/app/a.dll"}
			resp, err := e.run(c.Request)
			if err != nil {
				e.codes = append(e.codes, diag.CodeOf(err))
			}
			if d := cmp.Diff(c.Codes, e.codes, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("codes (-SDK +got):\n%s", d)
			}
			if err != nil {
				return
			}
			var got document
			if err := json.Unmarshal(resp.Config, &got); err != nil {
				t.Fatal(err)
			}
			for _, name := range kept {
				delete(got.Config, name)
			}
			if l, ok := got.Config["Labels"].(map[string]any); ok && l[baseDigest] != nil {
				l[baseDigest] = "BASE"
			}
			if p, ok := got.Config["ExposedPorts"].(map[string]any); ok {
				delete(p, "bad/x/y") // kept from the base; the SDK drops what it cannot read
			}
			if d := cmp.Diff(c.Want, got.Config); d != "" {
				t.Errorf("(-SDK +got):\n%s", d)
			}
		})
	}
	if seen != len(onPurpose) {
		t.Errorf("%d of %d cases that differ on purpose are in the file", seen, len(onPurpose))
	}
}

const rootfs = `"rootfs":{"type":"layers","diff_ids":["sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}`

func linux(config, top string) string {
	return `{"os":"linux","architecture":"amd64",` + top + rootfs + `,"config":` + config + `}`
}

// TestRun_onPurpose is what Gantry does in the cases where it differs.
func TestRun_onPurpose(t *testing.T) {
	for _, tc := range []struct {
		name, base string
		req        Request
		want       map[string]any
	}{
		{"no config", `{"os":"linux","architecture":"amd64",` + rootfs + `}`, Request{}, map[string]any{}},
		{"null config", linux(`null`, ``), Request{}, map[string]any{}},
		{"variable twice", linux(`{"Env":["A=1","B=2","A=3"]}`, ``), Request{}, map[string]any{"Env": []any{"A=3", "B=2"}}},
		{"empty user", linux(`{"User":""}`, ``), Request{}, map[string]any{}},
		{"empty APP_UID", linux(`{"User":"u","Env":["APP_UID="]}`, ``), Request{}, map[string]any{"User": "u", "Env": []any{"APP_UID="}}},
		{"inferred no ports", linux(`{}`, ``), Request{
			Environment: []tasks.NameValue{{Name: "ASPNETCORE_HTTP_PORTS", Value: "-5;99999;80"}},
		}, map[string]any{"Env": []any{"ASPNETCORE_HTTP_PORTS=-5;99999;80"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}}},
		{"labels off", linux(`{"Labels":{"b":"1"}}`, ``), Request{
			UserLabels: []tasks.NameValue{{Name: "a", Value: "2"}}, GenerateDigestLabel: true,
		}, map[string]any{"Labels": map[string]any{"a": "2", "b": "1"}}},
		{"the user's value wins", linux(`{}`, ``), Request{
			Labels: []tasks.NameValue{
				{Name: "v", Value: "first"}, {Name: "v", Value: "mine"}, {Name: "v", Value: "generated"}, {Name: "g", Value: "1"}, {Name: "g", Value: "2"},
			},
			UserLabels:     []tasks.NameValue{{Name: "v", Value: "first"}, {Name: "v", Value: "mine"}, {Name: baseDigest, Value: "mine"}},
			GenerateLabels: true, GenerateDigestLabel: true,
		}, map[string]any{"Labels": map[string]any{"v": "mine", "g": "2", baseDigest: "mine"}}},
		{
			"stale members", linux(`{"Cmd":["x"],"OnBuild":["RUN x"],"Hostname":"h","Domainname":"d","Image":"sha256:1","ArgsEscaped":true,"Healthcheck":{"Test":["NONE"]},"Shell":["sh"],"Volumes":{"/v":{}},"StopSignal":"9","New":{"b":1,"a":2}}`, ``),
			Request{},
			map[string]any{
				"Healthcheck": map[string]any{"Test": []any{"NONE"}}, "Shell": []any{"sh"}, "Volumes": map[string]any{"/v": map[string]any{}},
				"StopSignal": "9", "New": map[string]any{"b": 1.0, "a": 2.0},
			},
		},
		{"working directory kept", linux(`{"WorkingDir":"/base"}`, ``), Request{}, map[string]any{"WorkingDir": "/base"}},
		{"text with line ends", linux(`{}`, ``), Request{
			Environment: []tasks.NameValue{{Name: "A", Value: "a:b;c%d\"\n\té<>&"}},
		}, map[string]any{"Env": []any{"A=a:b;c%d\"\n\té<>&"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, _ := newEnv(t, tc.base).mustRun(tc.req)
			if d := cmp.Diff(tc.want, doc.Config, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRun_times(t *testing.T) {
	const created = "org.opencontainers.image.created"
	for _, tc := range []struct {
		name, base string
		req        Request
		want       string
		label      any
	}{
		{"base", `"created":"2020-01-02T03:04:05.123456789Z",`, Request{GenerateLabels: true, GenerateCreatedLabels: true}, "2020-01-02T03:04:05.123456789Z", nil},
		{"neither", ``, Request{}, image.FallbackCreated, nil},
		{"unreadable", `"created":"yesterday",`, Request{}, image.FallbackCreated, nil},
		{"epoch", `"created":"2020-01-02T03:04:05Z",`, Request{GenerateLabels: true, GenerateCreatedLabels: true, SourceDateEpoch: "1700000000"}, "2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"},
		{"epoch 0", ``, Request{SourceDateEpoch: "0", GenerateLabels: true}, "1970-01-01T00:00:00Z", nil},
		{"labels off", ``, Request{SourceDateEpoch: "0", GenerateCreatedLabels: true}, "1970-01-01T00:00:00Z", nil},
		{"the user's own", ``, Request{
			SourceDateEpoch: "0", GenerateLabels: true, GenerateCreatedLabels: true,
			UserLabels: []tasks.NameValue{{Name: created, Value: "mine"}},
		}, "1970-01-01T00:00:00Z", "mine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, resp := newEnv(t, linux(`{}`, tc.base)).mustRun(tc.req)
			if doc.Created != tc.want || resp.Created != tc.want {
				t.Errorf("created %s and %s, want %s", doc.Created, resp.Created, tc.want)
			}
			labels, _ := doc.Config["Labels"].(map[string]any)
			if labels[created] != tc.label {
				t.Errorf("label %v, want %v", labels[created], tc.label)
			}
			if len(doc.History) != 1 || doc.History[0].Created != tc.want {
				t.Errorf("history %+v: want one entry for the one layer, of %s", doc.History, tc.want)
			}
		})
	}
}

func TestRun_history(t *testing.T) {
	base := `{"os":"linux","architecture":"amd64","variant":"v3","os.version":"1","os.features":["f"],"author":"me","docker_version":"1","future":true,` +
		`"rootfs":{"type":"layers","diff_ids":["` + strings.Join([]string{string(noDescriptor.Digest), string(noDescriptor.Digest), string(noDescriptor.Digest)}, `","`) + `"]},` +
		`"history":[{"created_by":"a","x":1},{"created_by":"e","empty_layer":true}],"config":{}}`
	doc, resp := newEnv(t, base).mustRun(Request{})
	var by []string
	for _, h := range doc.History {
		by = append(by, h.CreatedBy)
	}
	pad := "gantry: layer of the base image"
	if d := cmp.Diff([]string{"a", "e", pad, pad}, by); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
	for _, want := range []string{`"variant":"v3"`, `"os.version":"1"`, `"os.features":["f"]`, `"future":true`, `{"created_by":"a","x":1}`} {
		if !strings.Contains(string(resp.Config), want) {
			t.Errorf("%s lacks %s", resp.Config, want)
		}
	}
	for _, stale := range []string{"author", "docker_version"} {
		if strings.Contains(string(resp.Config), stale) {
			t.Errorf("%s has %s", resp.Config, stale)
		}
	}
}

func TestRun_annotations(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*tasks.Base, *Request)
		want   string
	}{
		{"tag", func(*tasks.Base, *Request) {}, "registry.example/base:1"},
		{"no tag", func(b *tasks.Base, _ *Request) { b.Reference = "registry.example/base" }, "registry.example/base:latest"},
		{"hub", func(b *tasks.Base, _ *Request) { b.Reference = "debian:12" }, "docker.io/library/debian:12"},
		{"digest", func(b *tasks.Base, _ *Request) { b.Reference = "registry.example/base@" + string(b.Digest) }, "registry.example/base@" + string(noDescriptor.Digest)},
		{"tag and digest", func(b *tasks.Base, _ *Request) { b.Reference = "registry.example/base:2@" + string(b.Digest) }, "registry.example/base:2"},
		{"given", func(_ *tasks.Base, r *Request) { r.BaseName = "other/name:1" }, "other/name:1"},
		{"docker", func(b *tasks.Base, _ *Request) { b.Format = tasks.FormatDocker }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, req := newEnv(t, linux(`{}`, ``)), Request{}
			tc.change(&e.base, &req)
			_, resp := e.mustRun(req)
			want := map[string]string{baseName: tc.want, baseDigest: string(noDescriptor.Digest)}
			if tc.want == "" {
				want = map[string]string{}
			}
			if d := cmp.Diff(want, resp.Annotations); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRun_refused(t *testing.T) {
	port := func(n, p string) Request { return Request{Ports: []tasks.Port{{Number: n, Type: p}}} }
	for _, tc := range []struct {
		name, base string
		req        Request
		code       diag.Code
	}{
		{"no os", `{"architecture":"amd64",` + rootfs + `}`, Request{}, diag.InvalidBaseConfig},
		{"no rootfs", `{"architecture":"amd64","os":"linux"}`, Request{}, diag.InvalidBaseConfig},
		{"env a string", linux(`{"Env":"A=1"}`, ``), Request{}, diag.InvalidBaseConfig},
		{"label a number", linux(`{"Labels":{"a":1}}`, ``), Request{}, diag.InvalidBaseConfig},
		{"history a string", linux(`{}`, `"history":"x",`), Request{}, diag.InvalidBaseConfig},
		{"key twice", linux(`{"User":"a","User":"b"}`, ``), Request{}, diag.InvalidBaseConfig},
		{"no port number", linux(`{}`, ``), port("", "tcp"), diag.MissingPortNumber},
		{"port -1", linux(`{}`, ``), port("-1", ""), diag.InvalidPort},
		{"port 65536", linux(`{}`, ``), port("65536", ""), diag.InvalidPort},
		{"type 1", linux(`{}`, ``), port("1", "1"), diag.InvalidPort},
		{"epoch", linux(`{}`, ``), Request{SourceDateEpoch: "-1"}, diag.InvalidEpoch},
		{"epoch over", linux(`{}`, ``), Request{SourceDateEpoch: "999999999999999"}, diag.InvalidEpoch},
		{"instruction", linux(`{}`, ``), Request{AppCommandInstruction: "none"}, diag.UnknownInstruction},
		{"control character", linux(`{}`, ``), Request{Environment: []tasks.NameValue{{Name: "A", Value: "a\x1bb"}}}, diag.ControlCharacter},
		{"NUL in a label", linux(`{}`, ``), Request{Labels: []tasks.NameValue{{Name: "A", Value: "\x00"}}}, diag.ControlCharacter},
		{"no UTF-8", linux(`{}`, ``), Request{User: "\xff"}, diag.ControlCharacter},
		{"DEL in a command", linux(`{}`, ``), Request{AppCommand: []string{"a", "\x7f"}}, diag.ControlCharacter},
		{"label without name", linux(`{}`, ``), Request{Labels: []tasks.NameValue{{Value: "x"}}}, diag.InvalidSetting},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newEnv(t, tc.base).run(tc.req)
			if got := diag.CodeOf(err); got != tc.code {
				t.Errorf("got %s (%v), want %s", got, err, tc.code)
			}
		})
	}
}

// TestRun_warns: an invalid name is dropped, a replaced entrypoint is said.
func TestRun_warns(t *testing.T) {
	e := newEnv(t, linux(`{"Entrypoint":["/e"]}`, ``))
	doc, _ := e.mustRun(Request{Environment: []tasks.NameValue{{Name: "1x", Value: "1"}, {Name: "ok", Value: "1"}}, AppCommand: []string{"a"}})
	if d := cmp.Diff([]diag.Code{diag.BaseEntrypointReplaced, diag.InvalidEnvironmentName}, e.codes); d != "" {
		t.Errorf("codes (-want +got):\n%s", d)
	}
	want := map[string]any{"Env": []any{"ok=1"}, "Entrypoint": []any{"a"}}
	if d := cmp.Diff(want, doc.Config); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
