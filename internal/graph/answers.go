package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/platform"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// Registry answers what a plan asks.
type Registry interface {
	Repository(name registry.Name) Repository
}

// Repository is one repository; *registry.Repository is one. Errors of what is not there have registry.ErrNotFound in their chain.
type Repository interface {
	HeadManifest(ctx context.Context, tagOrDigest string) (registry.Descriptor, error)
	Manifest(ctx context.Context, tagOrDigest string) (*registry.Manifest, error)
	Blob(ctx context.Context, digest cas.Digest, size int64) (io.ReadCloser, error)
	TagPages(ctx context.Context, each func(tags []string, more bool) bool) error
}

// Remote asks real registries.
type Remote struct {
	Client *registry.Client
	itself bool
}

// Repository returns one for reading.
func (r Remote) Repository(name registry.Name) Repository {
	repository := r.Client.Repository(name, registry.ModePull)
	if r.itself {
		return repository.Itself()
	}
	return repository
}

// itself has no mirrors: what the graph makes is there when its own registry has it, and a mirror may still have what was removed.
func itself(r Registry) Registry {
	if remote, ok := r.(Remote); ok {
		remote.itself = true
		return remote
	}
	return r
}

// answer is what a tag or digest names.
type answer struct {
	once   sync.Once
	name   registry.Name
	digest cas.Digest
	index  *image.Index // nil when it is an image
	image  *registry.Manifest
	err    error

	mu     sync.Mutex
	chosen map[dockerfile.Platform]choice
}

// choice is the image of an index for a platform, and how a builder is told of it.
type choice struct {
	digest cas.Digest
	pin    string // repository@digest
	ok     bool
}

// platform is the digest of the image for a platform. An image that is in no index is taken for any, as BuildKit does.
func (a *answer) platform(p dockerfile.Platform) (cas.Digest, bool) {
	c := a.choose(p)
	return c.digest, c.ok
}

// choose looks at the index once for each platform: thousands of images may read the same parent.
func (a *answer) choose(p dockerfile.Platform) choice {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.chosen[p]
	if !ok {
		if c.digest, c.ok = a.digest, true; a.index != nil {
			c.digest, c.ok = platform.Choose(a.digest, a.index, p)
		}
		c.pin = a.name.String() + "@" + string(c.digest)
		if a.chosen == nil {
			a.chosen = map[dockerfile.Platform]choice{}
		}
		a.chosen[p] = c
	}
	return c
}

// answers asks each question once. It is safe for concurrent use.
type answers struct {
	registry Registry
	store    *cas.Store // nil: nothing is kept
	log      *slog.Logger
	asked    *atomic.Int64 // requests

	mu      sync.Mutex
	outside map[string]*answer // what parents' names are, as Dockerfiles have them
	named   map[string]*answer // what is read
	there   map[string]*answer // what is only asked for
	configs map[cas.Digest]*config
}

func newAnswers(r Registry, store *cas.Store, log *slog.Logger, asked *atomic.Int64) *answers {
	return &answers{
		registry: r, store: store, log: log, asked: asked,
		outside: map[string]*answer{}, named: map[string]*answer{}, there: map[string]*answer{}, configs: map[cas.Digest]*config{},
	}
}

type config struct {
	once sync.Once
	*dockerfile.Config
	err error
}

// repository counts what is asked.
func (a *answers) repository(name registry.Name) Repository {
	return counted{a.registry.Repository(name), a.asked}
}

type counted struct {
	Repository
	asked *atomic.Int64
}

func (c counted) HeadManifest(ctx context.Context, ref string) (registry.Descriptor, error) {
	c.asked.Add(1)
	return c.Repository.HeadManifest(ctx, ref)
}

func (c counted) Manifest(ctx context.Context, ref string) (*registry.Manifest, error) {
	c.asked.Add(1)
	return c.Repository.Manifest(ctx, ref)
}

func (c counted) Blob(ctx context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	c.asked.Add(1)
	return c.Repository.Blob(ctx, d, size)
}

func (c counted) TagPages(ctx context.Context, each func(tags []string, more bool) bool) error {
	c.asked.Add(1)
	first := true
	return c.Repository.TagPages(ctx, func(tags []string, more bool) bool {
		if !first {
			c.asked.Add(1)
		}
		first = false
		return each(tags, more)
	})
}

// of asks what a reference names, once. Errors are those of the registry.
func (a *answers) of(ctx context.Context, ref registry.Reference) (*answer, error) {
	found := a.entry(a.named, ref)
	found.once.Do(func() { found.err = a.ask(ctx, found, ref) })
	return found, found.err
}

func (a *answers) entry(m map[string]*answer, ref registry.Reference) *answer {
	key := ref.Name.String() + "@" + ref.TagOrDigest() // no tag has this form
	a.mu.Lock()
	defer a.mu.Unlock()
	found := m[key]
	if found == nil {
		found = &answer{name: ref.Name}
		m[key] = found
	}
	return found
}

// ask takes one request for a tag: where the store has what it named last, that it still does is enough to know.
func (a *answers) ask(ctx context.Context, found *answer, ref registry.Reference) error {
	m, err := a.manifest(ctx, registry.Reference{Name: ref.Name, Tag: ref.Tag, Digest: ref.Digest})
	if err != nil {
		return err
	}
	found.digest = m.Digest
	if image.IsIndex(m.MediaType) {
		found.index, err = image.ParseIndex(m.Body, m.MediaType)
	} else {
		found.image = m
	}
	return err
}

