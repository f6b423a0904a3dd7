package runner

import (
	"context"
	"path/filepath"

	"golang.org/x/sync/singleflight"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
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
		return push.Run(ctx, pushDeps(env, dir, req), req)
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
		Record:         env.recordSource(&req.PushSettings),
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
		together := new(singleflight.Group)
		return pushindex.Run(ctx, pushindex.Deps{
			Repository: func(n registry.Name, m registry.Mode) pushindex.Repository { return env.Registry.Repository(n, m) },
			Store:      env.Store, Log: env.Log, Progress: env.Progress, OutputDir: dir,
			Confirm: func() error { return env.confirm(dir) },
			PushPlatform: func(ctx context.Context, path string, to deliver.Destination, held []cas.Digest) (outcome.Result, error) {
				p := platform{env: env, path: path, to: to, held: held}
				if len(req.AlsoPushTo) > 0 {
					p.together = together
				}
				return p.push(ctx)
			},
			TagPlatform: func(ctx context.Context, path string, to deliver.Destination) (outcome.Result, error) {
				return platform{env: env, path: path, to: to}.tag(ctx)
			},
			KeyWriter: env.keyWriter(registry.NewName(req.Registry, req.Repository)),
			Record:    env.recordSource(&req.PushSettings),
			Outcome:   env.Outcome,
		}, req)
	})
}

// platform is one image of an index on its way to one destination.
type platform struct {
	env      *Env
	path     string // of its push request
	to       deliver.Destination
	held     []cas.Digest        // manifests and indexes that the destination has
	together *singleflight.Group // as in push.Deps
}

// push runs the request for its image alone: by digest, without tags, key and files, which are the index's or were written when the
// request was run first. One that was not deferred has been pushed as its settings say, so that it is only asked for.
func (p platform) push(ctx context.Context) (did outcome.Result, err error) {
	req, err := loadPush(p.env, p.path)
	if err != nil {
		return did, err
	}
	settings := tasks.PushSettings{}
	if req.Defer {
		settings = tasks.PushSettings{SkipPushIfPresent: req.SkipPushIfPresent, ForcePush: req.ForcePush, Verify: req.Verify}
	}
	req.PushSettings, req.Tags, req.TagSuffix = settings, nil, ""
	return p.run(ctx, req)
}

// tag writes the tags of a deferred push request, whose image is in the destination. It does nothing, and returns no digest, for one that
// has none or that was not deferred.
func (p platform) tag(ctx context.Context) (did outcome.Result, err error) {
	req, err := loadPush(p.env, p.path)
	if err != nil || !req.Defer || len(req.Tags) == 0 {
		return did, err
	}
	req.PushSettings = tasks.PushSettings{Verify: req.Verify}
	return p.run(ctx, req)
}

func loadPush(env *Env, path string) (*push.Request, error) {
	loaded, _, err := pushImage().load(env, path)
	if err != nil {
		return nil, err
	}
	return loaded.(*push.Request), nil
}

// run runs a push request that was deferred, without its files, and returns what it did.
func (p platform) run(ctx context.Context, req *push.Request) (did outcome.Result, err error) {
	req.Defer, req.ManifestPath, req.ConfigPath = false, "", ""
	if err := validate(req); err != nil {
		return did, err
	}
	deps := pushDeps(p.env, "", req)
	deps.To, deps.Held, deps.Together = &p.to, p.held, p.together
	deps.Outcome = func(r outcome.Result) error {
		did = r
		return nil
	}
	_, err = push.Run(ctx, deps, req)
	return did, err
}
