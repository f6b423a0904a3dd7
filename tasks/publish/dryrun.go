package publish

import (
	"context"
	"io"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/push"
)

// plan runs push on repositories that are asked and never written to, and says what a real one would do.
func (b *build) plan(ctx context.Context, req *push.Request) (cas.Digest, error) {
	if err := req.Validate(); err != nil {
		return "", err
	}
	req.Verify = "" // there is nothing to repair or to read back
	resp, err := push.Run(ctx, push.Deps{
		Repository: func(n registry.Name, m registry.Mode) push.Repository {
			return &readOnly{repository: b.env.Registry.Repository(n, m), name: n.Repository, log: b.planLog(n.String())}
		},
		Store:     b.env.Store,
		Records:   records.Of(b.env.Store),
		ReadOnly:  true,
		BuildID:   b.env.BuildID,
		Log:       slog.New(slog.DiscardHandler), // it would say that things were done
		Progress:  progress.Discard{},
		OutputDir: b.dir,
		Parallel:  1, // so that the lines come in the order of the layers
		Outcome: func(r outcome.Result) error {
			for _, one := range r.Each() {
				if !one.Pushed && one.Error == nil {
					b.planLog(one.Reference).Info("is there", "digest", one.Digest, "reason", one.Reason)
				}
			}
			return nil
		},
	}, req)
	if err != nil {
		return "", err
	}
	return resp.Digest, nil
}

// planLog says where, when there are several destinations.
func (b *build) planLog(where string) *slog.Logger {
	if len(b.AlsoPushTo) == 0 {
		return b.env.Log
	}
	return b.env.Log.With("repository", where)
}

// readOnly is a repository that says what a push would write to it.
type readOnly struct {
	repository *registry.Repository
	name       string
	log        *slog.Logger
}

// HeadManifest asks.
func (r *readOnly) HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error) {
	return r.repository.HeadManifest(ctx, tagOrDigest)
}

// Manifest reads.
func (r *readOnly) Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error) {
	return r.repository.Manifest(ctx, tagOrDigest)
}

// ProbeBlob asks.
func (r *readOnly) ProbeBlob(ctx context.Context, digest cas.Digest, size int64) (bool, error) {
	return r.repository.ProbeBlob(ctx, digest, size)
}

// Blob reads nothing: a push that writes nothing has no need of content.
func (r *readOnly) Blob(context.Context, cas.Digest, int64) (io.ReadCloser, error) {
	panic("publish: a dry run reads no blob")
}

// PushBlob asks for the blob and says what would be done about it.
func (r *readOnly) PushBlob(ctx context.Context, b registry.BlobSource, _ registry.Progress) (registry.Outcome, error) {
	there, err := r.repository.HasBlob(ctx, b.Digest)
	switch {
	case err != nil:
		return "", err
	case there:
		r.log.Info("is there", "digest", b.Digest, "bytes", b.Size)
	case b.MountFrom != "" && b.MountFrom != r.name:
		r.log.Info("would mount", "digest", b.Digest, "bytes", b.Size, "from", b.MountFrom)
	default:
		r.log.Info("would upload", "digest", b.Digest, "bytes", b.Size)
	}
	return "", nil
}

// PushManifest says what would be tagged.
func (r *readOnly) PushManifest(_ context.Context, tagOrDigest, mediaType string, body []byte) error {
	r.log.Info("would tag", "ref", tagOrDigest, "digest", cas.DigestOf(body), "mediaType", mediaType)
	return nil
}
