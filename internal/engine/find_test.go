package engine

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestFind: the engine that answers is taken, as the .NET SDK does: docker before podman, unless docker is podman by another name.
func TestFind(t *testing.T) {
	const (
		works   = `echo '{"DockerRootDir":"/var/lib/docker"}'`
		down    = `echo '{"ServerErrors":["Cannot connect"]}'`
		fails   = `echo no daemon >&2; exit 1`
		podmans = `echo '{"host":{"buildahVersion":"1.28"}}'`
	)
	for name, tc := range map[string]struct {
		docker, podman string // scripts; empty: not installed
		want           Kind   // empty: CONTAINER1012
		says           string
	}{
		"both":                {works, "exit 0", Docker, ""},
		"docker alone":        {works, "", Docker, ""},
		"docker down":         {down, "exit 0", Podman, ""},
		"docker fails":        {fails, "exit 0", Podman, ""},
		"docker is podman":    {podmans, "exit 0", Podman, ""},
		"docker, and no more": {podmans, "", Docker, ""},
		"podman alone":        {"", "exit 0", Podman, ""},
		"podman broken":       {"", "echo no storage >&2; exit 125", "", "docker: it is not installed; podman: podman version: no storage"},
		"none":                {"", "", "", "podman: it is not installed"},
		"down, and none":      {down, "", "", "Cannot connect"},
		"fails, and none":     {fails, "", "", "no daemon"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for program, body := range map[string]string{"docker": tc.docker, "podman": tc.podman} {
				if body == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			e, err := Find(t.Context(), Options{
				Log:    slog.New(slog.DiscardHandler),
				Getenv: func(n string) string { return map[string]string{"DOCKER_HOST": "ssh://none"}[n] }, // not the machine's own Docker
			}, "")
			if tc.want == "" {
				if diag.CodeOf(err) != diag.NoLocalRegistry || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%v, want %q", err, tc.says)
				}
				return
			}
			if err != nil || e.Kind != tc.want {
				t.Errorf("%+v, %v; want %s", e, err, tc.want)
			}
		})
	}
}

// TestFind_byHost: DOCKER_HOST is spoken to without a program, unless only the program knows how.
func TestFind_byHost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"DockerRootDir":"/x","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`))
	}))
	defer server.Close()
	t.Setenv("PATH", t.TempDir())
	tcp := strings.Replace(server.URL, "http://", "tcp://", 1)
	for name, tc := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"tcp":           {map[string]string{"DOCKER_HOST": tcp}, true},
		"tcp with TLS":  {map[string]string{"DOCKER_HOST": tcp, "DOCKER_TLS_VERIFY": "1"}, false},
		"a context":     {map[string]string{"DOCKER_HOST": tcp, "DOCKER_CONTEXT": "other"}, false},
		"ssh":           {map[string]string{"DOCKER_HOST": "ssh://host"}, false},
		"gone":          {map[string]string{"DOCKER_HOST": "unix:///no/such"}, false},
		"without tcp":   {map[string]string{"DOCKER_HOST": strings.TrimPrefix(tcp, "tcp://")}, true},
		"a TLS context": {map[string]string{"DOCKER_HOST": tcp, "DOCKER_TLS": "1"}, false},
	} {
		e, err := Find(t.Context(), Options{Log: slog.New(slog.DiscardHandler), Getenv: func(n string) string { return tc.env[n] }}, "")
		if (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err == nil {
			i, err := e.info(t.Context())
			if err != nil || !i.containerd() {
				t.Errorf("%s: %+v, %v", name, i, err)
			}
		}
	}
}

// TestNewAPI: the forms of DOCKER_HOST that docker itself takes.
func TestNewAPI(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///run/docker.sock": "http://engine", "unix://": "http://engine", "tcp://build:2376": "http://build:2376", "tcp://build": "http://build:2375",
		"build": "http://build:2375", "build:99/": "http://build:99", "tcp://[::1]": "http://[::1]:2375", "tcp://[::1]:99/under": "http://[::1]:99/under",
		"http://build": "http://build", "ssh://build": "", "npipe:////./pipe/docker_engine": "", "tcp://": "", "": "",
	} {
		got := ""
		if a := newAPI(host); a != nil {
			got = a.base
		}
		if got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// TestSingle: what an engine takes of an index.
func TestSingle(t *testing.T) {
	for text, want := range map[string]string{
		`{"OSType":"linux","Architecture":"x86_64"}`:  "linux/amd64",
		`{"OSType":"linux","Architecture":"aarch64"}`: "linux/arm64",
		`{"OSType":"linux","Architecture":"armv7l"}`:  "linux/arm/v7",
		`{"OSType":"linux","Architecture":"s390x"}`:   "linux/s390x",
		`{"host":{"os":"linux","arch":"arm64"}}`:      "linux/arm64",
		`{"OSType":"linux","Architecture":"x86_64","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`: "",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
		e := &Engine{Docker, slog.New(slog.DiscardHandler), newAPI(server.URL)}
		if got, err := e.Single(t.Context()); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
		server.Close()
	}
}

func TestParseKind(t *testing.T) {
	for in, want := range map[string]Kind{"": "", "Docker": Docker, "podman": Podman, "PODMAN": Podman} {
		if got, err := ParseKind(in); err != nil || got != want {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	if _, err := ParseKind("Wslc"); diag.CodeOf(err) != diag.UnknownLocalRegistry {
		t.Errorf("%v", err)
	}
}
