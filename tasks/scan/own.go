package scan

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/archive"
	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/layout"
)

// ownOutputs are Gantry's own outputs in the publish folder: relative to it, with slashes, folded where case does not count. An image that
// held the archive of the one before it would grow with each publish.
type ownOutputs []string

// ownOutputs finds those that the request names and that lie in the folder, through symbolic links too.
func (s *scanner) ownOutputs() ownOutputs {
	named := s.req.OwnOutputPaths
	if s.req.ArchivePath != "" {
		named = append(named[:len(named):len(named)], archive.Path(s.req.ArchivePath, s.req.Repository))
	}
	if len(named) == 0 {
		return nil
	}
	var own ownOutputs
	folder := s.absolute()
	real := resolved(folder)
	for _, p := range named {
		parent := filepath.Join(resolved(filepath.Dir(p)), filepath.Base(p))
		for _, in := range [][2]string{{folder, p}, {real, parent}, {real, resolved(p)}} {
			own = own.add(in[0], in[1])
		}
	}
	return own
}

// add adds p when it lies in folder. A layout may be the folder itself: then only what layouts have is ours. A folder around the publish folder
// says nothing of the files in it.
func (o ownOutputs) add(folder, p string) ownOutputs {
	rel, err := filepath.Rel(folder, p)
	switch {
	case err != nil || !filepath.IsLocal(rel):
		return o
	case rel == ".":
		return append(o, layout.Names()...)
	}
	return append(o, ownKey(rel))
}

// resolved is p without symbolic links, as far as it is there.
func resolved(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	if parent := filepath.Dir(p); parent != p {
		return filepath.Join(resolved(parent), filepath.Base(p))
	}
	return p
}

// ownKey has the form of ownOutputs.
func ownKey(rel string) string {
	rel = filepath.ToSlash(rel)
	if !caseCounts {
		rel = foldCase(rel)
	}
	return rel
}

// has says whether one of the paths is an output, lies below one, or is a file that stands beside one while it is written.
func (o ownOutputs) has(rels ...string) bool {
	for _, rel := range rels {
		if len(o) == 0 {
			return false
		}
		rel = ownKey(rel)
		beside := ""
		if of, ok := writing(path.Base(rel)); ok {
			beside = path.Join(path.Dir(rel), of)
		}
		for _, own := range o {
			if rel == own || beside == own || strings.HasPrefix(rel, own+"/") {
				return true
			}
		}
	}
	return false
}

// writing says which file one of this name stands beside: the lock of the list of images, and what is renamed to the file when it is whole, or
// was left by a publish that was killed.
func writing(name string) (of string, ok bool) {
	if of, ok := strings.CutSuffix(name, ".lock"); ok {
		return strings.CutPrefix(of, ".")
	}
	return atomicfile.TemporaryOf(name)
}

// folder says whether one of the paths is a folder of outputs or around one. Such a folder is ours while it holds nothing else, so that the list
// is the same before the output is there and after.
func (o ownOutputs) folder(rels ...string) bool {
	for _, rel := range rels {
		if len(o) == 0 {
			return false
		}
		for _, own := range o {
			if strings.HasPrefix(own, ownKey(rel)+"/") {
				return true
			}
		}
	}
	return o.has(rels...)
}

// leaveOwn says whether the file at p is Gantry's own output and no published file; real is where p is without links.
func (s *scanner) leaveOwn(p, real string) bool {
	if !s.own.has(p, real) {
		return false
	}
	_, named := s.items.names(p)
	if named || !caseCounts && s.items.origin(p) != nil {
		return false
	}
	s.ownLeft = append(s.ownLeft, p)
	return true
}

// tellOwn says that outputs are left out.
func (s *scanner) tellOwn() {
	if len(s.ownLeft) > 0 {
		s.log.Info("Gantry's own output in the publish folder is left out of the image", "stage", Stage, "files", len(s.ownLeft), "first", s.ownLeft[0])
	}
}
