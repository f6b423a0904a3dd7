package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

// unfinishedPrefix begins the name of a copy that is being made. Such a file is in no list, as another scan may be making it right now.
const unfinishedPrefix = ".gantry-copy-"

// abandoned is the age at which such a file is that of a process that was killed.
const abandoned = time.Hour

// unfinished says whether the file at p is a copy that is being made; one that was abandoned is deleted.
func (s *scanner) unfinished(p string, fi fs.FileInfo) bool {
	if !strings.HasPrefix(path.Base(p), unfinishedPrefix) || !fi.Mode().IsRegular() {
		return false
	}
	if time.Since(fi.ModTime()) > abandoned {
		os.Remove(s.path(p)) // else the next scan tries again
	}
	return true
}

// replace copies the source over f as the SDK's copy would have it, with time and mode, and as a whole.
func (s *scanner) replace(ctx context.Context, f *found, source string) error {
	dest := s.path(f.entry.Path)
	fi, digest, err := copyFile(ctx, source, dest)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return diag.Wrap(diag.PublishedCopyStale, err, fmt.Sprintf("%q of the publish folder is not what %s is now, and copying it again failed", f.entry.Path, source),
			"make the publish folder writable, or delete it and publish again; if the file differs on purpose, name it in GantryTransformedFiles")
	}
	if digest != f.source.Digest {
		return diag.New(diag.FileChanged, fmt.Sprintf("%s changed while it was copied to the publish folder", source), "let no other build run in the project, and run again")
	}
	f.content = published.Content{Stat: published.Of(dest, fi), Digest: digest}
	f.entry.Size = fi.Size()
	s.log.Info(diag.MessageLine(diag.PublishedCopyStale, fmt.Sprintf("%q of the publish folder was not what %s is now, and was copied again; "+
		"if it differs on purpose, name it in GantryTransformedFiles", f.entry.Path, source)))
	return nil
}

// copyFile puts a copy of source at dest, with its time and mode, by a temporary file beside it. It returns what dest is then, and the digest
// of what was copied.
func copyFile(ctx context.Context, source, dest string) (fs.FileInfo, cas.Digest, error) {
	in, err := os.Open(source)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return nil, "", err
	}
	out, err := os.CreateTemp(filepath.Dir(dest), unfinishedPrefix+"*")
	if err != nil {
		return nil, "", err
	}
	defer os.Remove(out.Name()) // after the rename there is nothing to remove
	h := sha256.New()
	_, err = copyContext(ctx, io.MultiWriter(h, out), in, make([]byte, bufferSize))
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(out.Name(), fi.Mode().Perm())
	}
	if err == nil {
		err = os.Chtimes(out.Name(), fi.ModTime(), fi.ModTime())
	}
	if err == nil {
		err = os.Rename(out.Name(), dest)
	}
	if err != nil {
		return nil, "", err
	}
	now, err := os.Lstat(dest)
	return now, cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), err
}
