package scan

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"time"

	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// caseCounts says whether names that differ in case only are two.
const caseCounts = runtime.GOOS != "windows" && runtime.GOOS != "darwin"

// open finds out what is known before the walk: the record, and when the publish began.
func (s *scanner) open(dir string) {
	if s.recordPath = s.req.RecordPath; s.recordPath != "" {
		if !filepath.IsAbs(s.recordPath) {
			s.recordPath = filepath.Join(dir, s.recordPath)
		}
		var err error
		if s.was, err = published.Read(s.recordPath, s.absolute()); err != nil {
			s.log.Debug("nothing is known of earlier publishes", "stage", Stage, "reason", err.Error())
		}
	}
	if s.req.StartedPath == "" {
		return
	}
	fi, err := os.Stat(s.req.StartedPath)
	switch {
	case err != nil:
		s.log.Debug("it is not known when this publish began: no copy is compared with its source", "stage", Stage, "reason", err.Error())
	case fi.ModTime().After(time.Now().Add(published.Tick)):
		s.log.Debug("it is not known when this publish began: no copy is compared with its source", "stage", Stage, "reason", "the time is one of the future")
	default:
		s.started = fi.ModTime().UnixNano()
	}
}

func (s *scanner) absolute() string {
	abs, err := filepath.Abs(s.req.FolderPath)
	if err != nil {
		return s.req.FolderPath
	}
	return abs
}

// list is the file list, and the number of files in it.
func (s *scanner) list() ([]tasks.FileEntry, int) {
	count := 0
	list := make([]tasks.FileEntry, 0, len(s.found))
	for _, f := range s.found {
		if f.left {
			continue
		}
		e := f.entry
		if f.file() {
			count++
			e.Digest, e.Origin = f.content.Digest, tasks.OriginApp
			if item := s.items.origin(e.Path); item != nil {
				e.Origin, e.OriginName, e.OriginVersion = s.items.kind(item), item.OriginName, item.OriginVersion
			}
		}
		list = append(list, e)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list, count
}

// remember writes what this scan saw. That it cannot be written costs the next scan time, and fails nothing.
func (s *scanner) remember() {
	var left []string
	now := published.Record{Files: make(map[string]published.File, len(s.found))}
	for _, f := range s.found {
		was := s.was.Files[f.entry.Path]
		switch {
		case f.own:
		case f.left && f.folder():
			now.Emptied = append(now.Emptied, f.entry.Path)
		case f.left:
			left = append(left, f.entry.Path)
			now.Files[f.entry.Path] = was
		case f.file():
			now.Files[f.entry.Path] = s.fileNow(f, was)
		}
	}
	s.tellLeft(left)
	slices.Sort(now.Emptied) // the walk goes by names, and a/b comes after a-b
	if s.recordPath == "" || now.Equal(&s.was) {
		return
	}
	if err := published.Write(s.recordPath, s.absolute(), now); err != nil {
		s.log.Info("the record of the publish folder cannot be written: the next publish reads all files again", "stage", Stage, "reason", err.Error())
	}
}

// fileNow is what is known of a file now. A scan that compared no sources, or that was told of no items, keeps what the record said of them,
// while it is about this content.
func (s *scanner) fileNow(f *found, was published.File) published.File {
	_, named := s.items.names(f.entry.Path)
	now := published.File{Content: f.content, Source: f.source, Named: named}
	if len(s.req.Items) == 0 && was.Stat == f.content.Stat {
		now.Named = was.Named
	}
	if s.started == 0 && was.Digest == f.content.Digest {
		now.Source = was.Source
	}
	return now
}
