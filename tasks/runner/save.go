package runner

import (
	"context"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/save"
)

func saveImage() Stage {
	return typed(Stage{
		Name:         "save",
		Summary:      "puts the image together and brings it to an archive, an OCI image layout, Docker or Podman",
		Reads:        "the responses of select-base, compute-config and create-layers, the destination, the content store; of several platforms their requests of save",
		Writes:       "the image in the destination; its digest and names; the manifest and configuration as files when asked for",
		RunsWhen:     "every publish to such a destination; what is there is not written again",
		OutputFields: []string{"manifestPath", "configPath"},
	}, func(ctx context.Context, env *Env, dir string, req *save.Request) (*save.Response, error) {
		return save.Run(ctx, save.Deps{
			Repository:  func(n registry.Name, m registry.Mode) pull.Blobs { return env.Registry.Repository(n, m) },
			Destination: func(n registry.Name, m registry.Mode) content.Repository { return env.Registry.Repository(n, m) },
			Store:       env.Store, Log: env.Log, Progress: env.Progress, OutputDir: dir, Getenv: env.Getenv,
			RemakeLayers: func(ctx context.Context, path string) error { return layersStage(true).again(ctx, env, path) },
			LoadRequest:  func(path string) (*save.Request, error) { return loadSave(env, path) },
			Confirm:      env.confirm,
			Saved:        env.Saved,
		}, req)
	})
}

// loadSave reads the request of one platform.
func loadSave(env *Env, path string) (*save.Request, error) {
	loaded, _, err := saveImage().load(env, path)
	if err != nil {
		return nil, err
	}
	req := loaded.(*save.Request)
	req.Defer = true // whatever it says: the index goes where its own request says
	return req, validate(req)
}
