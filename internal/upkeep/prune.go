package upkeep

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/records"
)

const (
	// inUse is how long what was used last counts as in use, also by a build whose next process has not started yet: a use is noted
	// to the hour, and an hour more is for the build.
	inUse = 2 * time.Hour
	// lockAge is how long a lock is kept that nobody has.
	lockAge = day
)

// Pruned is what a prune removed, or would have.
type Pruned struct {
	Blobs Files `json:"blobs"`
	// Ingest are files that a process left behind that was killed.
	Ingest  Files `json:"ingest"`
	Records int   `json:"records"`
	Locks   int   `json:"locks"`
	// Kept are the blobs that are left.
	Kept Files `json:"kept"`
	// Busy says, for each folder that was left as it is, why.
	Busy []string `json:"busy,omitempty"`
}

// Prune removes from a store what goes beyond the limits, the least recently used first, and what nobody needs any more. It waits until
// wait ends for those who use the store. With dry it removes nothing and needs not be alone. The error is that of ctx.
func Prune(ctx, wait context.Context, store *cas.Store, limits Limits, dry bool) (Pruned, error) {
	var p Pruned
	for _, dir := range store.Dirs() {
		if _, err := os.Stat(dir); err != nil {
			continue // nothing to prune, and nothing to make
		}
		release := func() {}
		if !dry {
			var err error
			if release, err = cas.Alone(wait, dir); err != nil {
				p.Busy = append(p.Busy, dir+" is left as it is: "+err.Error())
				continue
			}
		}
		err := (&sweep{Pruned: &p, dir: dir, limits: limits, dry: dry, now: time.Now()}).run(ctx)
		release()
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// sweep prunes one folder. It may run beside processes that do not say that they use it: each of them may miss what it looks for, and
// none finds half of it.
type sweep struct {
	*Pruned
	dir    string
	limits Limits
	dry    bool
	now    time.Time
}

func (s *sweep) run(ctx context.Context) error {
	has, err := s.blobs(ctx)
	if err != nil {
		return err
	}
	for _, f := range filesIn(filepath.Join(s.dir, cas.IngestDir)) {
		if s.old(f, inUse) && s.remove(f) {
			s.Ingest.Files++
			s.Ingest.Bytes += f.size
		}
	}
	if err := s.records(ctx, has); err != nil {
		return err
	}
	s.locks()
	s.notes()
	return ctx.Err()
}

// blobs prunes the blobs and returns those that are left.
func (s *sweep) blobs(ctx context.Context) (has map[cas.Digest]bool, err error) {
	all := blobsIn(s.dir)
	slices.SortStableFunc(all, func(a, b blob) int { return a.used.Compare(b.used) })
	var total int64
	has = make(map[cas.Digest]bool, len(all))
	for _, b := range all {
		total += b.size
		has[b.digest] = true
	}
	for _, b := range all {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if beyond := total > s.limits.MaxSize || s.old(b.file, s.limits.MaxAge); beyond && s.old(b.file, inUse) && s.remove(b.file) {
			total -= b.size
			delete(has, b.digest)
			s.Blobs.Files++
			s.Blobs.Bytes += b.size
			continue
		}
		s.Kept.Files++
		s.Kept.Bytes += b.size
	}
	return has, nil
}

func (s *sweep) old(f file, age time.Duration) bool { return s.now.Sub(f.used) >= age }

// remove removes a file that is as it was when it was listed: one that was used meanwhile stays.
func (s *sweep) remove(f file) bool {
	if s.dry {
		return true
	}
	fi, err := os.Lstat(f.path)
	return err == nil && fi.ModTime().Equal(f.used) && os.Remove(f.path) == nil
}

// records removes those whose blob is gone, those that are none, and what was left half written. What is known of the blobs of
// registries is kept as long as builds use it.
func (s *sweep) records(ctx context.Context, has map[cas.Digest]bool) error {
	for _, f := range recordsIn(s.dir) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !s.old(f, inUse) { // its blob may be on the way
			continue
		}
		if !isHalf(f.path) && s.keeps(f, has) {
			continue
		}
		if s.remove(f) {
			s.Records++
		}
	}
	return nil
}

// keeps says whether a record is still of use. One that cannot be read stays.
func (s *sweep) keeps(f file, has map[cas.Digest]bool) bool {
	if filepath.Base(filepath.Dir(f.path)) == records.BlobsKind {
		return !s.old(f, max(s.limits.MaxAge, inUse))
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return true
	}
	d, ok := records.Blob(data)
	return ok && has[d]
}

// locks removes locks that nobody has. A process that waits for one at this moment gets one that nobody else sees, and does work twice.
func (s *sweep) locks() {
	for _, f := range filesIn(filepath.Join(s.dir, cas.LocksDir)) {
		if !strings.HasSuffix(f.path, ".lock") || !s.old(f, lockAge) {
			continue
		}
		lock := flock.New(f.path)
		if ok, err := lock.TryLock(); !ok || err != nil {
			continue
		}
		if s.remove(f) {
			s.Locks++
		}
		_ = lock.Close()
	}
}

// publishedDir holds what publishes without a project remember of their folders. They are of this machine, and about no blob.
const publishedDir = "published"

// notes removes what is remembered of folders that nobody publishes any more, and what a folder for temporary files notes of builds and
// of damaged blobs of the store that it stands in for.
func (s *sweep) notes() {
	for _, f := range filesIn(filepath.Join(s.dir, publishedDir)) {
		if s.old(f, max(s.limits.MaxAge, inUse)) {
			s.remove(f)
		}
	}
	for _, f := range append(filesIn(s.dir), filesIn(filepath.Join(s.dir, "damaged"))...) {
		name := filepath.Base(f.path)
		if (strings.HasPrefix(name, "said-") || len(name) == 64) && s.old(f, lockAge) {
			s.remove(f)
		}
	}
}
