package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

// replaceStale compares the copies with their sources and copies again those that fell behind. A copy that somebody changed on purpose, as
// a target that signs or obfuscates what was copied, is told from one that the SDK did not copy by three signs: it was written in this
// publish; the record says that this content stood for this source before; or, where nothing is recorded, it was written where it is, as
// no copy of the SDK is. It is done after all files are known to be usable.
func (s *scanner) replaceStale(ctx context.Context) error {
	if s.started == 0 {
		return nil
	}
	var unequal []*found
	var jobs []*reading
	for _, f := range s.found {
		if source := s.sourceOf(f); source != "" && !s.looksEqual(f, source) {
			unequal = append(unequal, f)
			jobs = append(jobs, &reading{path: source, open: openSource(source), content: &f.source})
		}
	}
	if err := s.readAll(ctx, s.unknown(unequal, jobs)); err != nil {
		return err
	}
	replaced := false
	for i, f := range unequal {
		job := jobs[i]
		switch {
		case errors.Is(job.err, errChanged):
			return diag.New(diag.FileChanged, fmt.Sprintf("%s, which %q of the publish folder is a copy of, changed while it was read", job.path, f.entry.Path),
				"let no other build run in the project, and run again")
		case job.err != nil:
			f.source = published.Content{}
			s.keep(f, job.path, "the source cannot be read: "+job.err.Error())
		case f.source.Digest != f.content.Digest:
			if why := s.meant(f); why != "" {
				s.keep(f, job.path, why)
				continue
			}
			if err := s.replace(ctx, f, job.path); err != nil {
				return err
			}
			replaced = true
		}
	}
	if !replaced {
		return nil
	}
	return s.readLinked(ctx)
}

// keep says why a copy stays as it is.
func (s *scanner) keep(f *found, source, why string) {
	s.log.Debug("a published file is kept as it is", "stage", Stage, "file", f.entry.Path, "source", source, "reason", why)
}

// sourceOf is the file that f has to be a copy of; empty when there is none, or none that can be told.
func (s *scanner) sourceOf(f *found) string {
	if !f.file() {
		return ""
	}
	item, ok := s.items.names(f.entry.Path)
	if !ok || item.SourcePath == "" {
		return ""
	}
	switch {
	case item.several:
		s.keep(f, item.SourcePath, "several items name it, with different sources")
	case f.linked:
		s.keep(f, item.SourcePath, "it is reached through a symbolic link")
	case s.req.transformed(f.entry.Path):
		s.keep(f, item.SourcePath, "it is transformed")
	default:
		return item.SourcePath
	}
	return ""
}

// looksEqual looks at the source and says whether the copy is as good as it, or nothing can be said: there is no source; it is the published
// file itself; it is untouched, and the record says what it is; or the copy is plainly one of this publish. It sets f.source, without a digest
// where the source has to be read.
func (s *scanner) looksEqual(f *found, source string) bool {
	fi, err := os.Lstat(source)
	if err != nil || !fi.Mode().IsRegular() {
		why := "the source is no file"
		if err != nil {
			why = "the source cannot be looked at: " + err.Error()
		}
		s.keep(f, source, why)
		return true
	}
	stat := published.Of(source, fi)
	was := s.was.Files[f.entry.Path]
	known := s.fileSystems.KeepChangeTime(source, stat)
	digest, untouched := was.Source.Of(stat)
	switch {
	case stat.SameFile(f.content.Stat):
		f.source = f.content
		return true
	case known && untouched:
		f.source = was.Source
		return digest == f.content.Digest
	case s.verbatim(f, stat):
		copied := time.Unix(0, f.content.Stat.ChangeTime)
		f.source = published.Content{Stat: stat, Digest: f.content.Digest, Settled: known && stat.Settled(copied)}
		return true
	}
	f.source.Stat = stat
	return false
}

// verbatim says whether the published file is what the SDK's copy of the source in this publish leaves: of the same size and time to the
// nanosecond, and made after the source was last changed. Then the source is not read.
func (s *scanner) verbatim(f *found, source published.Stat) bool {
	copied := f.content.Stat
	return copied.Size == source.Size && copied.ModTime == source.ModTime && source.ChangeTime != 0 && source.ChangeTime <= copied.ChangeTime &&
		s.writtenNow(f)
}

// unknown are those of jobs whose result is not known from the record.
func (s *scanner) unknown(files []*found, jobs []*reading) []*reading {
	var out []*reading
	for i, f := range files {
		if f.source.Digest == "" {
			out = append(out, jobs[i])
		}
	}
	return out
}

// meant says why f may differ from its source; empty when it is stale.
func (s *scanner) meant(f *found) string {
	was, known := s.was.Files[f.entry.Path]
	switch {
	case s.writtenNow(f):
		return "it was written in this publish"
	case known && was.Digest == f.content.Digest && was.Source.Digest == f.source.Digest:
		return "it differed from this source before"
	case !known && f.content.Stat.WrittenInPlace() && s.fileSystems.KeepChangeTime(s.path(f.entry.Path), f.content.Stat):
		return "nothing is known of earlier publishes, and no copy leaves such times: something wrote it after it was copied"
	}
	return ""
}

// writtenNow says whether the content of f was written in this publish. A change time of now is not enough, as a chmod sets it too: a copy that
// was true to its source before and has the same content still, in the same file, of the same time, is that old copy.
func (s *scanner) writtenNow(f *found) bool {
	stat := f.content.Stat
	if !stat.Since(s.started) || max(stat.ChangeTime, stat.ModTime) > time.Now().Add(published.Tick).UnixNano() {
		return false // or its time is one of the future, which tells nothing
	}
	was, known := s.was.Files[f.entry.Path]
	verbatim := known && was.Digest == f.content.Digest && was.Source.Digest == was.Digest
	was.Stat.ChangeTime = stat.ChangeTime
	return !verbatim || was.Stat != stat
}

// readLinked reads what symbolic links lead to once more: it may be a copy that was replaced.
func (s *scanner) readLinked(ctx context.Context) error {
	var linked []*found
	for _, f := range s.found {
		if !f.file() || !f.linked {
			continue
		}
		fi, err := os.Stat(s.path(f.entry.Path))
		if err != nil {
			return refused(f.entry.Path, fs.ErrNotExist)
		}
		f.content = published.Content{Stat: published.Of(s.path(f.entry.Path), fi)}
		f.entry.Size = fi.Size()
		linked = append(linked, f)
	}
	if err := s.readFiles(ctx, linked); err != nil {
		return err
	}
	return s.firstError()
}
