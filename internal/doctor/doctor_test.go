package doctor_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/doctor"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// visit probes a repository of a registry.
func visit(t *testing.T, host string, env map[string]string) *doctor.Report {
	t.Helper()
	name := registry.Name{Registry: host, Repository: "team/app"}
	c := registry.New(registry.Options{
		Getenv: func(k string) string { return env[k] },
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	report, err := doctor.Run(t.Context(), c.Repository(name, registry.ModePush), name)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	report.Print(&b)
	t.Log("\n" + b.String())
	return report
}

// statuses are the findings that are not ok.
func statuses(r *doctor.Report) map[string]doctor.Status {
	out := map[string]doctor.Status{}
	for _, f := range r.Findings {
		if f.Status != doctor.OK {
			out[f.Probe] = f.Status
		}
	}
	return out
}

func find(r *doctor.Report, probe string) doctor.Finding {
	for _, f := range r.Findings {
		if f.Probe == probe {
			return f
		}
	}
	return doctor.Finding{}
}

type want = map[string]doctor.Status

func check(t *testing.T, r *doctor.Report, w want, probes int) {
	t.Helper()
	if d := cmp.Diff(w, statuses(r)); d != "" {
		t.Error(d)
	}
	if len(r.Findings) != probes {
		t.Errorf("%d findings, want %d", len(r.Findings), probes)
	}
	for _, f := range r.Findings {
		if f.Status != doctor.OK && f.Status != doctor.Skipped && f.Means == "" {
			t.Errorf("%s does not say what it means", f.Probe)
		}
	}
}

func TestRun_distribution(t *testing.T) {
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "team/app", "1", basemaker.TinyOptions{})
	_, before, _ := reg.Manifest("team/app", "1")
	r := visit(t, reg.Host(), nil)
	check(t, r, want{"certificate": "no", "one POST": "no", "PUT with ?tag=": "no", "referrers": "no", "deleting a tag": "no"}, 24)
	if len(r.Left) > 0 || r.Err() != nil {
		t.Errorf("left %q, %v", r.Left, r.Err())
	}
	if got := strings.Join(reg.Tags("team/app"), " "); got != "1" {
		t.Errorf("got tags %q", got)
	}
	if _, after, _ := reg.Manifest("team/app", "1"); after != before {
		t.Error("the image that was there is another")
	}
}

func TestRun_olareg(t *testing.T) {
	reg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, reg, "team/app", "1", basemaker.TinyOptions{})
	r := visit(t, reg.Host(), nil)
	check(t, r, want{"certificate": "no", "deleting a blob": "no"}, 24)
	if got := strings.Join(reg.Tags("team/app"), " "); got != "1" {
		t.Errorf("got tags %q", got)
	}
}

func TestRun_accounts(t *testing.T) {
	account := map[string]string{"DOTNET_CONTAINER_REGISTRY_UNAME": "user", "DOTNET_CONTAINER_REGISTRY_PWORD": "secret-password"}
	basic := testenv.StartRegistry(t, testenv.WithHtpasswd("user", "secret-password"), testenv.WithTLS())
	r := visit(t, basic.Host(), account)
	if f := find(r, "authentication"); f.Status != doctor.OK || f.Saw != "basic, the account from DOTNET_CONTAINER_REGISTRY_UNAME" {
		t.Errorf("got %+v", f)
	}
	if f := find(r, "certificate"); f.Status != doctor.No || !strings.Contains(f.Saw, "CN=gantry test") || !strings.Contains(f.Saw, "not verified") {
		t.Errorf("got %+v", f)
	}
	r = visit(t, basic.Host(), nil)
	check(t, r, want{"certificate": "no", "authentication": "failed"}, 4)
	if diag.CodeOf(r.Err()) != diag.RegistryUnfit {
		t.Errorf("got %v", r.Err())
	}

	tokens := testenv.StartTokenServer(t, "user", "secret-password", 0)
	bearer := testenv.StartRegistry(t, testenv.WithToken(tokens))
	r = visit(t, bearer.Host(), account)
	if f := find(r, "authentication"); f.Status != doctor.OK || !strings.HasPrefix(f.Saw, "bearer token of "+tokens.Realm()+", the account from ") {
		t.Errorf("got %+v", f)
	}
	if len(r.Left) > 0 {
		t.Errorf("left %q", r.Left)
	}
	for _, f := range r.Findings {
		if strings.Contains(f.Saw+f.Means, "secret-password") {
			t.Errorf("%+v shows the password", f)
		}
	}
	// Anybody may read there.
	r = visit(t, bearer.Host(), nil)
	if f := find(r, "upload (POST, PUT)"); f.Status != doctor.Failed {
		t.Errorf("got %+v", f)
	}
}

