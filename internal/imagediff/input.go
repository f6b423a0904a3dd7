package imagediff

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository reads a repository; *registry.Repository does.
type Repository interface {
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
}

// Deps are what a comparison needs. Source returns the repository of an image.
type Deps struct {
	Source func(registry.Name) Repository
	Store  *cas.Store
	Log    *slog.Logger
}

// Options say what to compare.
type Options struct {
	// A and B are image references, or folders; a folder that exists comes before an image of that name, and what begins with a
	// dot or a slash is a folder always.
	A, B string
	// Platform chooses from an index: a runtime identifier, or os/architecture[/variant]. Without it two indexes are compared
	// platform by platform, and an index is asked for the other image's platform, for linux/amd64 beside a folder.
	Platform string
	// Dir is where relative folders are.
	Dir string
}

const defaultPlatform = "linux/amd64"

// side is A or B: a folder, or what a reference names.
type side struct {
	Deps
	arg    string
	folder string // of a folder
	from   Repository
	top    *registry.Manifest
	index  *image.Index // nil for a single image
}

func (d Deps) open(ctx context.Context, arg, dir string) (*side, error) {
	s := &side{Deps: d, arg: arg}
	path := arg
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if fi, err := os.Stat(path); err == nil && fi.IsDir() || looksLikeFolder(arg) {
		s.folder = path
		return s, nil
	}
	ref, err := registry.ParseReference(arg)
	if err != nil {
		return nil, err
	}
	s.from = d.Source(ref.Name)
	if ref.Digest != "" {
		s.top, err = pull.Manifest(ctx, d.Store, s.from, ref.Digest, d.Log)
	} else if s.top, err = s.from.Manifest(ctx, ref.Tag); err == nil {
		err = pull.Keep(d.Store, s.top)
	}
	if err == nil && image.IsIndex(s.top.MediaType) {
		s.index, err = image.ParseIndex(s.top.Body, s.top.MediaType)
	}
	return s, err
}

func looksLikeFolder(arg string) bool {
	return strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") || strings.Contains(arg, `\`)
}

func (s *side) subject() Subject {
	if s.top == nil {
		return Subject{Reference: s.arg}
	}
	return Subject{Reference: s.arg, Digest: s.top.Digest, MediaType: s.top.MediaType}
}

// picture is one image of a side.
type picture struct {
	side     *side
	digest   cas.Digest
	body     []byte
	manifest *image.Manifest
	config   *image.Config
	raw      []byte // the configuration's bytes
	top      map[string]json.RawMessage
	run      map[string]json.RawMessage // the member "config"
}

// image loads the image for a platform; a single image is the one for every platform.
func (s *side) image(ctx context.Context, platform string) (*picture, error) {
	if s.index == nil {
		return s.load(ctx, s.top)
	}
	entry, err := pick(s.index, platform, s.arg)
	if err != nil {
		return nil, err
	}
	return s.entry(ctx, entry)
}

// entry loads the image of an index's entry.
func (s *side) entry(ctx context.Context, entry image.Descriptor) (*picture, error) {
	m, err := pull.Manifest(ctx, s.Store, s.from, entry.Digest, s.Log)
	if err != nil {
		return nil, err
	}
	m.MediaType = entry.MediaType
	return s.load(ctx, m)
}

func (s *side) load(ctx context.Context, m *registry.Manifest) (*picture, error) {
	p := &picture{side: s, digest: m.Digest, body: m.Body}
	var err error
	if p.manifest, err = image.ParseManifest(m.Body, m.MediaType); err != nil {
		return nil, err
	}
	if p.raw, err = pull.Small(ctx, s.Store, s.from, p.manifest.Config, image.MaxConfigBytes, s.Log); err != nil {
		return nil, err
	}
	if p.config, err = image.ParseConfig(p.raw); err != nil {
		return nil, err
	}
	if len(p.config.DiffIDs) != len(p.manifest.Layers) {
		return nil, diag.New(diag.InvalidBaseConfig,
			fmt.Sprintf("the image %s has %d layers and its configuration names %d", s.arg, len(p.manifest.Layers), len(p.config.DiffIDs)), "push the image again")
	}
	// ParseConfig has checked the form.
	if err = json.Unmarshal(p.raw, &p.top); err == nil && p.top["config"] != nil {
		err = json.Unmarshal(p.top["config"], &p.run)
	}
	if err != nil {
		return nil, diag.Wrap(diag.InvalidBaseConfig, err, "the configuration of "+s.arg+" is not valid", "push the image again")
	}
	return p, nil
}

func (p *picture) platform() string { return image.PlatformName(p.config.Platform) }

func (p *picture) subject() Subject {
	return Subject{Reference: p.side.arg, Digest: p.digest, MediaType: p.manifest.MediaType, Platform: p.platform()}
}

// workingDirectory is where the app's files lie in the layers: relative, clean, empty for the root.
func (p *picture) workingDirectory() string {
	var dir string
	if raw := p.run["WorkingDir"]; raw != nil {
		_ = json.Unmarshal(raw, &dir) // of another type it counts as none
	}
	return containerPath(dir, p.config.Platform.OS == "windows")
}

// pick finds the entry of an index for a platform: os/architecture[/variant], or a runtime identifier.
func pick(x *image.Index, platform, arg string) (image.Descriptor, error) {
	if !strings.Contains(platform, "/") {
		return x.Select(image.BuiltinGraph(), platform, arg)
	}
	var names []string
	for _, d := range x.Manifests {
		if !d.IsPlatformImage() {
			continue
		}
		name := d.Platform.OS + "/" + d.Platform.Architecture
		full := name + "/" + d.Platform.Variant
		if platform == name || platform == full || platform == image.PlatformName(*d.Platform) {
			return d, nil
		}
		names = append(names, image.PlatformName(*d.Platform))
	}
	return image.Descriptor{}, diag.New(diag.NoImageForRID, fmt.Sprintf("%s has no image for the platform %s: it has %s", arg, platform, strings.Join(names, ", ")),
		"choose one of them with --platform")
}
