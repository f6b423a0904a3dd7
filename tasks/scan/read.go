package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/published"
)

// bufferSize is how much of a file is read at once, in bytes; each of GOMAXPROCS readers has one buffer.
const bufferSize = 256 << 10

// reading is one file to be read into content, whose Stat is what was listed. One that was replaced as a whole since then, as by another scan,
// is read as it is now.
type reading struct {
	path    string // in the system's form
	open    func() (fs.File, error)
	content *published.Content
	err     error
}

// errChanged says that a file changed while it was read.
var errChanged = errors.New("it changed while it was read")

// readFiles makes the content of the listed files known: from the record where a file is untouched, else by reading. A file that cannot be
// read has an err. Only a cancelled context is returned.
func (s *scanner) readFiles(ctx context.Context, list []*found) error {
	var files []*found
	var jobs []*reading
	for _, f := range list {
		if !f.file() {
			continue
		}
		was := s.was.Files[f.entry.Path]
		if digest, ok := was.Of(f.content.Stat); ok && s.fileSystems.KeepChangeTime(s.path(f.entry.Path), f.content.Stat) {
			f.content.Digest, f.content.Settled = digest, true
			continue
		}
		files = append(files, f)
		open := func() (fs.File, error) { return s.folder.Open(f.entry.Path) }
		jobs = append(jobs, &reading{path: s.path(f.entry.Path), open: open, content: &f.content})
	}
	if err := s.readAll(ctx, jobs); err != nil {
		return err
	}
	for i, f := range files {
		f.err = refused(f.entry.Path, jobs[i].err)
		f.entry.Size = f.content.Stat.Size
	}
	return nil
}

// refused gives a code to why a published file could not be read.
func refused(path string, err error) error {
	var coded *diag.Error
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.Is(err, errChanged) || errors.Is(err, fs.ErrNotExist):
		return diag.New(diag.FileChanged, fmt.Sprintf("%q of the publish folder changed while it was read", path),
			"let no other build write to the publish folder, and run again")
	}
	return layer.Unreadable(path, err)
}

// readAll reads files side by side, the largest first, so that none is left alone at the end.
func (s *scanner) readAll(ctx context.Context, jobs []*reading) error {
	s.read += len(jobs)
	queue := slices.Clone(jobs)
	slices.SortStableFunc(queue, func(a, b *reading) int { return int(min(max(b.content.Stat.Size-a.content.Stat.Size, -1), 1)) })
	var next atomic.Int64
	work := func() {
		buf := make([]byte, bufferSize)
		for {
			i := int(next.Add(1)) - 1
			if i >= len(queue) || ctx.Err() != nil {
				return
			}
			queue[i].err = queue[i].run(ctx, &s.fileSystems, buf)
		}
	}
	if workers := min(runtime.GOMAXPROCS(0), len(queue)); workers == 1 {
		work()
	} else {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(work)
		}
		wg.Wait()
	}
	return ctx.Err()
}

// run reads one file. It is settled if its Stat was the same before and after.
func (r *reading) run(ctx context.Context, systems *published.FileSystems, buf []byte) error {
	at := time.Now()
	f, err := r.open()
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := published.OfOpen(f)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := copyContext(ctx, h, f, buf)
	if err != nil {
		return err
	}
	after, err := published.OfOpen(f)
	if err != nil {
		return err
	}
	if n != before.Size || after.Size != before.Size || after.ModTime != before.ModTime {
		return errChanged
	}
	r.content.Stat = after
	r.content.Digest = cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	r.content.Settled = before == after && after.Settled(at) && systems.KeepChangeTime(r.path, after)
	return nil
}

func copyContext(ctx context.Context, w io.Writer, r io.Reader, buf []byte) (int64, error) {
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := r.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return total, werr
		}
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// openSource opens a file that is not in the publish folder.
func openSource(path string) func() (fs.File, error) {
	return func() (fs.File, error) { return os.Open(path) }
}
