package graph

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestPlan_realRegistries is TestPlan_oracle against registries that others wrote, with a content store, and fewer changes.
func TestPlan_realRegistries(t *testing.T) {
	for name, start := range testenv.Registries {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			client := registry.New(registry.Options{Parallel: MaxParallel})
			store := cas.Open(t.TempDir())
			for seed := range 2 {
				rapid.Custom(func(draws *rapid.T) int {
					w := &world{dir: t.TempDir(), host: server.Host() + "/round" + strconv.Itoa(seed)}
					w.push = func(ref registry.Reference, m *made) { pushTo(client, ref, m) }
					r := &runner{t: t, w: w, registry: Remote{Client: client}, store: store}
					draw(draws, w)
					r.step("the first", nil)
					for range 12 {
						k := rapid.IntRange(0, len(w.images)-1).Draw(draws, "image")
						c := rapid.SampledFrom(changes).Draw(draws, "change")
						r.step(c.name, c.do(draws, w, w.images[k], k))
					}
					return r.builds
				}).Example(seed)
			}
		})
	}
}

func pushTo(client *registry.Client, ref registry.Reference, m *made) {
	ctx := context.Background()
	r := client.Repository(ref.Name, registry.ModePush)
	for d, body := range m.blobs {
		_, err := r.PushBlob(ctx, registry.BlobSource{
			Digest: d, Size: int64(len(body)),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		}, nil)
		check(err)
	}
	for d, doc := range m.documents {
		if d != m.root {
			check(r.PushManifest(ctx, string(d), doc.MediaType, doc.Body))
		}
	}
	root := m.documents[m.root]
	check(r.PushManifest(ctx, ref.Tag, root.MediaType, root.Body))
}
