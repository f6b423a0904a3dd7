package graph

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// maxLines is how many files of build contexts are kept for other images that read the same.
const maxLines = 100_000

// folders are the build contexts of a graph. It is safe for concurrent use.
type folders struct {
	store *buildcontext.Store

	mu     sync.Mutex
	opened map[folderKey]*folder
	// whole is what is read for a list of patterns that several images share, and parts what is read of each context.
	whole map[wholeKey]*fileLines
	parts map[partKey]*fileLines
	kept  int // lines
}

type folderKey struct{ dir, dockerfile string }

// wholeKey is for images without named contexts.
type wholeKey struct {
	folderKey
	first *dockerfile.Pattern
	n     int
}

type partKey struct {
	folder         *folder
	name, patterns string
}

// fileLines are the lines of files, read once.
type fileLines struct {
	once sync.Once
	list []sourcehash.Line
	err  error
}

type folder struct {
	once    sync.Once
	context *buildcontext.Context
	err     error
}

func newFolders(store *buildcontext.Store) *folders {
	return &folders{store: store, opened: map[folderKey]*folder{}, whole: map[wholeKey]*fileLines{}, parts: map[partKey]*fileLines{}}
}

// read returns the lines of what a variant reads.
func (f *folders) read(ctx context.Context, spec *imagelist.Spec, reach *dockerfile.Reach) ([]sourcehash.Line, error) {
	if len(reach.Files) == 0 {
		return nil, nil
	}
	if len(spec.Contexts) > 0 {
		return f.all(ctx, spec, reach)
	}
	key := wholeKey{folderKey{spec.Context, spec.Dockerfile}, &reach.Files[0], len(reach.Files)}
	return once(f, f.whole, key, func() ([]sourcehash.Line, error) { return f.all(ctx, spec, reach) })
}

// once reads what a key stands for, unless it was read. What fails is read again.
func once[K comparable](f *folders, m map[K]*fileLines, key K, read func() ([]sourcehash.Line, error)) ([]sourcehash.Line, error) {
	f.mu.Lock()
	at := m[key]
	if at == nil {
		at = &fileLines{}
		m[key] = at
	}
	f.mu.Unlock()
	at.once.Do(func() {
		at.list, at.err = read()
		f.mu.Lock()
		defer f.mu.Unlock()
		if at.err != nil {
			delete(m, key)
			return
		}
		if f.kept += len(at.list); f.kept > maxLines {
			clear(f.whole)
			clear(f.parts)
			f.kept = 0
		}
	})
	return at.list, at.err
}

// all reads the contexts one by one.
func (f *folders) all(ctx context.Context, spec *imagelist.Spec, reach *dockerfile.Reach) ([]sourcehash.Line, error) {
	patterns := map[string][]buildcontext.Pattern{}
	for _, p := range reach.Files {
		patterns[p.Context] = append(patterns[p.Context], p.Pattern)
	}
	var list []sourcehash.Line
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		at := f.open(spec, name)
		if at.err != nil {
			return nil, at.err
		}
		part, err := once(f, f.parts, partKey{at, name, patternKey(patterns[name])}, func() ([]sourcehash.Line, error) {
			entries, err := at.context.Files(ctx, patterns[name])
			return sourcehash.Files(name, entries), err
		})
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	return list, nil
}

// open opens a context once. Dockerfiles without an ignore file of their own share that of the folder.
func (f *folders) open(spec *imagelist.Spec, name string) *folder {
	key := folderKey{dir: spec.Contexts[name]}
	if name == "" {
		key = folderKey{spec.Context, spec.Dockerfile}
	}
	f.mu.Lock()
	at := f.opened[key]
	if at == nil {
		at = &folder{}
		if key.dockerfile != "" {
			if !buildcontext.OwnIgnore(key.dockerfile) {
				shared := folderKey{dir: key.dir}
				if at = f.opened[shared]; at == nil {
					at = &folder{}
					f.opened[shared] = at
				}
				f.opened[key], key = at, shared
			}
		}
		f.opened[key] = at
	}
	f.mu.Unlock()
	at.once.Do(func() { at.context, at.err = f.store.Open(key.dir, key.dockerfile) })
	return at
}

// patternKey tells patterns apart that may read something else.
func patternKey(patterns []buildcontext.Pattern) string {
	var b strings.Builder
	for _, p := range patterns {
		b.WriteString(strconv.Quote(p.Path) + strconv.FormatBool(p.Literal) + strconv.FormatBool(p.Parents))
		for _, x := range p.Exclude {
			b.WriteString(strconv.Quote(x))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
