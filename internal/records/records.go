// Package records keeps small facts beside the blobs of the content store: which layer a key stands for, which repositories hold a
// blob. Each is one small file, so that any number of processes write side by side.
//
// A record is a hint and never an answer: whoever uses one proves it (the blob's own digest, the registry's answer to a mount), and
// every record may be missing. So nothing here fails: what cannot be read is not known, what cannot be written is not remembered.
// Records hold no path of this machine and may be carried to another with the blobs.
//
// The files are records/<kind>/<name>.json. Each is a JSON object whose field digest names the blob that it is about (see Blob): when
// the store loses the blob, the record may go too. Those of LayerBlob hold without it.
package records

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// Records are those of one store. Its methods are safe for concurrent use, by processes too.
type Records struct{ store *cas.Store }

// Of returns the records of a store.
func Of(store *cas.Store) *Records { return &Records{store} }

// Layer is the layer that a key stands for, as this machine made it.
type Layer struct {
	Key    cas.Digest `json:"key"`
	Digest cas.Digest `json:"digest"`
	DiffID cas.Digest `json:"diffId"`
	Size   int64      `json:"size"`
}

// layerFile is a layer's record. The sum is over its fields: nothing else would show that a bit of the diff ID, which no registry
// proves, has changed on the disk.
type layerFile struct {
	Layer
	Sum cas.Digest `json:"sum"`
}

func (l Layer) sum() cas.Digest {
	return cas.DigestOf(fmt.Appendf(nil, "layer record 1\n%s\n%s\n%s\n%d\n", l.Key, l.Digest, l.DiffID, l.Size))
}

func (l Layer) valid() bool {
	for _, d := range []cas.Digest{l.Key, l.Digest, l.DiffID} {
		if _, err := cas.ParseDigest(string(d)); err != nil {
			return false
		}
	}
	return l.Size > 0
}

// Layer returns the layer of a key. The store may have lost its blob.
func (r *Records) Layer(key cas.Digest) (l Layer, ok bool) {
	if _, err := cas.ParseDigest(string(key)); err != nil {
		return l, false
	}
	data, err := r.store.ReadFile(layerName(key))
	if err != nil {
		return l, false
	}
	return parseLayer(data, key)
}

func layerName(key cas.Digest) string { return path.Join(cas.RecordsDir, "layers", key.Hex()+".json") }

// parseLayer reads a layer's record, which may be anything.
func parseLayer(data []byte, key cas.Digest) (Layer, bool) {
	var f layerFile
	if json.Unmarshal(data, &f) != nil || !f.valid() || f.Key != key || f.Sum != f.sum() {
		return Layer{}, false
	}
	return f.Layer, true
}

// KeepLayer remembers a layer.
func (r *Records) KeepLayer(l Layer) {
	if !l.valid() {
		return
	}
	if known, ok := r.Layer(l.Key); !ok || known != l {
		r.write(layerName(l.Key), layerFile{l, l.sum()})
	}
}

// maxHolders is how many repositories a blob's record names: one that has the blob is enough.
const maxHolders = 4

// holdersFile is the record of the repositories that hold a blob.
type holdersFile struct {
	Registry     string     `json:"registry"`
	Digest       cas.Digest `json:"digest"`
	Repositories []string   `json:"repositories"`
}

// Holders are the repositories of a registry (host or host:port) that took or showed a blob, the latest first.
func (r *Records) Holders(registry string, d cas.Digest) []string {
	if _, err := cas.ParseDigest(string(d)); err != nil {
		return nil
	}
	data, err := r.store.ReadFile(holdersName(registry, d))
	if err != nil {
		return nil
	}
	return parseHolders(data, registry, d)
}

// holdersName begins with the blob's digest and says the registry by a hash, as a port's colon is in no file name on Windows.
func holdersName(registry string, d cas.Digest) string {
	return path.Join(cas.RecordsDir, "holders", d.Hex()+"-"+cas.DigestOf([]byte(registry)).Hex()[:16]+".json")
}

// parseHolders reads a record of holders, which may be anything.
func parseHolders(data []byte, registry string, d cas.Digest) []string {
	var f holdersFile
	if json.Unmarshal(data, &f) != nil || f.Registry != registry || f.Digest != d || len(f.Repositories) > maxHolders {
		return nil
	}
	if slices.ContainsFunc(f.Repositories, func(name string) bool { return !isRepository(name) }) {
		return nil
	}
	return f.Repositories
}

// isRepository says whether name can be that of a repository. Registries are stricter, and answer for themselves.
func isRepository(name string) bool {
	if len(name) > 255 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-/") != "" {
		return false
	}
	for component := range strings.SplitSeq(name, "/") {
		if strings.Trim(component, ".") == "" {
			return false
		}
	}
	return true
}

// KeepHolder remembers that a repository has a blob.
func (r *Records) KeepHolder(registry, repository string, d cas.Digest) {
	if _, err := cas.ParseDigest(string(d)); err != nil || !isRepository(repository) {
		return
	}
	known := r.Holders(registry, d)
	if len(known) > 0 && known[0] == repository {
		return
	}
	holders := []string{repository}
	for _, name := range known {
		if name != repository && len(holders) < maxHolders {
			holders = append(holders, name)
		}
	}
	r.write(holdersName(registry, d), holdersFile{registry, d, holders})
}

// write writes a record, or does not.
func (r *Records) write(name string, record any) {
	if data, err := json.Marshal(record); err == nil {
		_ = r.store.WriteFile(name, append(data, '\n'))
	}
}

// Blob returns the digest of the blob that the record of any kind is about. Without one it is no record.
func Blob(record []byte) (d cas.Digest, ok bool) {
	var f struct {
		Digest cas.Digest `json:"digest"`
	}
	if json.Unmarshal(record, &f) != nil || f.Digest == "" {
		return "", false
	}
	return f.Digest, true
}
