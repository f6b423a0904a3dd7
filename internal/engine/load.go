package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/gantry-build/gantry/internal/archive"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// Loaded says what Load did.
type Loaded struct {
	// Sent says that the image was loaded; false is an engine that had it.
	Sent   bool
	Reason string
	Tags   []outcome.Tag
	Blobs  outcome.Blobs
}

// NameOf is how an engine calls repository:tag of a registry; without a registry Docker takes it for Docker Hub's, and Podman for a local
// one, as both do with what the .NET SDK loads.
func (e *Engine) NameOf(host, repository, tag string) content.Name {
	if host == "" && e.Kind == Podman {
		host = "localhost"
	}
	return content.NameOf(host, repository, tag)
}

// Load brings an image into the engine under names. What it has of the image it is not sent, where it can be told: layers of the image
// that had the name so far, or of any, unless Docker keeps images in containerd's store. Fails with CONTAINER1009 in the engine's words,
// CONTAINER1012 where it does not answer, GANTRY5017 for an index that the engine cannot hold (see Single), and with the errors of the blobs.
func (e *Engine) Load(ctx context.Context, img *content.Image, names []content.Name) (Loaded, error) {
	l := &loading{Engine: e, image: img, names: content.Names(names)}
	if err := l.describe(ctx); err != nil {
		return l.did, err
	}
	if err := l.ask(ctx); err != nil {
		return l.did, err
	}
	if l.id == "" {
		if err := l.send(ctx); err != nil {
			return l.did, err
		}
	}
	return l.did, l.tags(ctx)
}

// loading is one image on its way.
type loading struct {
	*Engine
	image    *content.Image
	names    []content.Name
	digests  []cas.Digest // that the engine may know the image by
	manifest *image.Manifest
	diffIDs  []cas.Digest // of manifest's layers
	known    [][]cas.Digest
	id       string
	did      Loaded
}

// describe reads what the image is known by.
func (l *loading) describe(ctx context.Context) error {
	l.digests = []cas.Digest{l.image.Top.Descriptor.Digest}
	if l.image.IsIndex() {
		return nil
	}
	m, err := l.image.Manifest()
	if err != nil {
		return err
	}
	config, err := l.image.Config(ctx)
	if err != nil {
		return err
	}
	l.manifest, l.digests = m, []cas.Digest{m.Config.Digest, l.image.Top.Descriptor.Digest}
	if len(config.DiffIDs) == len(m.Layers) {
		l.diffIDs = config.DiffIDs
	}
	return nil
}

// ask finds out which names are the image's already, and whether the engine has it under another one, which proves nothing of an index.
func (l *loading) ask(ctx context.Context) error {
	for _, n := range l.names {
		f, err := l.inspect(ctx, n.RepoTag)
		if err != nil {
			return l.failed(err)
		}
		t := outcome.Tag{Tag: n.RepoTag, State: outcome.Written}
		switch {
		case f.is(l.digests):
			t.State, l.id, l.did.Reason = outcome.Current, f.ID, fmt.Sprintf("the name %s is that image", n.RepoTag)
		case f != nil:
			t.State = outcome.Moved
			t.Was = f.digest()
			l.known = append(l.known, f.RootFS.Layers)
		}
		l.did.Tags = append(l.did.Tags, t)
	}
	for _, d := range l.digests {
		if l.id != "" || l.image.IsIndex() { // of an index that it pulled, Docker has the part for one platform alone
			break
		}
		f, err := l.inspect(ctx, string(d))
		if err != nil {
			return l.failed(err)
		}
		if f.is(l.digests) {
			l.id, l.did.Reason = f.ID, fmt.Sprintf("%s has it", l.Kind)
		}
	}
	for _, b := range l.image.Blobs {
		if l.id != "" {
			l.did.Blobs.Add(registry.Exists, b.Size)
		}
	}
	return nil
}

// send loads the image: without the layers that the engine seems to have, and in full when it does not take that.
func (l *loading) send(ctx context.Context) error {
	l.did.Sent, l.did.Reason = true, fmt.Sprintf("%s does not have it", l.Kind)
	has, err := l.spared(ctx)
	if err != nil {
		return err
	}
	names := l.names
	if l.Kind == Podman && len(names) > 1 {
		names = names[:1] // it takes no OCI archive with more; the others are added
	}
	full, err := archive.NewOCI(l.image, names)
	if err != nil {
		return err
	}
	if len(has) > 0 {
		err := l.stream(ctx, full.Without(has))
		if err == nil && l.arrived(ctx) {
			l.count(has)
			return nil
		}
		if ctx.Err() != nil {
			return l.failed(ctx.Err())
		}
		l.log.Info("the image is sent in full", "engine", l.Kind, "reason", fmt.Sprint("it was not taken without the layers that are there: ", err))
	}
	if err := l.stream(ctx, full); err != nil {
		return err
	}
	if !l.arrived(ctx) {
		return l.failed(errors.New("it says that it loaded the image, and does not have it"))
	}
	l.count(nil)
	return nil
}

