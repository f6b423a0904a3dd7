package resolvelayers

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/published"
)

// fileRecord remembers the digests of files by what the file system says of them, as scan's record does. Its methods may be called side
// by side.
type fileRecord struct {
	path    string // empty: nothing is remembered
	systems published.FileSystems

	mu  sync.Mutex
	was published.Record
	now published.Record
}

var (
	errChanged = errors.New("it changed while it was read")
	errNoFile  = errors.New("it is no regular file")
)

// everywhere stands for the folder of a record whose files may be anywhere.
const everywhere = "/"

func openFileRecord(d Deps, req *Request) *fileRecord {
	f := &fileRecord{path: req.RecordPath, now: published.Record{Files: map[string]published.File{}}}
	if f.path == "" {
		return f
	}
	if !filepath.IsAbs(f.path) {
		f.path = filepath.Join(d.OutputDir, f.path)
	}
	var err error
	if f.was, err = published.Read(f.path, everywhere); err != nil {
		d.Log.Debug("nothing is known of the files of layers", "stage", Stage, "reason", err.Error())
	}
	return f
}

// key is a file's path as the record has it.
func key(path string) string { return strings.TrimLeft(filepath.ToSlash(path), "/") }

// stat is what the file system says of a regular file, links followed.
func (f *fileRecord) stat(path string) (published.Stat, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return published.Stat{}, err
	}
	if !fi.Mode().IsRegular() {
		return published.Stat{}, errNoFile
	}
	return published.Of(path, fi), nil
}

// of is the digest of a file that is untouched since it was read.
func (f *fileRecord) of(path string, stat published.Stat) (cas.Digest, bool) {
	was := f.was.Files[key(path)]
	d, ok := was.Of(stat)
	if !ok || !f.systems.KeepChangeTime(path, stat) {
		return "", false
	}
	f.note(path, was.Content)
	return d, true
}

func (f *fileRecord) note(path string, c published.Content) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fs.ValidPath(key(path)) {
		f.now.Files[key(path)] = published.File{Content: c}
	}
}

// read lets digest read a file and remembers what it returns. Errors are those of digest, of the file system, and errChanged.
func (f *fileRecord) read(path string, digest func(fs.File) (cas.Digest, error)) error {
	at := time.Now()
	file, err := openFile(path)
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := published.OfOpen(file)
	if err != nil {
		return err
	}
	d, err := digest(file)
	if err != nil {
		return err
	}
	after, err := published.OfOpen(file)
	if err != nil {
		return err
	}
	if after.Size != before.Size || after.ModTime != before.ModTime {
		return errChanged
	}
	settled := before == after && after.Settled(at) && f.systems.KeepChangeTime(path, after)
	f.note(path, published.Content{Stat: after, Digest: d, Settled: settled})
	return nil
}

// keep writes the record. That it cannot be written costs the next publish time, and fails nothing.
func (f *fileRecord) keep(log *slog.Logger) {
	if f.path == "" || maps.Equal(f.was.Files, f.now.Files) {
		return
	}
	if err := published.Write(f.path, everywhere, f.now); err != nil {
		log.Info("the record of the files of layers cannot be written: the next publish reads all again", "stage", Stage, "reason", err.Error())
	}
}
