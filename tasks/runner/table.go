package runner

import (
	"context"

	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/computeconfig"
	"github.com/gantry-build/gantry/tasks/createlayers"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/pushindex"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/scan"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

// Stages is the table of stages, in the order in which a build calls them.
func Stages() []Stage {
	return []Stage{
		resolveBase(),
		selectBase(),
		scanFolder(),
		createLayers(),
		computeConfig(),
		downloadLayers(),
		pushImage(),
		pushIndex(),
	}
}

// typed gives a row the types of its stage, so that the rest of the package needs none of them.
func typed[Q, R any, PQ interface {
	*Q
	Request
}, PR interface {
	*R
	Response
}](s Stage, run func(ctx context.Context, env *Env, dir string, req *Q) (*R, error),
) Stage {
	s.NewRequest = func() Request { return PQ(new(Q)) }
	s.NewResponse = func() Response { return PR(new(R)) }
	s.run = func(ctx context.Context, env *Env, dir string, req Request) (Response, error) {
		resp, err := run(ctx, env, dir, (*Q)(req.(PQ)))
		if err != nil {
			return nil, err
		}
		return PR(resp), nil
	}
	return s
}

func resolveBase() Stage {
	return typed(Stage{
		Name:     "resolve-base",
		Summary:  "finds out which digest the base image's reference has now",
		Reads:    "the base reference, the base's registry",
		Writes:   "the digest; the manifest or index goes to the content store",
		RunsWhen: "every build, once for all projects and runtime identifiers, unless the reference names a digest",
	}, func(ctx context.Context, env *Env, _ string, req *resolvebase.Request) (*resolvebase.Response, error) {
		source := func(n registry.Name, m registry.Mode) pull.Manifests { return env.Registry.Repository(n, m) }
		return resolvebase.Run(ctx, resolvebase.Deps{Source: source, Store: env.Store, Log: env.Log}, req)
	})
}

func selectBase() Stage {
	return typed(Stage{
		Name:     "select-base",
		Summary:  "chooses the base image's variant for a runtime identifier",
		Reads:    "resolve-base's response, the content store",
		Writes:   "the base: platform, manifest, configuration, layers, format",
		RunsWhen: "the base's digest, the runtime identifier or the image format differs",
	}, func(ctx context.Context, env *Env, _ string, req *selectbase.Request) (*selectbase.Response, error) {
		source := func(n registry.Name, m registry.Mode) selectbase.Fetcher { return env.Registry.Repository(n, m) }
		return selectbase.Run(ctx, selectbase.Deps{Source: source, Store: env.Store, Log: env.Log}, req)
	})
}

func scanFolder() Stage {
	return typed(Stage{
		Name:     "scan",
		Summary:  "lists the files of the publish folder and where each comes from",
		Reads:    "the publish folder: names, sizes and times, the content of files that every publish writes anew",
		Writes:   "the file list",
		RunsWhen: "every publish, with one stat a file",
	}, func(ctx context.Context, env *Env, _ string, req *scan.Request) (*scan.Response, error) {
		return scan.Run(ctx, scan.Deps{Log: env.Log}, req)
	})
}

func createLayers() Stage {
	return typed(Stage{
		Name:     "create-layers",
		Summary:  "makes the layers with the application's files",
		Reads:    "select-base's response, scan's response, the files of the publish folder",
		Writes:   "digest, diff ID and size of each layer; the layers go to the content store",
		RunsWhen: "the file list or a setting of the layers differs",
	}, func(ctx context.Context, env *Env, _ string, req *createlayers.Request) (*createlayers.Response, error) {
		return createlayers.Run(ctx, createlayers.Deps{Store: env.Store, Log: env.Log}, req)
	})
}

func computeConfig() Stage {
	return typed(Stage{
		Name:     "compute-config",
		Summary:  "makes the image's configuration, without the application's layers",
		Reads:    "select-base's response, the base's configuration in the content store",
		Writes:   "the configuration, the manifest's annotations",
		RunsWhen: "the base or a setting of the image differs",
	}, func(ctx context.Context, env *Env, _ string, req *computeconfig.Request) (*computeconfig.Response, error) {
		source := func(n registry.Name, m registry.Mode) pull.Blobs { return env.Registry.Repository(n, m) }
		deps := computeconfig.Deps{Source: source, Store: env.Store, Log: env.Log, Warn: env.Warn}
		return computeconfig.Run(ctx, deps, req)
	})
}

func downloadLayers() Stage {
	return typed(Stage{
		Name:     "download-layers",
		Summary:  "fetches those layers of the base that the destination cannot get by itself",
		Reads:    "select-base's response, the destination, the base's registry",
		Writes:   "how each layer gets there; fetched layers go to the content store",
		RunsWhen: "the base is in another registry than the destination",
	}, func(ctx context.Context, env *Env, _ string, req *downloadlayers.Request) (*downloadlayers.Response, error) {
		repository := func(n registry.Name, m registry.Mode) downloadlayers.Repository { return env.Registry.Repository(n, m) }
		deps := downloadlayers.Deps{Repository: repository, Store: env.Store, Log: env.Log, Progress: env.Progress}
		return downloadlayers.Run(ctx, deps, req)
	})
}

func pushImage() Stage {
	return typed(Stage{
		Name:         "push",
		Summary:      "puts the image together and pushes it: blobs, then the manifest, then the tags",
		Reads:        "the responses of select-base, compute-config, create-layers and download-layers, the content store",
		Writes:       "the image in the destination; its digest and tags; the manifest and configuration as files when asked for",
		RunsWhen:     "every publish",
		OutputFields: []string{"manifestPath", "configPath"},
	}, func(ctx context.Context, env *Env, dir string, req *push.Request) (*push.Response, error) {
		repository := func(n registry.Name, m registry.Mode) push.Repository { return env.Registry.Repository(n, m) }
		deps := push.Deps{Repository: repository, Store: env.Store, Log: env.Log, Progress: env.Progress, OutputDir: dir}
		deps.RemakeLayers = func(ctx context.Context, path string) error { return createLayers().again(ctx, env, path) }
		return push.Run(ctx, deps, req)
	})
}

func pushIndex() Stage {
	return typed(Stage{
		Name:         "push-index",
		Summary:      "pushes the index of a multi-platform image, then its tags",
		Reads:        "push's response of each platform",
		Writes:       "the index in the destination; its digest and tags; the index as a file when asked for",
		RunsWhen:     "every publish for several runtime identifiers",
		OutputFields: []string{"indexPath"},
	}, func(ctx context.Context, env *Env, dir string, req *pushindex.Request) (*pushindex.Response, error) {
		repository := func(n registry.Name, m registry.Mode) pushindex.Repository { return env.Registry.Repository(n, m) }
		deps := pushindex.Deps{Repository: repository, Store: env.Store, Log: env.Log, OutputDir: dir}
		return pushindex.Run(ctx, deps, req)
	})
}
