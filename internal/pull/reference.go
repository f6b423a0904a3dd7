package pull

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Tags reads manifests and asks what a tag names.
type Tags interface {
	Manifests
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
}

// Reference returns the manifest or index that a reference names now, and puts it into the store.
//
// A tag is always asked for, with one request when it has not moved: what it names can be known from nowhere else. The store remembers
// what it answered last, and only decides how to ask: with HEAD, which needs no more when the answer is what the store has, else with
// GET. With Missing what the store remembers is the answer. A digest that the store has needs no request.
func Reference(
	ctx context.Context, store *cas.Store, from Tags, ref registry.Reference, policy Policy, log *slog.Logger,
) (*registry.Manifest, error) {
	if ref.Digest != "" {
		return Manifest(ctx, store, from, ref.Digest, log)
	}
	name := ref.String()
	if last := Remembered(store, name, log); last != nil {
		if policy != Always {
			log.Info("the tag is not asked for: GantryPullPolicy="+string(policy)+"; this was its last answer", "ref", name, "digest", last.Digest)
			return last, nil
		}
		unmoved, err := unmoved(ctx, from, ref.Tag, last, log)
		if unmoved || err != nil {
			return last, err
		}
	}
	m, err := from.Manifest(ctx, ref.Tag)
	if err != nil {
		return nil, err
	}
	if err := Keep(store, m); err != nil {
		return nil, err
	}
	Remember(store, name, m, log)
	return m, nil
}

// unmoved asks whether a tag still names what it named last. Where HEAD gives no such answer, GET decides; only an outage is an error,
// as GET would meet it too.
func unmoved(ctx context.Context, from Tags, tag string, last *registry.Manifest, log *slog.Logger) (bool, error) {
	now, err := from.HeadManifest(ctx, tag)
	var coded *diag.Error
	if err != nil {
		if ctx.Err() != nil || errors.As(err, &coded) && coded.Retryable {
			return false, err
		}
		log.Debug("the tag is asked for with GET", "reason", err.Error())
		return false, nil
	}
	if now.Digest != last.Digest || now.MediaType != last.MediaType {
		log.Debug("the tag has moved", "tag", tag, "from", last.Digest, "to", now.Digest)
		return false, nil
	}
	return true, nil
}