func TestRun_readOnly(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithReadOnly())
	r := visit(t, reg.Host(), nil)
	check(t, r, want{"certificate": "no", "upload (POST, PUT)": "failed"}, 7)
	if err := r.Err(); diag.CodeOf(err) != diag.RegistryUnfit || !strings.Contains(err.Error(), "upload (POST, PUT)") || len(r.Left) > 0 {
		t.Errorf("got %v, left %q", err, r.Left)
	}
}

// TestRun_noDeletes: what cannot be removed is named, and a publish works all the same.
func TestRun_noDeletes(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.WithoutDeletes())
	r := visit(t, reg.Host(), nil)
	check(t, r, want{
		"certificate": "no", "one POST": "no", "PUT with ?tag=": "no", "referrers": "no",
		"deleting a tag": "no", "deleting a manifest": "no", "deleting a blob": "no",
	}, 24)
	tags, blobs := 0, 0
	for _, l := range r.Left {
		if strings.HasPrefix(l, "manifests/gantry-doctor-") {
			tags++
		} else if strings.HasPrefix(l, "blobs/") {
			blobs++
		}
	}
	if r.Err() != nil || tags != len(reg.Tags("team/app")) || tags == 0 || blobs != 4 {
		t.Errorf("%v, left %q", r.Err(), r.Left)
	}
}

// TestRun_misbehaving has a registry lie about one thing at a time.
func TestRun_misbehaving(t *testing.T) {
	fault := func(method, path string, f testenv.Fault) func(*http.Request) *testenv.Fault {
		return testenv.Times(-1, method, path, f)
	}
	tests := map[string]struct {
		fault  func(*http.Request) *testenv.Fault
		probe  string
		status doctor.Status
		saw    string
		left   bool
	}{
		"no connection": {fault: fault("", "", testenv.Fault{Drop: true}), probe: "connection", status: doctor.Failed},
		"login page":    {fault: fault("HEAD", "", testenv.Fault{Status: 200}), probe: "absent manifest", status: doctor.Failed, saw: "200"},
		"clock": {fault: func(r *http.Request) *testenv.Fault {
			if r.URL.Path != "/v2/" {
				return nil
			}
			return &testenv.Fault{Status: 200, Header: http.Header{"Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}}}
		}, probe: "clock", status: doctor.No},
		"no ranges":       {fault: fault("GET", "/blobs/", testenv.Fault{Status: 416}), probe: "ranges", status: doctor.Failed, saw: "416"},
		"no chunks":       {fault: fault("PATCH", "", testenv.Fault{Status: 416}), probe: "chunks of 64 KiB", status: doctor.No, saw: "PATCH: 416"},
		"no HEAD of blob": {fault: fault("HEAD", "/blobs/", testenv.Fault{Status: 405}), probe: "HEAD of a blob", status: doctor.No},
		"no manifests":    {fault: fault("PUT", "/manifests/", testenv.Fault{Status: 403}), probe: "manifest", status: doctor.Failed},
		"immutable": {fault: func() func(*http.Request) *testenv.Fault {
			n := 0
			return func(r *http.Request) *testenv.Fault {
				if r.Method != "PUT" || !strings.Contains(r.URL.Path, "/manifests/gantry-doctor-") {
					return nil
				}
				if n++; n == 1 {
					return nil
				}
				return &testenv.Fault{Status: 409}
			}
		}(), probe: "tag moved", status: doctor.No, saw: "409"},
		"no deletes": {fault: fault("DELETE", "s/", testenv.Fault{Status: 405}), probe: "deleting a manifest", status: doctor.No, saw: "405", left: true},
	}
	reg := testenv.StartOlareg(t)
	testenv.PushTinyBase(t, reg, "team/app", "1", basemaker.TinyOptions{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := testenv.StartProxy(t, reg)
			p.Inject(test.fault)
			r := visit(t, p.Host(), nil)
			if f := find(r, test.probe); f.Status != test.status || !strings.Contains(f.Saw, test.saw) {
				t.Errorf("got %+v", f)
			}
			if failed := r.Err() != nil; failed != (test.status == doctor.Failed) {
				t.Errorf("got %v", r.Err())
			}
			if test.left && len(r.Left) < 3 {
				t.Errorf("left %q", r.Left)
			}
		})
	}
}
