package resolvebase_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/resolvebase"
)

func resolve(t *testing.T, store *cas.Store, reference string) (*resolvebase.Response, error) {
	t.Helper()
	return run(t, store, &resolvebase.Request{Reference: reference}, io.Discard)
}

func run(t *testing.T, store *cas.Store, req *resolvebase.Request, log io.Writer) (*resolvebase.Response, error) {
	t.Helper()
	if err := req.Validate(); err != nil {
		return nil, err
	}
	client := registry.New(registry.Options{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	return resolvebase.Run(t.Context(), resolvebase.Deps{
		Source: func(n registry.Name, m registry.Mode) resolvebase.Source { return client.Repository(n, m) },
		Store:  store, Log: slog.New(slog.NewTextHandler(log, nil)),
	}, req)
}

// TestMemory: what a reference answered last decides how it is asked for, and never what it is.
func TestMemory(t *testing.T) {
	reg := testenv.StartOlareg(t)
	first := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 1})
	proxy := testenv.StartProxy(t, reg)
	reference := proxy.Reference("base", "1")
	store := cas.Open(filepath.Join(t.TempDir(), "store"))
	records := filepath.Join(store.Dir(), cas.RecordsDir, "references")
	head := func(status int) func(*http.Request) *testenv.Fault {
		return func(r *http.Request) *testenv.Fault {
			if r.Method != http.MethodHead {
				return nil
			}
			return &testenv.Fault{Status: status}
		}
	}
	overwrite := func(text string) func() {
		return func() {
			files, err := filepath.Glob(filepath.Join(records, "*.json"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%v, %v", files, err)
			}
			if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := first.Digest
	for _, tc := range []struct {
		name    string
		before  func()
		fault   func(*http.Request) *testenv.Fault
		methods []string
	}{
		{"never asked", nil, nil, []string{"GET"}},
		{"not moved", nil, nil, []string{"HEAD"}},
		{"HEAD is not allowed", nil, head(403), []string{"HEAD", "GET"}},
		{"HEAD says it is not there", nil, head(404), []string{"HEAD", "GET"}},
		{"the record is damaged", overwrite("{"), nil, []string{"GET"}},
		{"the record is of another reference", overwrite(`{"reference":"x","digest":"` + want + `","mediaType":"` + first.MediaType + `"}`), nil, []string{"GET"}},
		{"the record lies", overwrite(`{"reference":"` + reference + `","digest":"` + string(cas.DigestOf([]byte("x"))) + `","mediaType":"` + first.MediaType + `"}`), nil, []string{"GET"}},
		{"the store lost the manifest", func() {
			if err := os.Remove(store.Path(cas.Digest(want))); err != nil {
				t.Fatal(err)
			}
		}, nil, []string{"GET"}},
		{"moved", func() {
			want = testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 2}).Digest
		}, nil, []string{"HEAD", "GET"}},
		{"not moved since", nil, nil, []string{"HEAD"}},
		{"moved back", func() {
			want = testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 1}).Digest
		}, nil, []string{"HEAD", "GET"}},
	} {
		if tc.before != nil {
			tc.before()
		}
		proxy.Inject(tc.fault)
		proxy.Reset()
		resp, err := resolve(t, store, reference)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		var methods []string
		for _, r := range proxy.Requests() {
			methods = append(methods, r.Method)
		}
		if string(resp.Digest) != want || len(methods) != len(tc.methods) || methods[0] != tc.methods[0] {
			t.Errorf("%s: %s by %v, want %s by %v", tc.name, resp.Digest, methods, want, tc.methods)
		}
	}
	// an outage is never an old answer
	proxy.Inject(func(*http.Request) *testenv.Fault { return &testenv.Fault{Status: http.StatusServiceUnavailable} })
	if resp, err := resolve(t, store, reference); err == nil {
		t.Errorf("an outage gives %+v", resp)
	}
}

// TestPullPolicy: how often the base's registry is asked, by policy and by what the store has.
func TestPullPolicy(t *testing.T) {
	proxy := testenv.StartProxy(t, testenv.StartRegistry(t))
	first := testenv.PushTinyBase(t, proxy.Registry(), "base", "1", basemaker.TinyOptions{Layers: 1})
	tag, pinned := proxy.Reference("base", "1"), proxy.Reference("base", first.Digest)
	for _, tc := range []struct {
		policy, reference string
		filled            bool // the store has the base and remembers the tag
		requests          int
		code              diag.Code
		said              string
	}{
		{"", tag, false, 1, "", ""},
		{"always", tag, true, 1, "", ""},
		{"always", pinned, true, 0, "", ""},
		{"missing", tag, false, 1, "", ""},
		{"Missing", tag, true, 0, "", "not asked for: GantryPullPolicy=missing; this was its last answer"},
		{"missing", pinned, false, 1, "", ""},
		{"never", tag, true, 0, "", "not asked for: GantryPullPolicy=never"},
		{"never", pinned, true, 0, "", ""},
		{"never", tag, false, 0, diag.NotInStore, tag},
		{"never", pinned, false, 0, diag.NotInStore, pinned},
		{"sometimes", tag, true, 0, diag.InvalidValue, "sometimes"},
	} {
		store := cas.Open(t.TempDir())
		if tc.filled {
			if _, err := resolve(t, store, tag); err != nil {
				t.Fatal(err)
			}
		}
		proxy.Reset()
		var log bytes.Buffer
		resp, err := run(t, store, &resolvebase.Request{Reference: tc.reference, PullPolicy: tc.policy}, &log)
		name := tc.policy + " " + tc.reference
		if n := proxy.Counts().Requests; n != tc.requests {
			t.Errorf("%s: %d requests, want %d", name, n, tc.requests)
		}
		if tc.code != "" {
			if diag.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.said) {
				t.Errorf("%s: got %v, want %s with %q", name, err, tc.code, tc.said)
			}
			continue
		}
		if err != nil || string(resp.Digest) != first.Digest || !strings.Contains(log.String(), tc.said) {
			t.Errorf("%s: got %+v, %v, said %s", name, resp, err, log.String())
		}
	}
}
