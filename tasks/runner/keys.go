package runner

import (
	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/registry"
)

// keys are the cache keys of the images in one repository, whose tags are in another, or the same.
func (env *Env) keys(image, key registry.Name) *cachekey.Keys {
	open := func(n registry.Name) cachekey.Repository { return env.Registry.Repository(n, registry.ModePush) }
	return cachekey.New(open, image, key, env.KeySecret)
}

// keyWriter writes the keys of the images in one repository, in a repository that the stage chooses.
func (env *Env) keyWriter(image registry.Name) func(registry.Name) deliver.KeyWriter {
	return func(key registry.Name) deliver.KeyWriter { return env.keys(image, key) }
}
