package graphrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// Folder is the folder of a list: that of its file, or itself.
func Folder(list string) (string, error) {
	path, err := filepath.Abs(list)
	if err == nil {
		var fi os.FileInfo
		if fi, err = os.Stat(path); err == nil && !fi.IsDir() {
			path = filepath.Dir(path)
		}
	}
	if err != nil {
		return "", diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "check the path")
	}
	return path, nil
}

// ListFile is the file of a list, absolute; it need not be there, as Dockerfiles are discovered then.
func ListFile(list string) (string, error) {
	file, err := filepath.Abs(list)
	if err != nil {
		return "", diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "check the path")
	}
	if fi, err := os.Stat(file); err == nil && fi.IsDir() {
		file = filepath.Join(file, imagelist.FileName)
	}
	return file, nil
}

// Reached is what each image of a graph reads of this machine: its Dockerfile, the files of its contexts, and the file of the list where that
// says something else of the image than it said before, in was: nil where that is not known. Its tags are no matter, as they make no image.
func Reached(ctx context.Context, g *graph.Graph, files *buildcontext.Store, list string, was []imagelist.Spec) ([]graphstate.Reached, error) {
	before := map[string]*imagelist.Spec{}
	for k := range was {
		before[was[k].Name] = &was[k]
	}
	var all []graphstate.Reached
	contexts := map[string]*graphstate.ReachedContext{}
	for _, i := range g.Images {
		r := graphstate.Reached{Name: i.Spec.Name}
		if b := before[i.Spec.Name]; b == nil || !sameImage(*b, *i.Spec) {
			r.Files = append(r.Files, list)
		}
		if i.Spec.Inline == "" && !i.Spec.Remote() {
			r.Files = append(r.Files, i.Spec.Dockerfile)
		}
		patterns := map[string][]buildcontext.Pattern{}
		for _, v := range i.Variants {
			for _, p := range v.Reach.Files {
				patterns[p.Context] = append(patterns[p.Context], p.Pattern)
			}
		}
		for _, name := range sortedKeys(patterns) {
			c := &graphstate.ReachedContext{Dir: i.Spec.Contexts[name], Patterns: patterns[name]}
			if name == "" {
				c.Dir, c.Dockerfile = i.Spec.Context, i.Spec.Dockerfile
			}
			key := fmt.Sprintf("%q", []any{c.Dir, c.Dockerfile, c.Patterns})
			if known := contexts[key]; known != nil {
				r.Contexts = append(r.Contexts, known)
				continue
			}
			opened, err := files.Open(c.Dir, c.Dockerfile)
			if err == nil {
				c.Entries, err = opened.Files(ctx, c.Patterns)
			}
			if err != nil {
				return nil, err
			}
			contexts[key] = c
			r.Contexts = append(r.Contexts, c)
		}
		all = append(all, r)
	}
	return all, nil
}

// sameImage says whether two entries make the same image.
func sameImage(a, b imagelist.Spec) bool {
	for _, s := range []*imagelist.Spec{&a, &b} {
		s.Origin, s.Tags, s.SharedTags, s.Info = "", nil, nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func sortedKeys(m map[string][]buildcontext.Pattern) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
