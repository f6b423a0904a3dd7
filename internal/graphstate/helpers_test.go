package graphstate

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

var (
	amd64 = basemaker.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = basemaker.Platform{OS: "linux", Architecture: "arm64"}
)

// site is a registry behind a proxy that counts.
type site struct {
	t     *testing.T
	reg   *testenv.Registry
	proxy *testenv.Proxy
	slept time.Duration
	clock time.Time
}

func newSite(t *testing.T, server string) *site {
	t.Helper()
	reg := testenv.Registries[server](t)
	return &site{t: t, reg: reg, proxy: testenv.StartProxy(t, reg), clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// state is one process's; nothing waits.
func (s *site) state() *State {
	client := registry.New(registry.Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	return New(Options{
		Open:  func(n registry.Name, m registry.Mode) Repository { return client.Repository(n, m) },
		Now:   func() time.Time { return s.clock },
		Sleep: func(_ context.Context, d time.Duration) error { s.slept += d; return nil },
	})
}

func (s *site) name(repository string) registry.Name {
	return registry.NewName(s.proxy.Host(), repository)
}

func (s *site) ref(repository, tag string) string { return s.proxy.Reference(repository, tag) }

// push pushes an image of one platform, or an index of several.
func (s *site) push(repository, tag, seed string, platforms ...basemaker.Platform) *basemaker.TinyBase {
	s.t.Helper()
	base, err := basemaker.Tiny(basemaker.TinyOptions{Layers: 1, Seed: seed, Platforms: platforms})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(base.Images) == 1 {
		err = s.reg.Target().PushImage(s.t.Context(), repository, tag, base.Images[0])
	} else {
		err = s.reg.Target().PushIndex(s.t.Context(), repository, tag, base.Top, base.Images)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return base
}

func top(b *basemaker.TinyBase) registry.Descriptor {
	return registry.Descriptor{MediaType: b.Top.MediaType, Digest: cas.Digest(b.Top.Digest), Size: b.Top.Size}
}

// child is the digest of one platform's image.
func child(b *basemaker.TinyBase, n int) cas.Digest { return cas.Digest(b.Images[n].Manifest.Digest) }

// record has a base for linux/amd64.
func record(hash string, from ...FromImage) *Record {
	v := Variant{Platform: "linux/amd64", FromImages: from, Lines: []sourcehash.Line{{Kind: sourcehash.File, Name: "a.txt", Value: "-rw-r--r-- " + hash}}}
	return NewRecord("app", cas.DigestOf([]byte(hash)), []Variant{v})
}

func from(name string, digest cas.Digest) FromImage {
	return FromImage{Name: name, Digest: digest, Platform: "linux/amd64", Stage: "build", Use: dockerfile.CopyFrom}
}

func (s *site) write(repository string, subject registry.Descriptor, r *Record) {
	s.t.Helper()
	if err := s.state().Write(s.t.Context(), s.name(repository), subject, r); err != nil {
		s.t.Fatal(err)
	}
}

// requests are those since reset, as METHOD kind, without uploads' sessions.
func (s *site) requests() (reads, writes []string) {
	for _, r := range s.proxy.Requests() {
		line := r.Method + " " + r.Path
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			reads = append(reads, line)
		} else {
			writes = append(writes, line)
		}
	}
	return reads, writes
}

func wantCode(t *testing.T, err error, code diag.Code, texts ...string) {
	t.Helper()
	if err == nil || diag.CodeOf(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
}
