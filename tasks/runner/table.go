package runner

import (
	"context"

	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/check"
	"github.com/gantry-build/gantry/tasks/computeconfig"
	"github.com/gantry-build/gantry/tasks/createlayers"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
	"github.com/gantry-build/gantry/tasks/scan"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

// Stages is the table of stages, in the order in which a build calls them.
func Stages() []Stage {
	return []Stage{
		checkKey(),
		resolveBase(),
		recallImage(),
		selectBase(),
		scanFolder(),
		resolveLayers(),
		createLayers(),
		computeConfig(),
		downloadLayers(),
		pushImage(),
		pushIndex(),
		saveImage(),
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

func checkKey() Stage {
	return typed(Stage{
		Name:         "check",
		Summary:      "asks whether the image of a cache key is in the destination already; if so, moves the tags",
		Reads:        "the cache key's tag and what it names, the base's digest, resolve-base's response",
		Writes:       "hit or miss, and why; on a hit the tags in the destination, and the image's documents as files when asked for",
		RunsWhen:     "a cache key is set, before the compile",
		OutputFields: []string{"manifestPath", "configPath", "indexPath"},
	}, func(ctx context.Context, env *Env, dir string, req *check.Request) (*check.Response, error) {
		layers, read, err := env.namedLayers(req.ResolveLayersRequestPath, dir)
		if err != nil {
			return nil, err
		}
		resp, err := check.Run(ctx, check.Deps{
			Repository: func(n registry.Name, m registry.Mode) check.Repository { return env.Registry.Repository(n, m) },
			Keys:       func(image, keys registry.Name) check.Keys { return env.keys(image, keys) },
			Store:      env.Store, Log: env.Log, Progress: env.Progress, OutputDir: dir, Outcome: env.Outcome, Layers: layers,
		}, req)
		if err == nil {
			resp.Inputs = append(resp.Inputs, read...)
		}
		return resp, err
	})
}

func resolveBase() Stage {
	return typed(Stage{
		Name:     "resolve-base",
		Summary:  "finds out which digest the base image's reference has now",
		Reads:    "the base reference, the base's registry",
		Writes:   "the digest; the manifest or index goes to the content store",
		RunsWhen: "every build, once for all projects and runtime identifiers, unless the reference names a digest",
	}, func(ctx context.Context, env *Env, _ string, req *resolvebase.Request) (*resolvebase.Response, error) {
		source := func(n registry.Name, m registry.Mode) resolvebase.Source { return env.Registry.Repository(n, m) }
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
		recalled, err := env.recaller(req.RecallRequestPath)
		if err != nil {
			return nil, err
		}
		source := func(n registry.Name, m registry.Mode) selectbase.Fetcher { return env.Registry.Repository(n, m) }
		return selectbase.Run(ctx, selectbase.Deps{Source: source, Store: env.Store, Log: env.Log, Recall: recalled.trusted()}, req)
	})
}

func scanFolder() Stage {
	return typed(Stage{
		Name:         "scan",
		Summary:      "lists the files of the publish folder and where each comes from; copies again what fell behind its source",
		Reads:        "the publish folder: names and times, the content of files that differ from the record of the last scan; the files that were published",
		Writes:       "the file list; the record; the files of the publish folder that were stale",
		RunsWhen:     "every publish, with one stat a file",
		OutputFields: []string{"recordPath"},
	}, func(ctx context.Context, env *Env, dir string, req *scan.Request) (*scan.Response, error) {
		return scan.Run(ctx, scan.Deps{OutputDir: dir, Log: env.Log}, req)
	})
}

func resolveLayers() Stage {
	return typed(Stage{
		Name:         "resolve-layers",
		Summary:      "finds the layers that ContainerLayer items name: digests, files, tarballs, images",
		Reads:        "the items; the registries that they name, the files and tarballs",
		Writes:       "digest, diff ID, size and source of each layer; the list of files of those that are still to be made",
		RunsWhen:     "every publish of a project that has such items; what the content store remembers is not asked again",
		OutputFields: []string{"recordPath"},
	}, func(ctx context.Context, env *Env, dir string, req *resolvelayers.Request) (*tasks.ExtraLayers, error) {
		env.trust(&req.TrustLayerKeys)
		return env.runResolveLayers(ctx, dir, req, false)
	})
}

func createLayers() Stage { return layersStage(false) }

// layersStage is create-layers; with blobsNeeded no layer is left to a registry that has it.
func layersStage(blobsNeeded bool) Stage {
	return typed(Stage{
		Name:     "create-layers",
		Summary:  "makes the layers with the application's files",
		Reads:    "select-base's response, scan's response, the files of the publish folder; resolve-layers' response with its files and tarballs",
		Writes:   "digest, diff ID and size of each layer; the layers go to the content store",
		RunsWhen: "the file list or a setting of the layers differs",
	}, func(ctx context.Context, env *Env, _ string, req *createlayers.Request) (*createlayers.Response, error) {
		env.trust(&req.TrustLayerKeys)
		recalled, err := env.recaller(req.RecallRequestPath)
		if err != nil {
			return nil, err
		}
		return createlayers.Run(ctx, createlayers.Deps{
			Store: env.Store, Records: records.Of(env.Store), Log: env.Log,
			Recall: recalled.ask(), RecallCheap: recalled.cheap(), BlobsNeeded: blobsNeeded, Made: env.LayerMade,
		}, req)
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
		recalled, err := env.recaller(req.RecallRequestPath)
		if err != nil {
			return nil, err
		}
		source := func(n registry.Name, m registry.Mode) pull.Blobs { return env.Registry.Repository(n, m) }
		deps := computeconfig.Deps{Source: source, Store: env.Store, Log: env.Log, Warn: env.Warn, Recall: recalled.trusted()}
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
