package runner

import (
	"context"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/pushindex"
)

func pushImage() Stage {
	return typed(Stage{
		Name:         "push",
		Summary:      "puts the image together and pushes what the destination does not have: blobs, then the manifest, then the tags",
		Reads:        "the responses of select-base, compute-config, create-layers and download-layers, the destination, the content store",
		Writes:       "the image in the destination; its digest and tags; the manifest and configuration as files when asked for",
		RunsWhen:     "every publish, with one question when nothing is left to do",
		OutputFields: []string{"manifestPath", "configPath"},
	}, func(ctx context.Context, env *Env, dir string, req *push.Request) (*push.Response, error) {
		deps := pushDeps(env, dir, req)
		pushed := noting(&deps.Outcome)
		resp, err := push.Run(ctx, deps, req)
		if err == nil && *pushed {
			env.recordSource(ctx, &req.PushSettings, resp.Registry, resp.Repository, registry.Descriptor{MediaType: resp.MediaType, Digest: resp.Digest, Size: resp.Size})
		}
		return resp, err
	})
}

func pushDeps(env *Env, dir string, req *push.Request) push.Deps {
	deps := push.Deps{
		Repository: func(n registry.Name, m registry.Mode) push.Repository { return env.Registry.Repository(n, m) },
		Store:      env.Store, Records: records.Of(env.Store), Log: env.Log, Progress: env.Progress, OutputDir: dir,
		RemakeLayers:   func(ctx context.Context, path string) error { return layersStage(true).again(ctx, env, path) },
		DownloadLayers: func(ctx context.Context, path string) error { return downloadLayers().again(ctx, env, path) },
		KeyWriter:      env.keyWriter(registry.NewName(req.Registry, req.Repository)),
		BuildID:        env.BuildID,
		Confirm:        func() error { return env.confirm(filepath.Dir(req.CreateLayersPath)) },
		Outcome:        env.Outcome,
	}
	if env.PushDeps != nil {
		env.PushDeps(&deps)
	}
	return deps
}

func pushIndex() Stage {
	return typed(Stage{
		Name:         "push-index",
		Summary:      "pushes the index of a multi-platform image and those of its images that are not there, then its tags",
		Reads:        "push's response of each platform, the destination",
		Writes:       "the index in the destination; its digest and tags; the index as a file when asked for",
		RunsWhen:     "every publish for several runtime identifiers, with one question when nothing is left to do",
		OutputFields: []string{"indexPath"},
	}, func(ctx context.Context, env *Env, dir string, req *pushindex.Request) (*pushindex.Response, error) {
		deps := pushindex.Deps{
			Repository: func(n registry.Name, m registry.Mode) pushindex.Repository { return env.Registry.Repository(n, m) },
			Store:      env.Store, Log: env.Log, Progress: env.Progress, OutputDir: dir,
			Confirm: func() error { return env.confirm(dir) },
			PushPlatform: func(ctx context.Context, path string, held []cas.Digest) (outcome.Result, error) {
				return pushPlatform(ctx, env, path, held)
			},
			TagPlatform: func(ctx context.Context, path string) (outcome.Result, error) { return tagPlatform(ctx, env, path) },
			KeyWriter:   env.keyWriter(registry.NewName(req.Registry, req.Repository)),
			Outcome:     env.Outcome,
		}
		pushed := noting(&deps.Outcome)
		resp, err := pushindex.Run(ctx, deps, req)
		if err == nil && *pushed {
			env.recordSource(ctx, &req.PushSettings, resp.Registry, resp.Repository, registry.Descriptor{MediaType: resp.MediaType, Digest: resp.Digest, Size: resp.Size})
		}
		return resp, err
	})
}

// pushPlatform runs a push request for its image alone: by digest, without tags, key and files, which are the index's or were written
// when the request was run first. One that was not deferred has been pushed as its settings say, so that it is only asked for.
func pushPlatform(ctx context.Context, env *Env, path string, held []cas.Digest) (did outcome.Result, err error) {
	req, err := loadPush(env, path)
	if err != nil {
		return did, err
	}
	settings := tasks.PushSettings{}
	if req.Defer {
		settings = tasks.PushSettings{SkipPushIfPresent: req.SkipPushIfPresent, ForcePush: req.ForcePush, Verify: req.Verify}
	}
	req.PushSettings, req.Tags, req.TagSuffix = settings, nil, ""
	return runDeferred(ctx, env, req, held)
}

// tagPlatform writes the tags of a deferred push request, whose image is in the destination. It does nothing, and returns no digest,
// for one that has none or that was not deferred.
func tagPlatform(ctx context.Context, env *Env, path string) (did outcome.Result, err error) {
	req, err := loadPush(env, path)
	if err != nil || !req.Defer || len(req.Tags) == 0 {
		return did, err
	}
	req.PushSettings = tasks.PushSettings{Verify: req.Verify}
	return runDeferred(ctx, env, req, nil)
}

func loadPush(env *Env, path string) (*push.Request, error) {
	loaded, _, err := pushImage().load(env, path)
	if err != nil {
		return nil, err
	}
	return loaded.(*push.Request), nil
}

// runDeferred runs a push request that was deferred, without its files, and returns what it did. held are manifests and indexes that
// the destination has.
func runDeferred(ctx context.Context, env *Env, req *push.Request, held []cas.Digest) (did outcome.Result, err error) {
	req.Defer, req.ManifestPath, req.ConfigPath = false, "", ""
	if err := validate(req); err != nil {
		return did, err
	}
	deps := pushDeps(env, "", req)
	deps.Held = held
	deps.Outcome = func(r outcome.Result) error {
		did = r
		return nil
	}
	_, err = push.Run(ctx, deps, req)
	return did, err
}
