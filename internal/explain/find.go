package explain

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Files of a publish.
const (
	traceName       = "trace"
	errorName       = "error.txt"
	stampDir        = "stamp"
	beforeSuffix    = ".before"
	resolveBaseName = "resolve-base.json"
	selectBaseName  = "select-base.json"
	scanName        = "scan.json"
	extraName       = "resolve-layers.json"
)

// maxDepth bounds how far below a project a folder of ours is looked for: artifacts/obj/NAME/CONFIGURATION_RID/gantry/RID has 6.
const maxDepth = 8

// find returns the folder of the newest publish: dir itself, or one below it. The index of several platforms is written last, so it
// is newer than theirs.
func find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", noPublish(dir, err)
	}
	if _, ok := published(dir); ok {
		return dir, nil
	}
	var newest string
	var when time.Time
	for _, root := range []string{filepath.Join(dir, "obj"), dir} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return skipUnreadable(path, root, err)
			}
			if path != root && skipped(root, path) {
				return fs.SkipDir
			}
			if t, ok := published(path); ok && filepath.Base(filepath.Dir(path)) == "gantry" && t.After(when) {
				newest, when = path, t
			}
			return nil
		})
		if err != nil && root == dir {
			return "", noPublish(dir, err)
		}
		if newest != "" {
			return newest, nil
		}
	}
	return "", noPublish(dir, nil)
}

// skipUnreadable leaves out folders that may not be read, unless it is the root.
func skipUnreadable(path, root string, err error) error {
	if path == root {
		return err
	}
	return nil
}

// skipped says which folders hold no obj folder of the project.
func skipped(root, path string) bool {
	switch filepath.Base(path) {
	case ".git", "node_modules", "bin", "wwwroot":
		return true
	}
	depth := 0
	for p := path; p != root && depth <= maxDepth; p = filepath.Dir(p) {
		depth++
	}
	return depth > maxDepth
}

// published says whether a publish, finished or failed, left its documents in a folder, and when.
func published(dir string) (time.Time, bool) {
	for _, name := range []string{traceName, errorName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return info.ModTime(), true
		}
	}
	return time.Time{}, false
}
