// Package upkeep looks after content stores: it says what is in one, proves that it is whole, and prunes it.
//
// It may run while any number of processes use the store. What it removes can be made or fetched again, and what a running build uses
// stays: a prune needs to be alone with the store (cas.Alone), and keeps what was used within the last hour even then.
package upkeep

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

// Info is what is in a store, sizes in bytes.
type Info struct {
	// Dir is the store's folder. Fallback is that for temporary files, when it has anything.
	Dir      string `json:"dir"`
	Fallback string `json:"fallback,omitempty"`
	Blobs    int    `json:"blobs"`
	Bytes    int64  `json:"bytes"`
	Records  int    `json:"records"`
	// OldestUse is when the blob that nothing has used for the longest time was last used, to the hour; nil when there is no blob.
	OldestUse *time.Time `json:"oldestUse,omitempty"`
	// Ingest are the files that are being written, or that were left behind.
	Ingest Files `json:"ingest"`
}

// Files are some files together.
type Files struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Look says what is in the folders of a store. What cannot be read counts as nothing.
func Look(store *cas.Store) Info {
	info := Info{Dir: store.Dir()}
	for _, dir := range store.Dirs() {
		if dir != info.Dir {
			info.Fallback = dir
		}
		for _, b := range blobsIn(dir) {
			info.Blobs++
			info.Bytes += b.size
			if used := b.used.UTC(); info.OldestUse == nil || used.Before(*info.OldestUse) {
				info.OldestUse = &used
			}
		}
		for _, f := range recordsIn(dir) {
			if !isHalf(f.path) {
				info.Records++
			}
		}
		for _, f := range filesIn(filepath.Join(dir, cas.IngestDir)) {
			info.Ingest.Files++
			info.Ingest.Bytes += f.size
		}
	}
	return info
}

// file is a file of a store.
type file struct {
	path string
	size int64
	used time.Time // when it was last used or written
}

// blob is a file that has a blob's name.
type blob struct {
	file
	digest cas.Digest
}

// filesIn are the regular files of a folder, in order of their names; none when it cannot be read.
func filesIn(dir string) []file {
	entries, _ := os.ReadDir(dir) // what was read before an error counts
	var all []file
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			all = append(all, file{filepath.Join(dir, e.Name()), fi.Size(), fi.ModTime()})
		}
	}
	return all
}

// blobsIn are the blobs in one folder of a store, in order of their digests.
func blobsIn(dir string) []blob {
	var all []blob
	for _, f := range filesIn(filepath.Join(dir, filepath.FromSlash(cas.BlobsDir))) {
		if d, err := cas.ParseDigest("sha256:" + filepath.Base(f.path)); err == nil {
			all = append(all, blob{f, d})
		}
	}
	return all
}

// recordsIn are the files of the records in one folder of a store, of all kinds, and with them those that are being written.
func recordsIn(dir string) []file {
	top := filepath.Join(dir, cas.RecordsDir)
	entries, _ := os.ReadDir(top)
	var all []file
	for _, kind := range entries {
		if kind.IsDir() {
			all = append(all, filesIn(filepath.Join(top, kind.Name()))...)
		}
	}
	return all
}

// isHalf says whether a file is one that atomicfile has not renamed yet.
func isHalf(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }
