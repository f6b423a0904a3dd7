package records

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

// BlobsKind is the folder, among the records, of those of LayerBlob. They are about blobs that the store need not have: pruning keeps them
// as long as builds use them.
const BlobsKind = "blobs"

// Ways in which it became known what a blob is.
const (
	ByReading  = "reading"  // all its bytes were read
	ByManifest = "manifest" // an image's manifest and configuration say so
	ByRecall   = "recall"   // an earlier image that Gantry made says so
)

// LayerBlob is what a blob is that is used as a layer as it is: all that its digest decides, and who has it.
type LayerBlob struct {
	Digest    cas.Digest `json:"digest"`
	MediaType string     `json:"mediaType"`
	Size      int64      `json:"size"`
	DiffID    cas.Digest `json:"diffId"`
	By        string     `json:"by"`
	// Contents is the list of the layer's paths (package layertoc), a blob of the store, if it was made. Unsafe is what the list says of
	// paths and devices that a tarball must not have. Both are of a blob that was read.
	Contents cas.Digest `json:"contents,omitempty"`
	Unsafe   string     `json:"unsafe,omitempty"`
	// In are the repositories, as registry/repository, that are known to have it, the latest first.
	In []string `json:"in,omitempty"`
}

// maxIn is how many repositories a record names.
const maxIn = 8

// blobFile is the record; see layerFile for the sum.
type blobFile struct {
	LayerBlob
	Sum cas.Digest `json:"sum"`
}

func (b *LayerBlob) sum() cas.Digest {
	return cas.DigestOf(fmt.Appendf(nil, "blob record 1\n%s\n%q\n%d\n%s\n%s\n%s\n%q\n%q\n",
		b.Digest, b.MediaType, b.Size, b.DiffID, b.By, b.Contents, b.Unsafe, b.In))
}

func (b *LayerBlob) valid() bool {
	for _, d := range []cas.Digest{b.Digest, b.DiffID} {
		if _, err := cas.ParseDigest(string(d)); err != nil {
			return false
		}
	}
	_, err := cas.ParseDigest(string(b.Contents))
	return b.Size > 0 && b.MediaType != "" && (b.Contents == "" || err == nil) &&
		slices.Contains([]string{ByReading, ByManifest, ByRecall}, b.By)
}

func blobName(d cas.Digest) string { return path.Join(cas.RecordsDir, BlobsKind, d.Hex()+".json") }

// LayerBlob returns what is known of a blob, and notes that it was used.
func (r *Records) LayerBlob(d cas.Digest) (b LayerBlob, ok bool) {
	if _, err := cas.ParseDigest(string(d)); err != nil {
		return b, false
	}
	data, err := r.store.ReadFile(blobName(d))
	if err != nil {
		return b, false
	}
	if b, ok = parseBlob(data, d); ok {
		r.used(blobName(d))
	}
	return b, ok
}

// parseBlob reads a blob's record, which may be anything.
func parseBlob(data []byte, d cas.Digest) (LayerBlob, bool) {
	var f blobFile
	if json.Unmarshal(data, &f) != nil || !f.valid() || f.Digest != d || f.Sum != f.sum() {
		return LayerBlob{}, false
	}
	return f.LayerBlob, true
}

// useNoted is how old a record's time gets before a use makes it new.
const useNoted = time.Hour

func (r *Records) used(name string) {
	now := time.Now()
	for _, dir := range r.store.Dirs() {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if fi, err := os.Stat(file); err == nil && now.Sub(fi.ModTime()) > useNoted {
			_ = os.Chtimes(file, now, now) // of a store that cannot be written
		}
	}
}

// KeepLayerBlob remembers what a blob is.
func (r *Records) KeepLayerBlob(b LayerBlob) {
	if len(b.In) > maxIn {
		b.In = b.In[:maxIn]
	}
	if b.valid() {
		r.write(blobName(b.Digest), blobFile{b, b.sum()})
	}
}

// Known says whether a repository, as registry/repository, is known to have the blob.
func (b *LayerBlob) Known(repository string) bool { return slices.Contains(b.In, repository) }

// Seen puts a repository, as registry/repository, before the others that have the blob.
func (b *LayerBlob) Seen(repository string) {
	in := []string{repository}
	for _, name := range b.In {
		if name != repository {
			in = append(in, name)
		}
	}
	b.In = in
}
