package graphstate

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// What buildah leaves behind is understood: the image ID of the build and the digest of the push, of an image FROM scratch that copies from
// an intermediate stage.
func TestStamp_buildah(t *testing.T) {
	testenv.Require(t, "buildah")
	testenv.RequireRoot(t)
	s := newSite(t, "docker-registry")
	base := s.push("base", "1", "base", amd64, arm64)
	dir, err := os.MkdirTemp("", "gs")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	pin := s.ref("base", base.Top.Digest)
	text := "ARG BASE\nFROM --platform=linux/amd64 ${BASE} AS build\nFROM scratch\nCOPY --from=build /etc/passwd /\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	storage := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
	id, pushed := filepath.Join(dir, "id"), filepath.Join(dir, "digest")
	for _, args := range [][]string{
		{"bud", "--isolation", "chroot", "--tls-verify=false", "--platform", "linux/amd64", "--build-arg", "BASE=" + pin, "--iidfile", id, "-t", "x", dir},
		{"push", "--tls-verify=false", "--digestfile", pushed, "x", "docker://" + s.ref("app", "1")},
	} {
		if out, err := exec.CommandContext(t.Context(), "buildah", slices.Concat(storage, args)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	read := func(file string) []byte {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	digest, err := parseImageID(read(pushed))
	if err != nil {
		t.Fatal(err)
	}
	r := record("one", from(s.ref("base", "1"), child(base, 0)))
	q := &Request{
		Image: s.name("app"), Digest: digest, Hash: r.SourceHash, Builder: Builder{ImageID: read(id)},
		Parents: []Parent{{Name: s.ref("base", "1"), Platform: "linux/amd64", Pin: pin}},
		Rehash:  func(context.Context) (*Record, error) { return r, nil },
	}
	if _, err := s.state().Stamp(t.Context(), q); err != nil {
		t.Error(err)
	}
	s.isStale(s.ref("app", "1"), Current)
	s.push("base", "1", "new", amd64, arm64)
	s.isStale(s.ref("app", "1"), Stale, "base:1 (build)")
	_, err = s.state().Stamp(t.Context(), q)
	wantCode(t, err, diag.StampParentMoved)
	q.Builder.ImageID = []byte(cas.DigestOf(nil))
	_, err = s.state().Stamp(t.Context(), q)
	wantCode(t, err, diag.StampOther)
}
