package resolvelayers

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layerblob"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// blob is the answer for a layer of a repository. With Strict it is read when its paths are not known.
func (r *resolver) blob(ctx context.Context, label string, b *records.LayerBlob, name registry.Name) (*tasks.ExtraBlob, error) {
	if r.req.Strict && !r.RegistriesOnly && !r.listed(b) {
		r.Log.Info("the layer is read for its paths, as GantryStrict=true asks", "stage", Stage, "digest", b.Digest, "bytes", b.Size)
		read, err := r.read(ctx, label, name, b.Digest, b.Size)
		if err != nil {
			return nil, err
		}
		if read.DiffID != b.DiffID {
			return nil, diag.New(diag.NotALayer, fmt.Sprintf("%s: the diff ID of layer %s is %s, and the image says %s",
				label, b.Digest, read.DiffID, b.DiffID),
				"push the image again: its configuration is wrong")
		}
		read.In = b.In
		r.Records.KeepLayerBlob(*read)
		b = read
	}
	answer := r.answer(b)
	answer.Source = sourceOf(name)
	return answer, nil
}

// answer is what is known of a blob.
func (r *resolver) answer(b *records.LayerBlob) *tasks.ExtraBlob {
	out := &tasks.ExtraBlob{
		Descriptor: tasks.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size},
		DiffID:     b.DiffID, Key: tasks.BlobKey(b.Digest),
	}
	if r.listed(b) {
		out.Contents = b.Contents
	}
	return out
}

// listed says whether the store has the list of a layer's paths.
func (r *resolver) listed(b *records.LayerBlob) bool {
	if b.Contents == "" {
		return false
	}
	_, err := r.Store.Size(b.Contents)
	return err == nil
}

// read streams a blob of a repository once. It goes into the store on its way when the destination is in another registry, which will have to
// get its bytes from here; within one registry it is mounted, and kept nowhere.
func (r *resolver) read(ctx context.Context, label string, name registry.Name, d cas.Digest, size int64) (*records.LayerBlob, error) {
	keep := !name.SameRegistry(registry.NewName(r.req.OutputRegistry, "x"))
	var l *layerblob.Layer
	err := registry.Retrieve(ctx, r.repository(name), d, size, func(body io.Reader) (err error) {
		if !keep {
			l, err = layerblob.Read(ctx, body)
			return err
		}
		w, err := r.Store.Create()
		if err != nil {
			return err
		}
		defer w.Discard()
		if l, err = layerblob.Read(ctx, io.TeeReader(body, w)); err != nil {
			return err
		}
		_, err = w.Commit()
		return err
	})
	if err != nil {
		return nil, unusable(label, err)
	}
	return r.remembered(l), nil
}

// remembered is the record of a blob that was read; the list of its paths goes into the store.
func (r *resolver) remembered(l *layerblob.Layer) *records.LayerBlob {
	b := &records.LayerBlob{Digest: l.Digest, MediaType: l.MediaType, Size: l.Size, DiffID: l.DiffID, By: records.ByReading, Unsafe: l.Unsafe}
	if l.Entries == nil {
		return b
	}
	d, err := r.Store.PutBytes(l.Encode())
	if err != nil {
		r.Log.Info("the list of a layer's paths is not kept", "stage", Stage, "digest", l.Digest, "reason", err.Error())
		return b
	}
	b.Contents = d
	return b
}

// unusable gives a code to what is wrong with a blob.
func unusable(label string, err error) error {
	var none *layerblob.NotALayerError
	var compression *layerblob.CompressionError
	switch {
	case errors.As(err, &none):
		return diag.New(diag.NotALayer, label+" is no layer: "+none.Why, "name a layer: a tar, alone or compressed with gzip or zstd")
	case errors.As(err, &compression):
		return diag.New(diag.UnknownCompression, label+" cannot be a layer: "+err.Error(), "compress the tar with gzip or zstd, or not at all")
	}
	return err
}
