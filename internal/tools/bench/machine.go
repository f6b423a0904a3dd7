package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/pgzip"

	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

func machine(sdk, base string) results.Machine {
	return results.Machine{
		Cores: runtime.NumCPU(), Processor: processor(), Platform: runtime.GOOS + "/" + runtime.GOARCH, DotnetSDK: sdk, Base: base,
	}
}

// processor is the name that the kernel knows; not all have one.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// startTime is the median of n starts of "gantry version", in milliseconds.
func startTime(ctx context.Context, gantry string, n int) (float64, error) {
	var all []time.Duration
	for range n {
		began := time.Now()
		if out, err := exec.CommandContext(ctx, gantry, "version").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s version: %w\n%s", gantry, err, out)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return float64(all[n/2].Microseconds()) / 1000, nil
}

// limitsOf measures what this machine can do at best with the files of a folder: the bound of a cold publish.
func (r *registry) limitsOf(ctx context.Context, app, dir string) (*results.Limits, error) {
	var content []byte
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		content = append(content, data...)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &results.Limits{App: app, Bytes: int64(len(content))}
	began := time.Now()
	sum := sha256.Sum256(content)
	l.HashSeconds = time.Since(began).Seconds()

	var compressed bytes.Buffer
	compressed.Grow(len(content))
	z, err := pgzip.NewWriterLevel(&compressed, layer.DefaultGzipLevel)
	if err != nil {
		return nil, err
	}
	if err := z.SetConcurrency(layer.BlockSize, runtime.NumCPU()); err != nil {
		return nil, err
	}
	began = time.Now()
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	l.CompressSeconds, l.CompressedBytes = time.Since(began).Seconds(), int64(compressed.Len())

	blob := basemaker.NewBlob(basemaker.OCILayer, compressed.Bytes())
	config := basemaker.NewBlob(basemaker.OCIConfig, fmt.Appendf(nil, `{"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, sum))
	image, err := basemaker.NewImage(basemaker.OCIManifest, config, []basemaker.Blob{blob}, basemaker.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return nil, err
	}
	r.begin(0)
	began = time.Now()
	err = basemaker.Target{URL: r.proxy.URL}.PushImage(ctx, "bench/limits", "latest", image)
	l.UploadSeconds = time.Since(began).Seconds()
	return l, err
}
