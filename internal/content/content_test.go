package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
)

// documents is a source of manifests that lie in memory.
type documents map[string]deliver.Document

func (d documents) Manifest(_ context.Context, digest string) (*registry.Manifest, error) {
	doc, ok := d[digest]
	if !ok {
		return nil, errors.New("lost")
	}
	return &registry.Manifest{MediaType: doc.Descriptor.MediaType, Digest: doc.Descriptor.Digest, Body: doc.Body}, nil
}

func (documents) Blob(context.Context, cas.Digest, int64) (io.ReadCloser, error) {
	return nil, errors.New("no blobs")
}

func (d documents) add(t *testing.T, mediaType string, body []byte) deliver.Document {
	t.Helper()
	doc := deliver.NewDocument(body, mediaType)
	d[string(doc.Descriptor.Digest)] = doc
	return doc
}

func (d documents) index(t *testing.T, entries ...image.Descriptor) deliver.Document {
	t.Helper()
	body, err := (&image.Index{MediaType: image.OCIIndex, Manifests: entries}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return d.add(t, image.OCIIndex, body)
}

// attestation is a manifest whose layer is none of a file system, as buildx puts beside images.
func (d documents) attestation(t *testing.T) deliver.Document {
	t.Helper()
	digest := string(cas.DigestOf([]byte("x")))
	return d.add(t, image.OCIManifest, []byte(`{"schemaVersion":2,"mediaType":"`+image.OCIManifest+`","config":{"mediaType":"`+image.OCIConfig+`","digest":"`+digest+
		`","size":1},"layers":[{"mediaType":"application/vnd.in-toto+json","digest":"`+digest+`","size":1}]}`))
}

// TestLoad: nested indexes come behind what they name; one that nests without end, names what is not there, or says another size of it
// is refused.
func TestLoad(t *testing.T) {
	d := documents{}
	leaf := d.attestation(t)
	inner := d.index(t, leaf.Descriptor, leaf.Descriptor)
	top := d.index(t, inner.Descriptor, leaf.Descriptor)
	img, err := Load(t.Context(), d, top)
	if err != nil || len(img.Children) != 2 || len(img.Blobs) != 1 || img.Children[0].Descriptor.Digest != leaf.Descriptor.Digest {
		t.Errorf("%v: %+v", err, img)
	}
	deep := top
	for range maxNesting {
		deep = d.index(t, deep.Descriptor)
	}
	if _, err := Load(t.Context(), d, deep); diag.CodeOf(err) != diag.InvalidBaseManifest || !strings.Contains(err.Error(), "nests deeper") {
		t.Errorf("%v", err)
	}
	for _, change := range []func(*image.Descriptor){
		func(e *image.Descriptor) { e.Size++ },
		func(e *image.Descriptor) { e.MediaType = image.DockerManifest },
		func(e *image.Descriptor) { e.Digest = cas.DigestOf(nil) },
	} {
		entry := leaf.Descriptor
		change(&entry)
		if _, err := Load(t.Context(), d, d.index(t, entry)); err == nil {
			t.Errorf("%+v is taken", entry)
		}
	}
}

func TestSelect(t *testing.T) {
	d := documents{}
	leaf := d.attestation(t)
	at := func(os, arch, variant string) image.Descriptor {
		e := leaf.Descriptor
		e.Platform = &image.Platform{OS: os, Architecture: arch, Variant: variant}
		return e
	}
	top := d.index(t, at("unknown", "unknown", ""), at("linux", "arm", "v7"), at("linux", "arm64", "v8"))
	for platform, want := range map[string]bool{
		"linux/arm64": true, "linux/arm64/v8": true, "linux/arm": true, "linux/arm/v7": true, "linux/arm/v6": false, "linux/amd64": false,
		"linux": false, "linux/": false, "a/b/c/d": false,
	} {
		if _, err := Select(t.Context(), d, top, platform); err == nil != want {
			t.Errorf("%s: %v", platform, err)
		}
	}
}

// told is a progress that notes what is done.
type told struct {
	progress.Discard
	done []string
}

func (p *told) Done(_, outcome string) { p.done = append(p.done, outcome) }

// one is a source of a single blob.
type one string

func (b one) Blob(context.Context, cas.Digest, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b))), nil
}

// TestWatch: a blob that is read is told of, and a configuration that is only looked at is not.
func TestWatch(t *testing.T) {
	const config = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`
	d := cas.DigestOf([]byte(config))
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		image.OCIManifest, image.OCIConfig, d, len(config))
	p := &told{}
	img := &Image{Top: deliver.NewDocument([]byte(body), image.OCIManifest), From: Watch(one(config), p, "copied")}
	if _, err := img.Config(t.Context()); err != nil || len(p.done) > 0 {
		t.Errorf("looked at: %v, told %v", err, p.done)
	}
	r, err := img.From.Blob(t.Context(), d, int64(len(config)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if len(p.done) != 1 || p.done[0] != "copied" {
		t.Errorf("read: told %v", p.done)
	}
}
