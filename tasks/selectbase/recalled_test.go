package selectbase

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// TestRun_recalled: an earlier image stands for the base's documents when it is on the same base, and gives the same response. In all
// other cases the base is asked for, which fails here.
func TestRun_recalled(t *testing.T) {
	manifest := func(b *tasks.Base) cas.Digest { return b.Manifest.Digest }
	config := func(b *tasks.Base) cas.Digest { return b.Config.Digest }
	both := []func(*tasks.Base) cas.Digest{manifest, config}
	for _, tc := range []struct {
		name   string
		index  bool
		lost   []func(*tasks.Base) cas.Digest
		change func(*tasks.RecalledBase) // what the earlier image says
		req    Request
		asked  bool // recall was
		taken  bool
	}{
		{"all is there", true, nil, nil, Request{}, false, true},
		{"nothing but the index is there", true, both, nil, Request{}, true, true},
		{"the configuration is lost", true, both[1:], nil, Request{}, true, true},
		{"no index", false, both[1:], nil, Request{}, true, true},
		{"offline", true, both, nil, Request{PullPolicy: "never"}, true, true},
		{"the base's own format", true, both, nil, Request{ImageFormat: "OCI"}, true, true},
		{"another format", true, both, nil, Request{ImageFormat: "Docker"}, true, false},
		{"another base", true, both, func(b *tasks.RecalledBase) { b.Manifest.Digest = cas.DigestOf(nil) }, Request{}, true, false},
		{"another size", true, both, func(b *tasks.RecalledBase) { b.Manifest.Size++ }, Request{}, true, false},
		{"another type", true, both, func(b *tasks.RecalledBase) { b.Manifest.MediaType = image.DockerManifest }, Request{}, true, false},
		{"another configuration", true, both[1:], func(b *tasks.RecalledBase) { b.Config.Digest = cas.DigestOf(nil) }, Request{}, true, false},
		{"other layers", true, both[1:], func(b *tasks.RecalledBase) { b.Layers = nil }, Request{}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBase()
			b.index = tc.index
			deps, file := b.store(t, nil)
			plain := Request{ResolveBasePath: file, RuntimeIdentifier: "linux-x64"}
			want, err := Run(t.Context(), deps, &plain)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range tc.lost {
				if err := os.Remove(deps.Store.Path(d(&want.Base))); err != nil {
					t.Fatal(err)
				}
			}
			earlier := tasks.RecalledBase{ // as recall answers
				Manifest: want.Base.Manifest, Config: want.Base.Config, Layers: want.Base.Layers,
				Platform: want.Base.Platform, Created: want.Base.Created, Format: want.Base.Format,
			}
			if tc.change != nil {
				tc.change(&earlier)
			}
			asked := false
			deps.Recall = func(context.Context) (*tasks.Recalled, error) {
				asked = true
				return &tasks.Recalled{Reference: "r.example/app:1", Base: &earlier}, nil
			}
			req := tc.req
			req.ResolveBasePath, req.RuntimeIdentifier = file, "linux-x64"
			got, err := Run(t.Context(), deps, &req)
			if asked != tc.asked || (err == nil) != tc.taken {
				t.Fatalf("recall was asked: %v, want %v; %v", asked, tc.asked, err)
			}
			if err == nil && !cmp.Equal(want, got) {
				t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
			}
		})
	}
}

// TestRun_offline: with GantryPullPolicy=never the error names what the store lacks; without an earlier image there is no other way.
func TestRun_offline(t *testing.T) {
	b := newBase()
	b.index = true
	deps, file := b.store(t, nil)
	req := &Request{ResolveBasePath: file, RuntimeIdentifier: "linux-x64", PullPolicy: "never"}
	want, err := Run(t.Context(), deps, req)
	if err != nil {
		t.Fatal(err)
	}
	deps.Recall = func(context.Context) (*tasks.Recalled, error) { return &tasks.Recalled{}, nil }
	for _, d := range []cas.Digest{want.Base.Config.Digest, want.Base.Manifest.Digest, want.Base.Digest} {
		if err := os.Remove(deps.Store.Path(d)); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), deps, req)
		if diag.CodeOf(err) != diag.NotInStore || !strings.Contains(err.Error(), "r.example/b@"+string(d)) || !strings.Contains(err.Error(), "GantryPullPolicy=always") {
			t.Errorf("without %s: got %v", d, err)
		}
	}
	stop := errors.New("stop")
	deps, file = newBase().store(t, nil)
	deps.Recall = func(context.Context) (*tasks.Recalled, error) { return nil, stop }
	if err := os.Remove(deps.Store.Path(want.Base.Config.Digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), deps, &Request{ResolveBasePath: file, RuntimeIdentifier: "linux-x64"}); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := (&Request{ResolveBasePath: "a", RuntimeIdentifier: "b", PullPolicy: "c"}).Validate(); diag.CodeOf(err) != diag.InvalidValue {
		t.Errorf("got %v", err)
	}
}
