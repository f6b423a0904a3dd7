package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

const baseRepository = "dotnet/aspnet"

// bases are the base image before and after it moved: indexes over two platforms, as Microsoft's.
type bases struct {
	before, after basemaker.Blob
	// layers are those of both, by digest.
	layers map[string]bool
	about  string
}

// pushBases makes the base images and pushes them. Both platforms have the layers of this machine's own runtime: nothing runs here.
func (r *registry) pushBases(ctx context.Context) (*bases, error) {
	image, err := basemaker.Runtime(ctx, filepath.Join(os.TempDir(), fmt.Sprintf("gantry-demo-%d", os.Getuid())))
	if err != nil {
		return nil, err
	}
	version, err := basemaker.RuntimeVersion()
	if err != nil {
		return nil, err
	}
	patch, diffID, err := patchLayer()
	if err != nil {
		return nil, err
	}
	b := &bases{layers: map[string]bool{}, about: fmt.Sprintf("the base image has %d layers with .NET %s, for two platforms", len(image.Layers), version)}
	if b.before, err = r.pushBase(ctx, "before", image, nil, ""); err != nil {
		return nil, err
	}
	if b.after, err = r.pushBase(ctx, "after", image, []basemaker.Blob{patch}, diffID); err != nil {
		return nil, err
	}
	for _, l := range append(image.Layers, patch) {
		b.layers[l.Digest] = true
	}
	return b, nil
}

func (r *registry) pushBase(ctx context.Context, tag string, from *basemaker.Image, more []basemaker.Blob, diffID string) (basemaker.Blob, error) {
	var images []*basemaker.Image
	for _, architecture := range []string{"amd64", "arm64"} {
		config, err := os.ReadFile(from.Config.File)
		if err != nil {
			return basemaker.Blob{}, err
		}
		if config, err = changeConfig(config, architecture, diffID); err != nil {
			return basemaker.Blob{}, err
		}
		layers := append(append([]basemaker.Blob{}, from.Layers...), more...)
		platform := basemaker.Platform{OS: "linux", Architecture: architecture}
		image, err := basemaker.NewImage(basemaker.OCIManifest, basemaker.NewBlob(basemaker.OCIConfig, config), layers, platform)
		if err != nil {
			return basemaker.Blob{}, err
		}
		images = append(images, image)
	}
	index, err := basemaker.NewIndex(basemaker.OCIIndex, images)
	if err != nil {
		return basemaker.Blob{}, err
	}
	return index, basemaker.Target{URL: r.direct}.PushIndex(ctx, baseRepository, tag, index, images)
}

// moveBase lets a tag of the base's repository name another image.
func (r *registry) moveBase(ctx context.Context, tag string, to basemaker.Blob) error {
	return basemaker.Target{URL: r.direct}.PushManifest(ctx, baseRepository, tag, to)
}

// changeConfig sets the architecture, and adds a layer unless diffID is empty.
func changeConfig(config []byte, architecture, diffID string) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, err
	}
	doc["architecture"] = architecture
	if diffID != "" {
		rootfs, ok1 := doc["rootfs"].(map[string]any)
		history, ok2 := doc["history"].([]any)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("the base's configuration has no layers: %s", config)
		}
		ids, ok := rootfs["diff_ids"].([]any)
		if !ok {
			return nil, fmt.Errorf("the base's configuration has no layers: %s", config)
		}
		rootfs["diff_ids"] = append(ids, diffID)
		doc["history"] = append(history, map[string]any{"created": doc["created"], "created_by": "a newer base"})
	}
	return json.Marshal(doc)
}

// patchLayer is a layer of one file, as a security update adds.
func patchLayer() (basemaker.Blob, string, error) {
	content := data(1<<20, 99)
	var archive, compressed bytes.Buffer
	t := tar.NewWriter(&archive)
	if err := t.WriteHeader(&tar.Header{Name: "usr/lib/patched.so", Mode: 0o644, Size: int64(len(content))}); err != nil {
		return basemaker.Blob{}, "", err
	}
	if _, err := t.Write(content); err != nil {
		return basemaker.Blob{}, "", err
	}
	if err := t.Close(); err != nil {
		return basemaker.Blob{}, "", err
	}
	z := gzip.NewWriter(&compressed)
	if _, err := z.Write(archive.Bytes()); err != nil {
		return basemaker.Blob{}, "", err
	}
	if err := z.Close(); err != nil {
		return basemaker.Blob{}, "", err
	}
	sum := sha256.Sum256(archive.Bytes())
	return basemaker.NewBlob(basemaker.OCILayer, compressed.Bytes()), "sha256:" + hex.EncodeToString(sum[:]), nil
}
