package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/internal/tools/imagestats"
	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// registry is Debian's docker-registry behind a proxy that counts.
type registry struct {
	process *exec.Cmd
	proxy   *httptest.Server
	rec     *recorder.Recorder
	// host is that of the proxy, as "localhost:PORT": the SDK takes plain
	// HTTP for granted with this name only.
	host  string
	about string
}

const base = "dotnet/aspnet:10.0"

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

func startRegistry(ctx context.Context, work string) (*registry, error) {
	config := map[string]any{
		"version": "0.1",
		"log":     map[string]any{"level": "info", "accesslog": map[string]any{"disabled": true}},
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": filepath.Join(work, "storage")},
			"cache":      map[string]any{"blobdescriptor": "inmemory"},
		},
		"http": map[string]any{"addr": "127.0.0.1:0"},
	}
	text, err := json.Marshal(config) // JSON is YAML
	if err != nil {
		return nil, err
	}
	file := filepath.Join(work, "registry.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	r := &registry{process: exec.CommandContext(ctx, "docker-registry", "serve", file)}
	log, err := r.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	address, err := waitForAddress(bufio.NewScanner(log))
	if err != nil {
		r.close()
		return nil, err
	}
	forward, err := recorder.ReverseProxy("http://" + address)
	if err != nil {
		r.close()
		return nil, err
	}
	forward.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	r.rec = recorder.New(forward)
	r.proxy = httptest.NewServer(r.rec)
	r.host = strings.Replace(strings.TrimPrefix(r.proxy.URL, "http://"), "127.0.0.1", "localhost", 1)
	if err := r.pushBase(ctx, work); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// waitForAddress reads the log until the address is in it, and the rest in
// the background, so that the registry never waits for a reader.
func waitForAddress(log *bufio.Scanner) (string, error) {
	for log.Scan() {
		if m := listening.FindStringSubmatch(log.Text()); m != nil {
			go func() {
				for log.Scan() {
				}
			}()
			return m[1], nil
		}
	}
	return "", fmt.Errorf("docker-registry ended at once")
}

func (r *registry) pushBase(ctx context.Context, work string) error {
	image, err := basemaker.Runtime(ctx, work)
	if err != nil {
		return err
	}
	name, tag, _ := strings.Cut(base, ":")
	if err := (basemaker.Target{URL: r.proxy.URL}).PushImage(ctx, name, tag, image); err != nil {
		return err
	}
	version, err := basemaker.RuntimeVersion()
	r.about = fmt.Sprintf("docker-registry on loopback, base of %d layers with .NET %s", len(image.Layers), version)
	return err
}

// stats are what happened since reset.
func (r *registry) stats(ctx context.Context) (imagestats.Stats, error) {
	requests, counts := r.rec.Requests(), r.rec.Counts()
	return imagestats.Of(requests, counts, func(path string) ([]byte, error) {
		return r.get(ctx, path)
	})
}

func (r *registry) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	for _, m := range []string{basemaker.OCIManifest, basemaker.OCIIndex, basemaker.DockerImage, basemaker.DockerList} {
		req.Header.Add("Accept", m)
	}
	answer := httptest.NewRecorder()
	r.rec.ServeHTTP(answer, req)
	if answer.Code != http.StatusOK {
		return nil, fmt.Errorf("%s: %d", path, answer.Code)
	}
	return answer.Body.Bytes(), nil
}

// close ends the proxy and the process, by its own id.
func (r *registry) close() {
	if r.proxy != nil {
		r.proxy.Close()
	}
	// both fail only when it has ended already
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}
