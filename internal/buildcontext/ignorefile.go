package buildcontext

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
)

const (
	dockerIgnore    = ".dockerignore"
	containerIgnore = ".containerignore"
	// maxIgnoreBytes is the largest ignore file that BuildKit reads (frontend/dockerui/readfile.go).
	maxIgnoreBytes = 16 << 20
)

// OwnIgnore says whether a Dockerfile has an ignore file beside it that is for it alone.
func OwnIgnore(dockerfile string) bool {
	return isThere(ownIgnore(dockerfile)) || isThere(dockerfile+containerIgnore)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil || !os.IsNotExist(err)
}

// ownIgnore is where the ignore file of a Dockerfile is, if it has one. Where there is a dockerfile and no Dockerfile, buildx takes that of the
// other name (build/opt.go, handleLowercaseDockerfile).
func ownIgnore(dockerfile string) string {
	if dir, base := filepath.Split(dockerfile); base == "Dockerfile" {
		lower := dir + "dockerfile"
		if (isThere(lower+dockerIgnore) || isThere(dockerfile+dockerIgnore)) && !isThere(dockerfile) && isThere(lower) {
			return lower + dockerIgnore
		}
	}
	return dockerfile + dockerIgnore
}

// readIgnore reads the ignore file of the Dockerfile, or else the context's .dockerignore: never both. It returns nil when there is none or when
// it has no patterns.
//
// Where builders differ in what they read, nothing is ignored, and doubts are entries that stand for what is in the files, so that a change of
// one shows. These are links that lead out of the folder, which BuildKit does not follow; an empty file of a Dockerfile, which a frontend behind
// "# syntax=" takes for none, as it gets no bytes; and files called .containerignore, which buildah reads first and BuildKit never.
func readIgnore(dir, dockerfile string) (*ignore, []Entry, error) {
	var found []ignoreFile
	if dockerfile != "" {
		own, err := readIgnoreFile(ownIgnore(dockerfile))
		if err != nil {
			return nil, nil, err
		}
		if own.there && own.sure && len(own.data) > 0 {
			return parsed(own)
		}
		found = append(found, own)
	}
	common, err := readIgnoreFile(filepath.Join(dir, dockerIgnore))
	if err != nil {
		return nil, nil, err
	}
	others := []string{filepath.Join(dir, containerIgnore)}
	if dockerfile != "" {
		others = append(others, dockerfile+containerIgnore)
	}
	for _, name := range others {
		other, err := readIgnoreFile(name)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, other)
	}
	found = slices.DeleteFunc(append(found, common), func(f ignoreFile) bool { return !f.there })
	if common.there && common.sure && !slices.ContainsFunc(found, func(f ignoreFile) bool { return !bytes.Equal(f.data, common.data) }) {
		return parsed(common)
	}
	var doubts []Entry
	for _, f := range found {
		if len(f.data) > 0 {
			doubts = append(doubts, Entry{Path: filepath.Base(f.name), Mode: fs.ModeIrregular, Attributes: cas.DigestOf(f.data)})
		}
	}
	return nil, doubts, nil
}

func parsed(f ignoreFile) (*ignore, []Entry, error) {
	i, err := parseIgnore(f.name, f.data)
	return i, nil, err
}

// ignoreFile is an ignore file as it was found. It is not sure where builders may read another one.
type ignoreFile struct {
	name        string
	data        []byte
	there, sure bool
}

func readIgnoreFile(name string) (f ignoreFile, err error) {
	f.name = name
	if f.data, f.there, f.sure, err = ignoreBytes(name); err != nil {
		err = invalidIgnore(name, 0, err)
	}
	return f, err
}

// ignoreBytes reads an ignore file. It is not sure where a link leads elsewhere for BuildKit than for the system: then the data are both.
func ignoreBytes(name string) (data []byte, there, sure bool, err error) {
	fi, err := os.Lstat(name)
	if os.IsNotExist(err) {
		return nil, false, true, nil
	}
	if err != nil {
		return nil, false, false, err
	}
	if fi.Mode()&fs.ModeSymlink == 0 {
		data, there, err = ignoreData(name)
		return data, there, true, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return nil, false, false, err
	}
	s := &selection{Context: &Context{dir: dir, nodes: map[string]*node{"": {mode: fs.ModeDir}}}}
	n, err := s.resolve(filepath.Base(name), true)
	if err != nil {
		return nil, false, false, err
	}
	inside, outside := "", ""
	if n != nil {
		inside = s.system(n.path)
	}
	if outside, err = filepath.EvalSymlinks(name); err != nil && !os.IsNotExist(err) {
		return nil, false, false, err
	}
	if inside == outside {
		data, there, err = ignoreData(inside)
		return data, there, true, err
	}
	first, a, err := ignoreData(inside)
	if err != nil {
		return nil, false, false, err
	}
	second, b, err := ignoreData(outside)
	return append(append(first, 0), second...), a || b, false, err
}

// ignoreData reads a file; a folder is none, as for BuildKit, and neither is what may never end.
func ignoreData(path string) (data []byte, there bool, err error) {
	if path == "" {
		return nil, false, nil
	}
	fi, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return nil, false, nil
	case err != nil || !fi.Mode().IsRegular():
		return nil, false, err
	case fi.Size() > maxIgnoreBytes:
		return nil, false, fmt.Errorf("it has %d bytes, and BuildKit reads at most %d", fi.Size(), maxIgnoreBytes)
	}
	data, err = os.ReadFile(path)
	return data, err == nil, err
}
