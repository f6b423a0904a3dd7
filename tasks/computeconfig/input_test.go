package computeconfig

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

const plainBase = `{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z","config":{"Entrypoint":["/old"],"Env":["PATH=/bin","APP_UID=1"],` +
	`"Labels":{"inherited":"yes"},"ExposedPorts":{"80/tcp":{}}},"rootfs":{"type":"layers","diff_ids":[]},"variant":"v2","x":[1, 2]}`

// full is a request that uses every field that decides the configuration.
func full() Request {
	return Request{
		Labels: []tasks.NameValue{{Name: "l", Value: "1"}}, UserLabels: []tasks.NameValue{{Name: "u", Value: "2"}},
		GenerateLabels: true, GenerateDigestLabel: true, GenerateCreatedLabels: true,
		Environment: []tasks.NameValue{{Name: "E", Value: "3"}}, Ports: []tasks.Port{{Number: "8080"}}, User: "me", WorkingDirectory: "/app",
		Entrypoint: []string{"dotnet"}, EntrypointArgs: []string{"app.dll"}, DefaultArgs: []string{"--x"}, SourceDateEpoch: "86400",
	}
}

// each sets one field after the other of the struct at v, at any depth, to another value, and calls f with its path.
func each(v reflect.Value, path string, f func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	defer v.Set(old)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			each(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), f)
		}
		return
	case reflect.String:
		v.SetString(v.String() + "1")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Map, reflect.Pointer:
		v.Set(reflect.New(v.Type()).Elem())
		if v.Kind() == reflect.Map {
			v.Set(reflect.MakeMap(v.Type()))
		}
		return // annotations and platforms of descriptors name nothing that is read
	}
	f(path)
}

// TestInputDigest_fields: every field of the request and of the base changes the digest, but for those that are listed here with the
// reason. A new field is in neither list, and has to be put into one.
func TestInputDigest_fields(t *testing.T) {
	const where, fetch = "where things lie", "how they are fetched"
	without := map[string]string{
		"RequestHeader.SchemaVersion": where, "RequestHeader.Stage": where, "RequestHeader.Encoding": where, "RequestHeader.ExtendsPath": where,
		"SelectBasePath": where, "OutputRegistry": fetch, "RecallRequestPath": fetch, "PullPolicy": fetch,

		"Base.Registry": "only the reference is read", "Base.Repository": "only the reference is read",
		"Base.Digest":             "that of the index, which changes with other platforms",
		"Base.Manifest.MediaType": "the digest names it", "Base.Manifest.Size": "the digest names it", "Base.Manifest.URLs": "not read",
		"Base.Config.MediaType": "the digest names it", "Base.Config.Size": "the digest names it", "Base.Config.URLs": "not read",
		"Base.Layers":            "the manifest's digest names them",
		"Base.RuntimeIdentifier": "it chose the platform",
	}
	req := full()
	base := tasks.Base{
		Reference: "registry.example/base:1", Registry: "registry.example", Repository: "base", Digest: cas.DigestOf(nil), Manifest: noDescriptor,
		Config: noDescriptor, Platform: tasks.Platform{OS: "linux", Architecture: "amd64"}, Format: tasks.FormatOCI, Created: "2020-01-01T00:00:00Z",
	}
	before, seen := inputDigest(&req, &base), 0
	check := func(path string) {
		seen++
		reason, same := without[path]
		if now := inputDigest(&req, &base); (now == before) != same {
			t.Errorf("%s: the digest is the same: %v; listed as left out: %v (%s)", path, now == before, same, reason)
		}
	}
	each(reflect.ValueOf(&req).Elem(), "", check)
	each(reflect.ValueOf(&base).Elem(), "Base", check)
	if seen < 35 || inputDigest(&req, &base) != before {
		t.Errorf("%d fields were changed", seen)
	}
	req.Labels[0].Value = "other"
	if inputDigest(&req, &base) == before {
		t.Error("a label's value is not in the digest")
	}
	none, empty := Request{}, Request{Labels: []tasks.NameValue{}, Ports: []tasks.Port{}, Entrypoint: []string{}}
	if inputDigest(&none, &base) != inputDigest(&empty, &base) {
		t.Error("a list that is left out is another one than an empty one")
	}
}

// TestAlgorithm: the same input gives the same configuration as when the version of the algorithm was set. When it fails, and the change
// is meant, raise algorithm and write the new digest: images that were made before are then not taken for what is made now.
func TestAlgorithm(t *testing.T) {
	want := map[int]cas.Digest{1: "sha256:6fac9329a9bcee5b40f4167840fed0e24905a12da91face599c276250f07cfff"}[algorithm]
	var all []byte
	docker := full()
	docker.Entrypoint, docker.EntrypointArgs, docker.AppCommand, docker.AppCommandArgs = nil, nil, []string{"/app/x"}, []string{"y"}
	docker.SourceDateEpoch, docker.User = "", ""
	for i, req := range []Request{full(), docker, {}} {
		e := newEnv(t, plainBase)
		if i == 1 {
			e.base.Format = tasks.FormatDocker
		}
		resp, err := e.run(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Inputs, resp.InputDigest = nil, ""
		text, err := image.Encode(resp)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if got := cas.DigestOf(all); got != want {
		t.Errorf("version %d of the algorithm made %s, and makes %s:\n%s", algorithm, want, got, all)
	}
}

// TestRun_recalled: an earlier image of the same input saves the base's configuration, and nothing else does.
func TestRun_recalled(t *testing.T) {
	e := newEnv(t, plainBase)
	_, want := e.mustRun(full())
	asked := 0
	e.deps.Recall = func(context.Context) (*tasks.Recalled, error) {
		asked++
		return &tasks.Recalled{Reference: "r/a:1", ConfigInput: want.InputDigest, Config: want.Config}, nil
	}
	if e.mustRun(full()); asked != 0 {
		t.Error("it was asked though the store has the base's configuration")
	}
	if err := os.Remove(e.deps.Store.Path(e.base.Config.Digest)); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"", "missing", "never"} { // the registry fails the test when it is asked
		req := full()
		req.PullPolicy = policy
		if _, got := e.mustRun(req); asked == 0 || !cmp.Equal(want, got) {
			t.Errorf("%q: asked %d times, (-want +got):\n%s", policy, asked, cmp.Diff(want, got))
		}
	}
	other := full()
	other.User = "you"
	if _, err := e.run(other); err == nil || !strings.Contains(err.Error(), "the registry was asked") {
		t.Errorf("another input: got %v", err)
	}
	other.PullPolicy = "never"
	_, err := e.run(other)
	if diag.CodeOf(err) != diag.NotInStore || !strings.Contains(err.Error(), "registry.example/base@"+string(e.base.Config.Digest)) {
		t.Errorf("another input, offline: got %v", err)
	}
	failed := errors.New("stop")
	e.deps.Recall = func(context.Context) (*tasks.Recalled, error) { return nil, failed }
	if _, err := e.run(full()); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	other.PullPolicy = "sometimes"
	if _, err := e.run(other); diag.CodeOf(err) != diag.InvalidValue {
		t.Errorf("got %v", err)
	}
}
