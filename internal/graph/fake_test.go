package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
)

// made is an image as a builder makes it: documents by digest, and the digest for each platform.
type made struct {
	root      cas.Digest
	platforms map[string]cas.Digest
	documents map[cas.Digest]*registry.Manifest
	blobs     map[cas.Digest][]byte
}

// makeImage makes an image of a text for each platform. One platform makes no index.
func makeImage(texts map[string]string, config dockerfile.Config) *made {
	m := &made{platforms: map[string]cas.Digest{}, documents: map[cas.Digest]*registry.Manifest{}, blobs: map[cas.Digest][]byte{}}
	type object = map[string]any
	put := func(mediaType string, doc any) object {
		body, err := json.Marshal(doc)
		if err != nil {
			panic(err)
		}
		d := cas.DigestOf(body)
		if strings.Contains(mediaType, "config") {
			m.blobs[d] = body
		} else {
			m.documents[d] = &registry.Manifest{MediaType: mediaType, Digest: d, Body: body}
			m.root = d
		}
		return object{"mediaType": mediaType, "digest": d, "size": len(body)}
	}
	var list []object
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		p, err := dockerfile.ParsePlatform(name, dockerfile.Platform{})
		if err != nil {
			panic(err)
		}
		c := put("application/vnd.oci.image.config.v1+json", object{
			"os": p.OS, "architecture": p.Architecture, "author": texts[name], "config": object{"Env": config.Env, "OnBuild": config.OnBuild},
		})
		d := put(registry.OCIManifest, object{"schemaVersion": 2, "mediaType": registry.OCIManifest, "config": c, "layers": []object{}})
		m.platforms[name] = m.root
		d["platform"] = object{"os": p.OS, "architecture": p.Architecture}
		list = append(list, d)
	}
	if len(list) > 1 {
		put(registry.OCIIndex, object{"schemaVersion": 2, "mediaType": registry.OCIIndex, "manifests": list})
	}
	return m
}

// fake is a registry in memory that counts what it is asked.
type fake struct {
	mu    sync.Mutex
	repos map[registry.Name]*fakeRepository
	// asked are the questions since reset, by verb and reference.
	asked map[string]int
	// fail is asked about each question.
	fail func(verb, ref string) error
	// page is how many tags are on a page.
	page int
	// now and most are questions at once.
	now, most int
}

type fakeRepository struct {
	*fake
	name      registry.Name
	tags      map[string]cas.Digest
	documents map[cas.Digest]*registry.Manifest
	blobs     map[cas.Digest][]byte
}

func newFake() *fake {
	return &fake{repos: map[registry.Name]*fakeRepository{}, asked: map[string]int{}, page: 1000}
}

func (f *fake) repository(name registry.Name) *fakeRepository {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.repos[name]
	if r == nil {
		r = &fakeRepository{fake: f, name: name, tags: map[string]cas.Digest{}, documents: map[cas.Digest]*registry.Manifest{}, blobs: map[cas.Digest][]byte{}}
		f.repos[name] = r
	}
	return r
}

func (f *fake) Repository(name registry.Name) Repository { return f.repository(name) }

func (f *fake) push(ref registry.Reference, m *made) {
	r := f.repository(ref.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(r.documents, m.documents)
	maps.Copy(r.blobs, m.blobs)
	r.tags[ref.Tag] = m.root
}

func (f *fake) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.asked)
	f.most = 0
}

func (f *fake) mostAtOnce() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

// count is the number of questions of a verb; all without one.
func (f *fake) count(verb string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for what, times := range f.asked {
		if strings.HasPrefix(what, verb) {
			n += times
		}
	}
	return n
}

func (r *fakeRepository) ask(verb, ref string) error {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.asked[verb+" "+r.name.String()+" "+ref]++
	fail := r.fail
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	if fail != nil {
		return fail(verb, ref)
	}
	return nil
}

func (r *fakeRepository) find(ref string) (*registry.Manifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := cas.Digest(ref)
	if tagged, ok := r.tags[ref]; ok {
		d = tagged
	}
	if m := r.documents[d]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("%s %s: %w", r.name, ref, registry.ErrNotFound)
}

func (r *fakeRepository) HeadManifest(_ context.Context, ref string) (registry.Descriptor, error) {
	if err := r.ask("HEAD", ref); err != nil {
		return registry.Descriptor{}, err
	}
	m, err := r.find(ref)
	if err != nil {
		return registry.Descriptor{}, err
	}
	return m.Descriptor(), nil
}

func (r *fakeRepository) Manifest(_ context.Context, ref string) (*registry.Manifest, error) {
	if err := r.ask("GET", ref); err != nil {
		return nil, err
	}
	return r.find(ref)
}

func (r *fakeRepository) Blob(_ context.Context, d cas.Digest, _ int64) (io.ReadCloser, error) {
	if err := r.ask("BLOB", string(d)); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.blobs[d]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	return nil, fmt.Errorf("blob %s: %w", d, registry.ErrNotFound)
}

func (r *fakeRepository) TagPages(_ context.Context, each func(tags []string, more bool) bool) error {
	r.mu.Lock()
	tags := slices.Sorted(maps.Keys(r.tags))
	r.mu.Unlock()
	for n := 0; ; n++ {
		if err := r.ask("TAGS", fmt.Sprint(n)); err != nil {
			return err
		}
		size := min(r.page, len(tags))
		if !each(tags[:size], size < len(tags)) || size == len(tags) {
			return nil
		}
		tags = tags[size:]
	}
}

func reference(t testing.TB, s string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
