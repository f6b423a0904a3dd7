package buildcontext

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

// bufferSize is how much of a file is read at once, in bytes.
const bufferSize = 256 << 10

// Store reads files, each once, and remembers what it read. It is safe for concurrent use, and made by NewStore.
type Store struct {
	memoPath string
	readers  chan []byte
	systems  published.FileSystems

	mu      sync.Mutex
	memo    map[string]published.Content // by path
	seen    map[string]published.Content
	files   map[string]*file
	inodes  map[published.Stat]*file
	changed bool
	reads   int
}

// file is one that is read, or was.
type file struct {
	once    sync.Once
	content published.Content
	err     error
}

// NewStore returns a Store that knows what the memo at path says: see Save. Without a path it remembers nothing. A memo that cannot be read is
// none.
func NewStore(path string) *Store {
	s := &Store{
		memoPath: path, readers: make(chan []byte, runtime.GOMAXPROCS(0)), memo: map[string]published.Content{},
		seen: map[string]published.Content{}, files: map[string]*file{}, inodes: map[published.Stat]*file{},
	}
	for range cap(s.readers) {
		s.readers <- nil // a buffer is made when a reader needs it
	}
	if path != "" {
		if data, err := os.ReadFile(path); err == nil {
			if memo, err := parseMemo(data); err == nil {
				s.memo = memo
			}
		}
	}
	return s
}

// Reads is how many files were opened.
func (s *Store) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// read returns the digests of the regular files among the nodes, and empty ones for others.
func (s *Store) read(ctx context.Context, c *Context, nodes []*node) ([]cas.Digest, error) {
	digests := make([]cas.Digest, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		if !n.mode.IsRegular() {
			continue
		}
		path := c.system(n.path)
		f, known := s.file(path, n.stat)
		if known {
			digests[i] = f.content.Digest
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		buf := <-s.readers // at most so many at once, whatever asks
		wg.Go(func() {
			defer func() { s.readers <- buf }()
			if buf == nil {
				buf = make([]byte, bufferSize)
			}
			f.once.Do(func() { s.hash(ctx, f, path, n.stat, buf) })
			s.remember(path, f)
			digests[i], errs[i] = f.content.Digest, f.err
		})
	}
	wg.Wait()
	return digests, errors.Join(errs...)
}

// file returns the file at a path, and whether its content is known. Two paths of one inode are one file.
func (s *Store) file(path string, stat published.Stat) (*file, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[path]; f != nil {
		return f, false
	}
	if was, ok := s.memo[path]; ok {
		if _, ok := was.Of(stat); ok && s.systems.KeepChangeTime(path, stat) {
			s.seen[path] = was
			return &file{content: was}, true
		}
	}
	f := s.inodes[stat]
	if f == nil {
		f = &file{}
		if stat.Inode != 0 && stat.ChangeTime != 0 {
			s.inodes[stat] = f
		}
	}
	s.files[path] = f
	return f, false
}

// hash reads a file.
func (s *Store) hash(ctx context.Context, f *file, path string, listed published.Stat, buf []byte) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	at := time.Now()
	stat, digest, err := hashFile(ctx, path, buf)
	if err == nil && (stat.Size != listed.Size || stat.ModTime != listed.ModTime) {
		err = errChanged
	}
	if ctx.Err() != nil {
		f.err = ctx.Err() // no fault of the file
		return
	}
	if err != nil {
		f.err = diag.Wrap(diag.UnreadableContext, err, "build context: "+path, "check its rights, and let no other build write to it")
		return
	}
	f.content = published.Content{Stat: stat, Digest: digest, Settled: stat.Settled(at) && s.systems.KeepChangeTime(path, stat)}
}

// remember keeps what is known of a file for the next run, by each path that leads to it.
func (s *Store) remember(path string, f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[path]; f.content.Settled && !ok {
		s.seen[path], s.changed = f.content, true
	}
}

var errChanged = errors.New("it changed while it was read")

func hashFile(ctx context.Context, path string, buf []byte) (published.Stat, cas.Digest, error) {
	in, err := os.Open(path)
	if err != nil {
		return published.Stat{}, "", err
	}
	defer in.Close()
	before, err := published.OfOpen(in)
	if err != nil {
		return before, "", err
	}
	h := sha256.New()
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return before, "", err
		}
		k, err := in.Read(buf)
		h.Write(buf[:k])
		n += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return before, "", err
		}
	}
	after, err := published.OfOpen(in)
	if err == nil && (before != after || n != after.Size) {
		err = errChanged
	}
	return after, cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), err
}
