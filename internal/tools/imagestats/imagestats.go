// Package imagestats tells from the requests that a registry saw what a
// publish did: which blobs were uploaded, which mounted, how many of the
// image's layers that were.
package imagestats

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// Stats are what a publish did. Up and Down are bytes of HTTP bodies.
type Stats struct {
	recorder.Counts
	// LayersUp and LayersMounted are layers of the image that were uploaded,
	// and mounted from another repository; Layers is how many it has. All
	// are 0 when no manifest was written.
	LayersUp      int `json:"layersUp"`
	LayersMounted int `json:"layersMounted"`
	Layers        int `json:"layers"`
	// BlobsUp and BlobsMounted are blobs of any kind, counted in each repository.
	BlobsUp      int `json:"blobsUp"`
	BlobsMounted int `json:"blobsMounted"`
}

// Of sums up the requests of one publish. read gives the body of a manifest
// by the path that it was written to, "/v2/NAME/manifests/REFERENCE".
func Of(requests []recorder.Request, counts recorder.Counts, read func(path string) ([]byte, error)) (Stats, error) {
	s := Stats{Counts: counts}
	uploaded, mounted, layers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range requests {
		query, err := url.ParseQuery(r.Query)
		if err != nil || r.Status != http.StatusCreated {
			continue
		}
		switch {
		case strings.Contains(r.Path, "/manifests/"):
			body, err := read(r.Path)
			if err != nil {
				return s, err
			}
			if err := addLayers(layers, body); err != nil {
				return s, err
			}
		case r.Method == http.MethodPost && query.Has("mount"):
			mounted[query.Get("mount")] = true
			s.BlobsMounted++
		case query.Has("digest"):
			uploaded[query.Get("digest")] = true
			s.BlobsUp++
		}
	}
	for digest := range layers {
		s.Layers++
		switch {
		case uploaded[digest]:
			s.LayersUp++
		case mounted[digest]:
			s.LayersMounted++
		}
	}
	return s, nil
}

func addLayers(layers map[string]bool, manifest []byte) error {
	var doc struct {
		Layers []struct {
			Digest string `json:"digest"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return err
	}
	for _, l := range doc.Layers {
		layers[l.Digest] = true
	}
	return nil
}
