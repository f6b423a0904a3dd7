package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/internal/tools/imagestats"
	"github.com/gantry-build/gantry/internal/tools/recorder"
)

const (
	resetPath = "/demo/reset"
	statsPath = "/demo/stats"
)

// base is where the base image lies, named as Microsoft's is.
const (
	baseRepository = "dotnet/aspnet"
	baseTag        = "10.0"
)

// serve runs the registry until ctx ends. The file DIR/address appears when
// it answers and the base image is in it; DIR/base says what that is.
func serve(ctx context.Context, dir string) error {
	registry := olareg.New(config.Config{Storage: config.ConfigStorage{
		StoreType: config.StoreDir, RootDir: filepath.Join(dir, "storage"),
	}})
	defer registry.Close()
	rec := recorder.New(registry)
	mux := http.NewServeMux()
	mux.Handle("/v2/", rec)
	mux.HandleFunc("POST "+resetPath, func(http.ResponseWriter, *http.Request) { rec.Reset() })
	mux.HandleFunc("GET "+statsPath, func(w http.ResponseWriter, r *http.Request) { stats(w, rec, registry) })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer server.Close()

	host := listener.Addr().String()
	if err := pushBase(ctx, dir, host); err != nil {
		return err
	}
	rec.Reset()
	if err := writeWhole(filepath.Join(dir, "address"), host+"\n"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// pushBase puts the machine's own .NET runtime into the registry as a base
// image, or one that runs static binaries where there is no .NET.
func pushBase(ctx context.Context, dir, host string) error {
	var image *basemaker.Image
	var about string
	if _, err := exec.LookPath("dotnet"); err == nil {
		if image, err = basemaker.Runtime(ctx, filepath.Join(os.TempDir(), fmt.Sprintf("gantry-demo-%d", os.Getuid()))); err != nil {
			return err
		}
		version, err := basemaker.RuntimeVersion()
		if err != nil {
			return err
		}
		about = "this machine's own .NET " + version
	} else {
		tiny, err := basemaker.Tiny(basemaker.TinyOptions{
			Layers: 5, Platforms: []basemaker.Platform{{OS: "linux", Architecture: runtime.GOARCH}},
		})
		if err != nil {
			return err
		}
		image, about = tiny.Images[0], "a few small files"
	}
	target := basemaker.Target{URL: "http://" + host}
	if err := target.PushImage(ctx, baseRepository, baseTag, image); err != nil {
		return err
	}
	var bytes int64
	for _, l := range image.Layers {
		bytes += l.Size
	}
	text := fmt.Sprintf("%s/%s:%s, %d layers, %s, made of %s\n", host, baseRepository, baseTag, len(image.Layers), size(bytes), about)
	return writeWhole(filepath.Join(dir, "base"), text)
}

func stats(w http.ResponseWriter, rec *recorder.Recorder, registry http.Handler) {
	// the manifests are read past the recorder
	read := func(path string) ([]byte, error) {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		for _, m := range []string{basemaker.OCIManifest, basemaker.OCIIndex, basemaker.DockerImage, basemaker.DockerList} {
			req.Header.Add("Accept", m)
		}
		answer := httptest.NewRecorder()
		registry.ServeHTTP(answer, req)
		if answer.Code != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", path, answer.Code)
		}
		return answer.Body.Bytes(), nil
	}
	s, err := imagestats.Of(rec.Requests(), rec.Counts(), read)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := json.NewEncoder(w).Encode(s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// writeWhole lets no reader see half a file.
func writeWhole(file, text string) error {
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