func (a *answers) manifest(ctx context.Context, ref registry.Reference) (*registry.Manifest, error) {
	repository := a.repository(ref.Name)
	if a.store == nil {
		return repository.Manifest(ctx, ref.TagOrDigest())
	}
	if ref.Digest != "" {
		return pull.Manifest(ctx, a.store, repository, ref.Digest, a.log)
	}
	if last := pull.Remembered(a.store, ref.String(), a.log); last != nil {
		now, err := repository.HeadManifest(ctx, ref.Tag)
		switch {
		case err != nil:
			return nil, err
		case now.Digest == last.Digest:
			return last, nil
		}
	}
	m, err := repository.Manifest(ctx, ref.Tag)
	if err == nil && pull.Keep(a.store, m) == nil {
		pull.Remember(a.store, ref.String(), m, a.log)
	}
	return m, err
}

// existing is of, for what may not be there: then it is nil. What the account may not see counts as not there, and unseen says why.
func (a *answers) existing(ctx context.Context, ref registry.Reference) (found *answer, unseen string, err error) {
	found, err = a.of(ctx, ref)
	if err != nil {
		unseen, err = a.absent(err, ref)
		return nil, unseen, err
	}
	return found, "", nil
}

// exists is existing where nobody wants to know the digest of a platform.
func (a *answers) exists(ctx context.Context, ref registry.Reference) (d cas.Digest, unseen string, err error) {
	found := a.entry(a.there, ref)
	found.once.Do(func() {
		d, err := a.repository(ref.Name).HeadManifest(ctx, ref.TagOrDigest())
		found.digest, found.err = d.Digest, err
	})
	if found.err != nil {
		unseen, err = a.absent(found.err, ref)
		return "", unseen, err
	}
	return found.digest, "", nil
}

// absent passes over an error that says that something is not there or may not be seen. A login that is refused is no such answer: all would
// be built because a password is wrong.
func (a *answers) absent(err error, ref registry.Reference) (unseen string, _ error) {
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil
	}
	if reason, ok := oracle.Unknowable(err); ok && !errors.Is(err, registry.ErrLogin) {
		unseen = fmt.Sprintf("whether %s is there is not known: %s", ref, reason)
		a.log.Info(diag.MessageLine(diag.AccessUnproved, unseen+"; so it is built"))
		return unseen, nil
	}
	return "", err
}

// parent is the digest of an image outside the graph for a platform.
func (a *answers) parent(ctx context.Context, name string, p dockerfile.Platform) (*answer, cas.Digest, error) {
	if a.registry == nil {
		return nil, "", errors.New("no registry may be asked for " + name)
	}
	found, err := a.byName(ctx, name)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, "", diag.Wrap(diag.ParentMissing, err, name+" is not made by the graph", "check the name, or add the image to the list")
	}
	if err != nil {
		return nil, "", err
	}
	d, ok := found.platform(p)
	if !ok {
		what := fmt.Sprintf("%s is not there for %s, only for %s", name, p, platforms(found.index))
		return nil, "", diag.New(diag.ParentPlatform, what, "name another image")
	}
	return found, d, nil
}

// byName is of for a reference in full.
func (a *answers) byName(ctx context.Context, name string) (*answer, error) {
	a.mu.Lock()
	found := a.outside[name]
	a.mu.Unlock()
	if found != nil {
		return found, found.err
	}
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil, err
	}
	found, err = a.of(ctx, ref)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outside[name] = found
	return found, err
}

// config reads the configuration of an image outside the graph: its manifest and its configuration, which never change.
func (a *answers) config(ctx context.Context, name string, p dockerfile.Platform) (*dockerfile.Config, error) {
	found, d, err := a.parent(ctx, name, p)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	c := a.configs[d]
	if c == nil {
		c = &config{}
		a.configs[d] = c
	}
	a.mu.Unlock()
	c.once.Do(func() { c.Config, c.err = a.readConfig(ctx, found, d) })
	return c.Config, c.err
}

func (a *answers) readConfig(ctx context.Context, found *answer, d cas.Digest) (*dockerfile.Config, error) {
	m := found.image
	if m == nil {
		if d == found.digest {
			return nil, nil // several images of the index are equally good: which one is taken is not known
		}
		var err error
		if m, err = a.manifest(ctx, registry.Reference{Name: found.name, Digest: d}); err != nil {
			return nil, err
		}
	}
	parsed, err := image.ParseManifest(m.Body, m.MediaType)
	if err != nil {
		return nil, err
	}
	body, err := a.blob(ctx, found.name, parsed.Config)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Config struct {
			Env, OnBuild []string
		} `json:"config"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, diag.Wrap(diag.InvalidBaseConfig, err, fmt.Sprintf("the configuration of %s@%s", found.name, d), "use another image")
	}
	return &dockerfile.Config{OnBuild: doc.Config.OnBuild, Env: doc.Config.Env}, nil
}

func (a *answers) blob(ctx context.Context, name registry.Name, desc image.Descriptor) ([]byte, error) {
	repository := a.repository(name)
	if a.store != nil {
		return pull.Small(ctx, a.store, repository, desc, image.MaxConfigBytes, a.log)
	}
	if desc.Size > image.MaxConfigBytes {
		return nil, diag.New(diag.InvalidBaseConfig, fmt.Sprintf("the configuration of %s has %d bytes", name, desc.Size), "use another image")
	}
	r, err := repository.Blob(ctx, desc.Digest, desc.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
