package runner

import (
	"context"
	"log/slog"

	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
)

// runResolveLayers runs the stage for a request. registriesOnly leaves out what lies on this machine.
func (env *Env) runResolveLayers(ctx context.Context, dir string, req *resolvelayers.Request, registriesOnly bool) (*tasks.ExtraLayers, error) {
	recalled, err := env.recaller(req.RecallRequestPath)
	if err != nil {
		return nil, err
	}
	log := env.Log
	if registriesOnly { // a question of another stage
		log = slog.New(codedOnly{log.Handler()})
	}
	return resolvelayers.Run(ctx, resolvelayers.Deps{
		Repository: func(n registry.Name, m registry.Mode) resolvelayers.Repository { return env.Registry.Repository(n, m) },
		Store:      env.Store, Records: records.Of(env.Store), Log: log, OutputDir: dir, Recall: recalled.ask(),
		RegistriesOnly: registriesOnly,
	}, req)
}

// namedLayers returns the function that finds, for a runtime identifier, the layers that a request of resolve-layers names in registries,
// and the files that were read. There is none when path is empty.
func (env *Env) namedLayers(path, dir string) (func(context.Context, string) (*tasks.ExtraLayers, error), []tasks.FileDigest, error) {
	if path == "" {
		return nil, nil, nil
	}
	loaded, read, err := resolveLayers().load(env, absolute(env.Dir, path))
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, rid string) (*tasks.ExtraLayers, error) {
		req := *loaded.(*resolvelayers.Request)
		req.RuntimeIdentifier = rid
		env.trust(&req.TrustLayerKeys)
		if err := validate(&req); err != nil {
			return nil, err
		}
		return env.runResolveLayers(ctx, dir, &req, true)
	}, read, nil
}
