package imagestats

import (
	"fmt"
	"testing"

	"github.com/gantry-build/gantry/internal/tools/recorder"
)

func TestOf(t *testing.T) {
	manifest := `{"layers":[{"digest":"sha256:a"},{"digest":"sha256:b"},{"digest":"sha256:c"}]}`
	requests := []recorder.Request{
		{Method: "POST", Path: "/v2/app/blobs/uploads/", Query: "mount=sha256%3Aa&from=base", Status: 201},
		{Method: "POST", Path: "/v2/app/blobs/uploads/", Query: "mount=sha256%3Ab&from=base", Status: 202},
		{Method: "PUT", Path: "/v2/app/blobs/uploads/1", Query: "digest=sha256%3Ab", Status: 201},
		{Method: "PUT", Path: "/v2/app/blobs/uploads/2", Query: "digest=sha256%3Aconfig", Status: 201},
		{Method: "PUT", Path: "/v2/app/manifests/latest", Status: 201},
		{Method: "POST", Path: "/v2/other/blobs/uploads/", Query: "mount=sha256%3Aa&from=base", Status: 201},
		{Method: "PUT", Path: "/v2/app/manifests/refused", Status: 400},
	}
	read := func(path string) ([]byte, error) {
		if path != "/v2/app/manifests/latest" {
			return nil, fmt.Errorf("%s was read", path)
		}
		return []byte(manifest), nil
	}
	tests := []struct {
		name     string
		requests []recorder.Request
		want     Stats
	}{
		{"nothing", nil, Stats{}},
		{"a publish", requests, Stats{LayersUp: 1, LayersMounted: 1, Layers: 3, BlobsUp: 2, BlobsMounted: 2}},
		{"no manifest", requests[:4], Stats{BlobsUp: 2, BlobsMounted: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Of(tt.requests, recorder.Counts{}, read)
			if err != nil || got != tt.want {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
		})
	}
}
