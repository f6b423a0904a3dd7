package deliver

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
)

// Taker takes blobs; *registry.Repository does.
type Taker interface {
	PushBlob(ctx context.Context, b registry.BlobSource, p registry.Progress) (registry.Outcome, error)
}

// Blob is a blob on its way. MountFrom is what to try when no better repository is known.
type Blob struct {
	registry.BlobSource
	// Shared says that other repositories of the registry may have the blob, so that it is mounted from one of which this machine
	// remembers it; and that it is remembered of the destination in its turn.
	Shared bool
}

// Sender brings blobs into one repository. It is safe for concurrent use.
type Sender struct {
	Repository Taker
	Name       registry.Name
	Records    *records.Records
	Progress   registry.Progress
	Log        *slog.Logger
}

const (
	// waitSize is the size in bytes from which it pays to wait for another process that sends the same blob.
	waitSize = 1 << 20
	// slowest is the rate, in bytes a second, at which the other's upload is taken for one that will not end.
	slowest = 1 << 20
	// maxWait bounds the wait: sending a blob twice is only slower.
	maxWait = 5 * time.Minute
)

// Send brings one blob: mounted from where it is remembered, else as PushBlob does it. Of several processes that send the same large
// blob to one registry, one does while the others wait and mount it then.
func (s Sender) Send(ctx context.Context, b Blob) (registry.Outcome, error) {
	source := b.BlobSource
	if b.Shared && source.MountFrom != "" {
		holder := s.holder(b.Digest)
		if holder == "" && b.Size >= waitSize {
			// One lock at a time, and none is held while another is waited for: who has one is sending.
			defer s.wait(ctx, b)()
			holder = s.holder(b.Digest)
		}
		if holder != "" {
			source.MountFrom = holder
		}
	}
	how, err := s.Repository.PushBlob(ctx, source, s.Progress)
	if err != nil {
		return how, err
	}
	s.Log.Debug(string(how), "digest", b.Digest, "bytes", b.Size, "repository", s.Name.String())
	if b.Shared && how != "" {
		s.Records.KeepHolder(s.Name.Registry, s.Name.Repository, b.Digest)
	}
	return how, nil
}

// holder is the repository to mount from: the destination when it is remembered itself, as that needs no rights elsewhere.
func (s Sender) holder(d cas.Digest) string {
	holders := s.Records.Holders(s.Name.Registry, d)
	switch {
	case len(holders) == 0:
		return ""
	case slices.Contains(holders, s.Name.Repository):
		return s.Name.Repository
	}
	return holders[0]
}

func (s Sender) wait(ctx context.Context, b Blob) (unlock func()) {
	ctx, stop := context.WithTimeout(ctx, min(10*time.Second+time.Duration(b.Size/slowest)*time.Second, maxWait))
	defer stop()
	return s.Records.Lock(ctx, "upload "+s.Name.Registry+" "+string(b.Digest))
}
