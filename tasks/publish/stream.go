package publish

import (
	"context"
	"io"
	"maps"
	"sync"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/push"
)

// stream sends each layer as soon as it is finished, while others are being made. The registry client bounds how many are on their way
// at once, and each is read from the content store as it is sent. push waits for what it needs of them.
//
// A layer that the destination has by an image that it names is not sent. One that is sent for nothing, as it turns out that the image
// is there, does no harm: a blob that no manifest names is nobody's.
type stream struct {
	build  *build
	ctx    context.Context // of the uploads, for which no call waits
	stop   context.CancelFunc
	sender deliver.Sender
	oracle oracle.Oracle
	know   func() (known, error)
	group  sync.WaitGroup

	mu   sync.Mutex
	sent map[cas.Digest]push.Sent
}

// known is what the destination says before the image is known.
type known struct {
	answers map[string]registry.Descriptor
	held    map[cas.Digest]bool
}

func (b *build) newStream(ctx context.Context) *stream {
	repo := b.env.Registry.Repository(b.name, registry.ModePush)
	s := &stream{
		build: b, sent: map[cas.Digest]push.Sent{},
		sender: deliver.Sender{Repository: repo, Name: b.name, Records: records.Of(b.env.Store), Progress: b.env.Progress, Log: b.env.Log},
		oracle: oracle.Oracle{Repository: repo, Name: b.name, Log: b.env.Log, Parallel: registry.DefaultParallel},
	}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.know = sync.OnceValues(s.ask)
	return s
}

// made begins the upload of a layer that the content store has. It is called by several goroutines at once, and does not wait.
func (s *stream) made(l tasks.Layer) {
	if _, err := s.build.env.Store.Size(l.Descriptor.Digest); err != nil {
		return // taken by its key from an image that has it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := l.Descriptor.Digest
	if s.sent[d] != nil {
		return
	}
	var how registry.Outcome
	var err error
	done := make(chan struct{})
	s.sent[d] = func(ctx context.Context) (registry.Outcome, error) {
		select {
		case <-done:
			return how, err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	s.group.Go(func() {
		defer close(done)
		how, err = s.send(l.Descriptor)
	})
}

func (s *stream) send(d tasks.Descriptor) (registry.Outcome, error) {
	there, err := s.know()
	if err != nil {
		return "", err
	}
	if there.held[d.Digest] {
		return registry.Exists, nil
	}
	return s.sender.Send(s.ctx, deliver.Blob{Shared: true, BlobSource: registry.BlobSource{
		Digest: d.Digest, Size: d.Size, MountFrom: s.build.name.Repository,
		Open: func(context.Context) (io.ReadCloser, error) { return s.build.env.Store.Open(d.Digest) },
	}})
}

// ask finds out what the destination has, once and only when there is something to send. What recall asked is not asked again.
func (s *stream) ask() (known, error) {
	k := known{answers: map[string]registry.Descriptor{}}
	if s.build.NoSkip {
		return k, nil
	}
	var digests []cas.Digest
	var doc tasks.Recalled
	if _, err := tasks.ReadResponse(s.build.file("recall"), "recall", &doc); err == nil {
		s.oracle.Answers = push.Answers(&doc, s.build.env.BuildID, s.build.name)
		if doc.Manifest != nil && doc.Build == s.build.env.BuildID && registry.NewName(doc.Registry, doc.Repository) == s.build.name {
			digests = append(digests, doc.Manifest.Digest)
		}
	}
	tags, err := s.oracle.Tags(s.ctx, deliver.Asked(s.build.Tags, s.build.CacheTag))
	if err != nil {
		return k, err
	}
	maps.Copy(k.answers, s.oracle.Answers)
	for _, t := range tags {
		k.answers[t.Name] = registry.Descriptor{Digest: t.Digest, MediaType: t.MediaType}
		digests = append(digests, t.Digest)
	}
	if !s.build.verifiesBlobs() {
		k.held = oracle.Held(s.build.env.Store, digests...)
	}
	return k, nil
}

// handOver tells a push what is on its way, and what was asked.
func (s *stream) handOver(d *push.Deps) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		return
	}
	d.Sent = maps.Clone(s.sent)
	if there, err := s.know(); err == nil {
		d.Answers = there.answers
	}
}

// end gives up what is still on its way, and waits until nothing is.
func (s *stream) end() {
	s.stop()
	s.group.Wait()
}
