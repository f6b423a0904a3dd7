package oracle

import (
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
)

// Documents is the content store; what it gives hashes to its digest.
type Documents interface {
	ReadAll(d cas.Digest) ([]byte, error)
}

// Held are the blobs that a repository must have because it has the manifests and indexes of these digests, as it said itself: a
// registry takes no manifest whose blobs it lacks. Documents that the store does not have say nothing. A registry can have lost blobs
// since: then it refuses the manifest that names them, and all are sent. Foreign layers are elsewhere.
func Held(store Documents, digests ...cas.Digest) map[cas.Digest]bool {
	held := map[cas.Digest]bool{}
	for _, d := range digests {
		if d != "" {
			addHeld(held, store, d, true)
		}
	}
	return held
}

func addHeld(held map[cas.Digest]bool, store Documents, d cas.Digest, index bool) {
	body, err := store.ReadAll(d)
	if err != nil {
		return
	}
	mediaType := image.Sniff(body)
	if image.IsIndex(mediaType) && index { // an index in an index is no image of ours
		x, err := image.ParseIndex(body, mediaType)
		if err != nil {
			return
		}
		for _, m := range x.Manifests {
			addHeld(held, store, m.Digest, false)
		}
		return
	}
	m, err := image.ParseManifest(body, mediaType)
	if err != nil {
		return
	}
	held[m.Config.Digest] = true
	for _, l := range m.Layers {
		if !image.IsForeign(l.MediaType) {
			held[l.Digest] = true
		}
	}
}
