package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// registry is Debian's docker-registry behind a proxy that counts, and that can hold each request for a while.
type registry struct {
	process *exec.Cmd
	proxy   *httptest.Server
	rec     *recorder.Recorder
	latency atomic.Int64 // nanoseconds
	// host is that of the proxy, as "localhost:PORT": the SDK takes plain HTTP for granted with this name only.
	host string
	// direct is the URL of the registry itself, for what must not be counted.
	direct string
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

func startRegistry(ctx context.Context, work string) (*registry, error) {
	config := map[string]any{
		"version": "0.1",
		"log":     map[string]any{"level": "info", "accesslog": map[string]any{"disabled": true}},
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": filepath.Join(work, "registry")},
			"cache":      map[string]any{"blobdescriptor": "inmemory"},
		},
		"http": map[string]any{"addr": "127.0.0.1:0", "secret": "of no worth"},
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
	r.process.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	log, err := r.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	address, err := waitForAddress(bufio.NewScanner(log))
	if err == nil {
		err = r.startProxy("http://" + address)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// waitForAddress reads the log until the address is in it, and the rest in the background, so that the registry never waits for a
// reader.
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
	return "", errors.New("docker-registry ended at once")
}

func (r *registry) startProxy(direct string) error {
	forward, err := recorder.ReverseProxy(direct)
	if err != nil {
		return err
	}
	forward.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	r.rec = recorder.New(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		time.Sleep(time.Duration(r.latency.Load()))
		forward.ServeHTTP(w, req)
	}))
	r.proxy = httptest.NewServer(r.rec)
	r.direct = direct
	r.host = strings.Replace(strings.TrimPrefix(r.proxy.URL, "http://"), "127.0.0.1", "localhost", 1)
	return nil
}

// begin forgets the requests so far and sets the latency of the next ones.
func (r *registry) begin(milliseconds int) {
	r.latency.Store(int64(time.Duration(milliseconds) * time.Millisecond))
	r.rec.Reset()
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

// image is what a tag of a repository names: an image, or an index over several.
type image struct {
	digest string
	// layers are those of all platforms, with their compressed sizes.
	layers map[string]int64
}

type descriptor struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// image reads what a tag or digest names and checks that all of it is in the registry.
func (r *registry) image(ctx context.Context, repository, reference string) (image, error) {
	body, digest, err := r.manifest(ctx, repository, reference)
	if err != nil {
		return image{}, err
	}
	var doc struct {
		Manifests []descriptor `json:"manifests"`
		Layers    []descriptor `json:"layers"`
		Config    *descriptor  `json:"config"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return image{}, fmt.Errorf("%s:%s: %w", repository, reference, err)
	}
	found := image{digest: digest, layers: map[string]int64{}}
	for _, m := range doc.Manifests {
		one, err := r.image(ctx, repository, m.Digest)
		if err != nil {
			return image{}, err
		}
		for digest, size := range one.layers {
			found.layers[digest] = size
		}
	}
	blobs := doc.Layers
	if doc.Config != nil {
		blobs = append(blobs, *doc.Config)
	}
	for _, b := range blobs {
		if _, _, err := r.ask(ctx, http.MethodHead, "/v2/"+repository+"/blobs/"+b.Digest); err != nil {
			return image{}, err
		}
	}
	for _, l := range doc.Layers {
		found.layers[l.Digest] = l.Size
	}
	return found, nil
}

func (r *registry) manifest(ctx context.Context, repository, reference string) (body []byte, digest string, err error) {
	body, header, err := r.ask(ctx, http.MethodGet, "/v2/"+repository+"/manifests/"+reference)
	return body, header.Get("Docker-Content-Digest"), err
}
