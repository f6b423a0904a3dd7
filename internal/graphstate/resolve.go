package graphstate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/platform"
	"github.com/gantry-build/gantry/internal/registry"
)

// resolver asks what references name now: each once, however many ask.
type resolver struct {
	open func(registry.Name) Repository

	mu      sync.Mutex
	tops    map[registry.Reference]func() (registry.Descriptor, error)
	indexes map[registry.Reference]func() (*image.Index, error)
}

// errNoPlatform says that an index has no image for a platform.
var errNoPlatform = errors.New("it has no image for the platform")

// newResolver reads other images than those of destination as one reads base images: with the credentials for pulling.
func (s *State) newResolver(destination registry.Name) *resolver {
	open := func(n registry.Name) Repository {
		if destination.Registry != "" && n.SameRegistry(destination) {
			return s.open(n, registry.ModePullFromOutput)
		}
		return s.open(n, registry.ModePull)
	}
	return &resolver{
		open: open, tops: map[registry.Reference]func() (registry.Descriptor, error){},
		indexes: map[registry.Reference]func() (*image.Index, error){},
	}
}

// top asks what a reference names: HEAD, as registries that count pulls do not count it.
func (r *resolver) top(ctx context.Context, ref registry.Reference) (registry.Descriptor, error) {
	r.mu.Lock()
	ask, ok := r.tops[ref]
	if !ok {
		ask = sync.OnceValues(func() (registry.Descriptor, error) { return r.open(ref.Name).HeadManifest(ctx, ref.TagOrDigest()) })
		r.tops[ref] = ask
	}
	r.mu.Unlock()
	return ask()
}

func (r *resolver) index(ctx context.Context, name registry.Name, d registry.Descriptor) (*image.Index, error) {
	key := registry.Reference{Name: name, Digest: d.Digest}
	r.mu.Lock()
	ask, ok := r.indexes[key]
	if !ok {
		ask = sync.OnceValues(func() (*image.Index, error) {
			m, err := r.open(name).Manifest(ctx, string(d.Digest))
			if err != nil {
				return nil, err
			}
			return image.ParseIndex(m.Body, m.MediaType)
		})
		r.indexes[key] = ask
	}
	r.mu.Unlock()
	return ask()
}

// digest is that of the manifest which a builder takes for a platform. A reference that names no index is taken for every platform, as
// builders do.
func (r *resolver) digest(ctx context.Context, ref registry.Reference, p dockerfile.Platform) (cas.Digest, error) {
	d, err := r.top(ctx, ref)
	if err != nil || !image.IsIndex(d.MediaType) {
		return d.Digest, err
	}
	x, err := r.index(ctx, ref.Name, d)
	if err != nil {
		return "", err
	}
	digest, ok := platform.Choose(d.Digest, x, p)
	if !ok {
		return "", fmt.Errorf("%s: %w %s", ref, errNoPlatform, p)
	}
	return digest, nil
}
