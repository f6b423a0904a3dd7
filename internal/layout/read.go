// Package layout reads and writes OCI image layouts: folders with blobs by digest, an index of images by name, and a mark (image-spec,
// image-layout.md).
//
// Images are added: blobs first, each under a temporary name until it is whole, then the index, under a lock and as a whole. So a reader
// sees the old images or the new, other images in the folder stay, and any number of processes may add images at once. A blob that is
// there counts when it has the size and the digest that its name says. Nothing is ever removed but what an interrupted run left.
package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// The files of a layout.
const (
	indexFile = "index.json"
	markFile  = "oci-layout"
	markText  = `{"imageLayoutVersion": "1.0.0"}`
	blobsDir  = "blobs/sha256"
)

// MaxMark is the size in bytes of the largest oci-layout that is read.
const MaxMark = 4 << 10

// CheckMark checks the content of oci-layout.
func CheckMark(body []byte) error {
	var mark struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(body, &mark); err != nil {
		return fmt.Errorf("%s: %w", markFile, err)
	}
	if mark.Version != "1.0.0" {
		return fmt.Errorf("%s names the version %q, and 1.0.0 is known", markFile, mark.Version)
	}
	return nil
}

// Reader is a layout that is read: a content.Source. It is safe for concurrent use.
type Reader struct{ dir string }

// Open checks that dir is a layout. Fails with GANTRY5015.
func Open(dir string) (*Reader, error) {
	r := &Reader{dir}
	mark, err := r.small(markFile, MaxMark)
	if err == nil {
		err = CheckMark(mark)
	}
	if err != nil {
		return nil, r.invalid(err)
	}
	return r, nil
}

func (r *Reader) invalid(err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return err
	}
	return diag.Wrap(diag.InvalidArchive, err, r.dir+" is no OCI image layout", "name a folder that skopeo copy, gantry copy or another tool made as one")
}

func (r *Reader) small(name string, limit int64) ([]byte, error) {
	f, err := openFile(filepath.Join(r.dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return body, err
}

// openFile opens a file that is one: a pipe would wait for its writer.
func openFile(path string) (*os.File, error) {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// absent is a blob that the layout does not have.
type absent struct{ error }

func (a absent) Is(target error) bool { return target == content.ErrAbsent || target == fs.ErrNotExist }

// Resolve finds an image by its name in the layout or by its digest; "" is for a layout with one image. Errors are GANTRY5016, which lists
// the images that there are, and 5010.
func (r *Reader) Resolve(ctx context.Context, name string) (deliver.Document, error) {
	x, err := r.index()
	if err != nil {
		return deliver.Document{}, r.invalid(err)
	}
	d, err := Choose(x.Manifests, name, r.dir)
	if err != nil {
		return deliver.Document{}, err
	}
	return content.Document(ctx, r, d)
}

func (r *Reader) index() (*image.Index, error) {
	body, err := r.small(indexFile, image.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	x, err := image.ParseIndex(body, image.OCIIndex)
	if err != nil {
		return nil, r.invalid(fmt.Errorf("%s is not valid: %w", indexFile, diag.Cause(err)))
	}
	return x, nil
}

// Choose picks an entry of the index of a layout or archive, which where names: by RefName or ImageName, by digest, by another form of the
// same name, or, when that is not ambiguous, by the tag that a name ends in; "" when all entries are one image. Fails with GANTRY5016.
func Choose(entries []image.Descriptor, name, where string) (image.Descriptor, error) {
	var found []image.Descriptor
	for _, same := range []func(have, name string) bool{equal, sameName, sameTag} {
		for _, e := range entries {
			if matches(e, name, same) && !slices.ContainsFunc(found, func(f image.Descriptor) bool { return f.Digest == e.Digest }) {
				found = append(found, e)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	what := fmt.Sprintf("%s has no image %q", where, name)
	switch {
	case len(entries) == 0:
		what = where + " has no image"
	case len(found) > 1 && name == "":
		what = where + " has several images"
	case len(found) > 1:
		what = fmt.Sprintf("%s has several images %q", where, name)
	}
	return image.Descriptor{}, diag.New(diag.ImageNotThere, what, "name one of: "+list(entries))
}

func matches(e image.Descriptor, name string, same func(have, name string) bool) bool {
	if name == "" || name == string(e.Digest) {
		return true
	}
	for _, have := range []string{e.Annotations[content.RefName], e.Annotations[content.ImageName]} {
		if have != "" && same(have, name) {
			return true
		}
	}
	return false
}

func equal(have, name string) bool { return have == name }

func sameTag(have, tag string) bool { return strings.HasSuffix(have, ":"+tag) }

// sameName: team/shop:1 is docker.io/team/shop:1, which is how skopeo and docker save write it, or localhost/team/shop:1 as with Podman.
func sameName(have, name string) bool {
	one, err := registry.ParseReference(strings.TrimPrefix(have, "localhost/"))
	other, err2 := registry.ParseReference(strings.TrimPrefix(name, "localhost/"))
	return err == nil && err2 == nil && one == other
}

// maxListed bounds what a message lists.
const maxListed = 10

func list(entries []image.Descriptor) string {
	var names []string
	for _, e := range entries {
		name := e.Annotations[content.RefName]
		other := func(o image.Descriptor) bool { return o.Annotations[content.RefName] == name && o.Digest != e.Digest }
		if full := e.Annotations[content.ImageName]; full != "" && slices.ContainsFunc(entries, other) { // docker save has the tag alone as the name
			name = full
		}
		if name == "" {
			name = string(e.Digest)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	if len(names) > maxListed {
		names = append(names[:maxListed], "…")
	}
	return strings.Join(names, ", ")
}

// Manifest reads a manifest or index by its digest.
func (r *Reader) Manifest(_ context.Context, digest string) (*registry.Manifest, error) {
	d, err := cas.ParseDigest(digest)
	if err != nil {
		return nil, r.invalid(err)
	}
	body, err := r.small(blobsDir+"/"+d.Hex(), image.MaxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		err = absent{fmt.Errorf("the manifest %s is missing", d)}
	}
	if err != nil {
		return nil, r.invalid(err)
	}
	if got := cas.DigestOf(body); got != d {
		return nil, diag.New(diag.DigestMismatch, fmt.Sprintf("the manifest %s in %s has the digest %s", d, r.dir, got), "make the layout anew")
	}
	return &registry.Manifest{MediaType: image.Sniff(body), Digest: d, Body: body}, nil
}

// Blob opens a blob, which is verified as it is read.
func (r *Reader) Blob(_ context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	f, err := openFile(r.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		err = absent{fmt.Errorf("the blob %s is missing", d)}
	}
	if err != nil {
		return nil, r.invalid(err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() != size {
		err = fmt.Errorf("the blob %s is no file of %d bytes", d, size)
	}
	if err != nil {
		f.Close()
		return nil, r.invalid(err)
	}
	return content.Verify(f, d, size, r.dir), nil
}

func (r *Reader) path(d cas.Digest) string {
	return filepath.Join(r.dir, filepath.FromSlash(blobsDir), d.Hex())
}