// spared are the layers that need not be sent: the lowest ones, as far as an image that had one of the names has the same, or any image
// of the engine where those have none of them.
func (l *loading) spared(ctx context.Context) (map[cas.Digest]bool, error) {
	if l.Kind == Docker {
		i, err := l.info(ctx)
		if err != nil {
			return nil, l.failed(err)
		}
		if i.containerd() {
			return nil, nil
		}
	}
	if l.image.IsIndex() { // callers ask Single first
		return nil, diag.New(diag.FormatCannotHold, fmt.Sprintf("%s cannot hold an image for several platforms", l.Kind),
			"choose one platform, turn the containerd image store of Docker on, or write an archive or to a registry")
	}
	most := l.inCommon(l.known)
	if most == 0 {
		images, err := l.all(ctx)
		if err != nil {
			l.log.Debug("the engine does not say what it has", "reason", err.Error())
		}
		for _, f := range images {
			most = max(most, l.inCommon([][]cas.Digest{f.RootFS.Layers}))
		}
	}
	has := map[cas.Digest]bool{}
	for i := range most {
		has[l.manifest.Layers[i].Digest] = true
	}
	for _, above := range l.manifest.Layers[most:] { // where the engine wants the content of a layer that it has below, too
		delete(has, above.Digest)
	}
	return has, nil
}

// inCommon counts the lowest layers that the image has in common with one of images.
func (l *loading) inCommon(images [][]cas.Digest) (most int) {
	for _, layers := range images {
		n := 0
		for n < len(layers) && n < len(l.diffIDs) && layers[n] == l.diffIDs[n] {
			n++
		}
		most = max(most, n)
	}
	return most
}

// LostSnapshot is what Docker and BuildKit say when containerd, while it unpacks an image, collects a snapshot that only another image held: the
// one, for example, that had the name until this one was loaded. The same again succeeds.
var LostSnapshot = regexp.MustCompile(`failed to prepare extraction snapshot .*: parent snapshot \S+ does not exist`)

// attempts is how often an image is sent whose snapshot was lost.
const attempts = 3

func (l *loading) stream(ctx context.Context, a *archive.Archive) error {
	if err := l.image.Ready(ctx, a.Blobs()); err != nil {
		return err
	}
	for n := 1; ; {
		err := l.load(ctx, func(w io.Writer) error { return a.Write(ctx, w) })
		lost := err != nil && n < attempts && LostSnapshot.MatchString(err.Error())
		switch {
		case ctx.Err() != nil || !lost && !errors.Is(err, registry.ErrMirrorFailed):
			return l.failed(err)
		case lost:
			l.log.Info("the image is sent again", "engine", l.Kind, "reason", err.Error())
			n++
		} // else from the next place
	}
}

// arrived looks for the image, and notes its ID.
func (l *loading) arrived(ctx context.Context) bool {
	for _, d := range l.digests {
		if f, err := l.inspect(ctx, string(d)); err == nil && f.is(l.digests) {
			l.id = f.ID
			return true
		}
	}
	return false
}

func (l *loading) count(has map[cas.Digest]bool) {
	for _, b := range l.image.Blobs {
		how := registry.Uploaded
		if has[b.Digest] {
			how = registry.Exists
		}
		l.did.Blobs.Add(how, b.Size)
	}
}

// tags adds the names that are not the image's.
func (l *loading) tags(ctx context.Context) error {
	for i, n := range l.names {
		if l.did.Tags[i].State == outcome.Current {
			continue
		}
		if f, err := l.inspect(ctx, n.RepoTag); err == nil && f.is(l.digests) { // it came with the archive
			continue
		}
		if err := l.tag(ctx, l.id, n.RepoTag); err != nil {
			return l.failed(err)
		}
	}
	return nil
}

// failed gives an error of the engine its code; those of the blobs have one.
func (l *loading) failed(err error) error { return l.Engine.failed("the image was not loaded", err) }

func (e *Engine) failed(what string, err error) error {
	var coded *diag.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	var gone *absent
	if errors.As(err, &gone) {
		return diag.Wrap(diag.NoLocalRegistry, gone.error, fmt.Sprintf("%s does not answer", e.Kind),
			fmt.Sprintf("start it, or see what %s info says", e.Kind))
	}
	return diag.Wrap(diag.LocalLoadFailed, err, fmt.Sprintf("%s: %s", e.Kind, what), fmt.Sprintf("see what %s info says", e.Kind))
}

// Save writes an image of the engine to a temporary file and opens it. Fails with GANTRY5016 for a name that it does not have, and with
// CONTAINER1012 where it does not answer.
func (e *Engine) Save(ctx context.Context, name string) (*archive.Reader, error) {
	f, err := e.inspect(ctx, name)
	if err != nil {
		return nil, e.failed("the image was not read", err)
	}
	if f == nil {
		if _, err := e.info(ctx); err != nil { // a program says of both that it failed
			return nil, e.failed("the image was not read", err)
		}
		return nil, diag.New(diag.ImageNotThere, fmt.Sprintf("%s has no image %s", e.Kind, name), fmt.Sprintf("%s images lists those that it has", e.Kind))
	}
	noRoom := func(err error) error {
		return diag.Wrap(diag.ArchiveUnwritable, err, "there is no room for a temporary file", "check TMPDIR and the free space")
	}
	file, err := os.CreateTemp("", "gantry-*.tar")
	if err != nil {
		return nil, noRoom(err)
	}
	to := &pipe{w: file}
	err = errors.Join(e.save(ctx, name, image.FormatOf(f.ManifestType) == image.FormatOCI, to), file.Close())
	if err != nil {
		os.Remove(file.Name())
		if to.err != nil { // and not what the engine says of a reader that went away
			err = noRoom(to.err)
		}
		return nil, e.failed("the image was not read", err)
	}
	return archive.OpenTemporary(file.Name())
}
