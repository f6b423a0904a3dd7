package resolvelayers

import (
	"context"
	"errors"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// digest finds a layer that is named by its digest.
func (r *resolver) digest(ctx context.Context, it *item) (*tasks.ExtraBlob, error) {
	name, err := it.blobName(r.req)
	if err != nil {
		return nil, err
	}
	known, err := r.known(ctx, it.digest, name)
	if err != nil {
		return nil, err
	}
	if known == nil || !known.Known(name.String()) {
		if known, err = r.learn(ctx, it, name, known); err != nil {
			return nil, err
		}
	}
	if err := it.agrees(known); err != nil {
		return nil, err
	}
	return r.blob(ctx, it.label(), known, name)
}

// known is what the store remembers of a blob, else what an earlier image says; nil when neither knows it.
func (r *resolver) known(ctx context.Context, d cas.Digest, name registry.Name) (*records.LayerBlob, error) {
	if b, ok := r.Records.LayerBlob(d); ok && (b.By != records.ByRecall || r.trusts()) {
		return &b, nil
	}
	if r.Recall == nil || !r.trusts() {
		return nil, nil
	}
	recalled, err := r.Recall(ctx)
	if err != nil {
		return nil, err
	}
	l, ok := recalled.Layer(tasks.BlobKey(d))
	if !ok || l.Descriptor.Digest != d {
		r.Log.Debug("no earlier image has the layer", "stage", Stage, "digest", d)
		return nil, nil
	}
	r.Log.Info("the layer is known from an earlier image and not asked for", "stage", Stage, "digest", d, "ref", recalled.Reference)
	b := records.LayerBlob{Digest: d, MediaType: l.Descriptor.MediaType, Size: l.Descriptor.Size, DiffID: l.DiffID, By: records.ByRecall}
	b.Seen(name.String())
	r.Records.KeepLayerBlob(b)
	return &b, nil
}

// learn asks the repository for a blob, and finds out what it is unless that is known.
func (r *resolver) learn(ctx context.Context, it *item, name registry.Name, known *records.LayerBlob) (*records.LayerBlob, error) {
	from := r.repository(name)
	said, err := r.said(ctx, it)
	if err != nil {
		return nil, err
	}
	size, err := from.BlobSize(ctx, it.digest)
	if err != nil {
		return nil, r.absent(ctx, it, name, err)
	}
	for _, want := range []struct {
		who  string
		size int64
	}{{"its metadata Size", it.size}, {"the manifest of its Reference", sizeOf(said)}, {"what was learnt of it before", sizeOf(known)}} {
		if want.size != 0 && want.size != size {
			return nil, diag.New(diag.LayerWrongSize, fmt.Sprintf("%s: the layer has %d bytes in %s, and by %s it has %d",
				it.label(), size, name, want.who, want.size),
				"correct the item; if the registry is wrong, push the layer again")
		}
	}
	switch {
	case known != nil:
		r.Log.Info("the layer is known, and the repository has it", "stage", Stage, "digest", it.digest, "repository", name.String())
	case said != nil:
		known = said
		r.Log.Info("the layer is what the manifest of its Reference says", "stage", Stage, "digest", it.digest, "repository", name.String())
	default:
		r.Log.Info("the layer is read once for its diff ID", "stage", Stage, "digest", it.digest, "repository", name.String(), "bytes", size)
		if known, err = r.read(ctx, it.label(), name, it.digest, size); err != nil {
			return nil, err
		}
	}
	known.Seen(name.String())
	r.Records.KeepLayerBlob(*known)
	return known, nil
}

func sizeOf(b *records.LayerBlob) int64 {
	if b == nil {
		return 0
	}
	return b.Size
}

// absent says why a repository does not have the layer, if that is what err says: the digest may be that of a manifest.
func (r *resolver) absent(ctx context.Context, it *item, name registry.Name, err error) error {
	if !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	if m, err := r.repository(name).HeadManifest(ctx, string(it.digest)); err == nil {
		return diag.New(diag.NotALayer, fmt.Sprintf("%s: in %s this is the digest of a manifest (%s)", it.label(), name, m.MediaType),
			"name the digest of a layer, as the manifest lists it, or set Type=Image")
	}
	return diag.Wrap(diag.LayerNotFound, err, fmt.Sprintf("%s: %s does not have this layer", it.label(), name),
		"check digest, Repository and Registry; a registry may also answer so when the account may not see it")
}

// agrees compares what is known of a layer with what the item says.
func (i *item) agrees(b *records.LayerBlob) error {
	if i.size != 0 && i.size != b.Size {
		return diag.New(diag.LayerWrongSize, fmt.Sprintf("%s: the layer has %d bytes, and by its metadata Size it has %d",
			i.label(), b.Size, i.size), "correct or remove Size")
	}
	if i.MediaType != "" && ociType(i.MediaType) != ociType(b.MediaType) {
		return i.problem(fmt.Sprintf("has the MediaType %s, and the layer is of the type %s", i.MediaType, b.MediaType),
			"correct or remove MediaType")
	}
	return nil
}

// ociType is a layer's media type as OCI has it, so that the same layer in two formats is one.
func ociType(mediaType string) string {
	if t, err := image.LayerType(mediaType, image.FormatOCI); err == nil {
		return t
	}
	return mediaType
}
