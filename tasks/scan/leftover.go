package scan

import (
	"fmt"
	"path"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/published"
)

// leftover says whether the file at p is one that an earlier publish copied for an item and that no item names now. Whatever was
// written since is somebody's own and no leftover, as is a file that no item ever named: a target of the user put it there. Nothing is
// known of leftovers where the request has no items or the file system tells too little of a file.
func (s *scanner) leftover(p string, stat published.Stat) bool {
	was, known := s.was.Files[p]
	if !known || !was.Named || was.Stat != stat || len(s.req.Items) == 0 {
		return false
	}
	_, named := s.items.names(p)
	return !named && (caseCounts || s.items.origin(p) == nil) && s.fileSystems.KeepChangeTime(s.path(p), stat)
}

// leaveOut marks what is left out: leftovers; the folders that hold nothing else; and those that held files of the project and are empty now, as
// the SDK deletes such files and not their folders. A clean publish would have made none of them. Folders that are there for Gantry's own outputs
// are left out too. Other empty folders are somebody's own.
func (s *scanner) leaveOut() {
	for _, f := range s.found {
		f.left = f.file() && s.leftover(f.entry.Path, f.content.Stat)
	}
	type content struct{ kept, left int }
	folders := map[string]content{}
	emptied := s.hadFiles()
	for i := len(s.found) - 1; i >= 0; i-- { // what is in a folder comes after it
		f := s.found[i]
		switch own := folders[f.entry.Path]; {
		case !f.folder() || own.kept > 0:
			f.own = false
		case own.left > 0 || emptied[f.entry.Path]:
			f.left, f.own = true, false
			s.log.Debug("a folder is left out: it held files of an earlier publish", "stage", Stage, "file", f.entry.Path)
		}
		around := path.Dir(f.entry.Path)
		c := folders[around]
		switch {
		case f.own: // what is around it is there for it too, or somebody's own
			f.left = true
		case f.left:
			c.left++
		default:
			c.kept++
		}
		folders[around] = c
	}
}

// hadFiles are the folders that held a file that an item named, at any depth.
func (s *scanner) hadFiles() map[string]bool {
	had := map[string]bool{}
	if len(s.req.Items) == 0 {
		return had
	}
	for p, was := range s.was.Files {
		for dir := path.Dir(p); was.Named && dir != "." && !had[dir]; dir = path.Dir(dir) {
			had[dir] = true
		}
	}
	for _, dir := range s.was.Emptied {
		had[dir] = true
	}
	return had
}

// maxTold bounds the leftovers that are told of one by one.
const maxTold = 5

// tellLeft says what is left out, and what to do.
func (s *scanner) tellLeft(paths []string) {
	for i, p := range paths {
		if i == maxTold {
			s.log.Info(diag.MessageLine(diag.PublishedFileLeft, fmt.Sprintf("%d more files of earlier publishes are left out of the image", len(paths)-i)))
			return
		}
		s.log.Info(diag.MessageLine(diag.PublishedFileLeft, fmt.Sprintf("%q is left out of the image: an earlier publish put it into the publish folder, "+
			"and the project does not name it now; delete it, or give it an item with CopyToPublishDirectory if it belongs there", p)))
	}
}
