package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
)

// Findings are what Verify says of a list. All are *diag.Error that begin with the place in the list, and have the line of the Dockerfile
// where there is one.
type Findings struct {
	// Problems keep images from being built.
	Problems []error
	// Warnings are likely slips, GANTRY6014, which keep nothing from being built.
	Warnings []error
	// Unasked are errors of registries: what these would have answered is not known.
	Unasked []error
}

// most is how many problems of one kind Verify tells.
const most = 1000

// Verify finds all that is wrong with the images of a list, where New and Plan end at what they cannot go on with: names and tags that come
// twice, Dockerfiles that do not parse, cycles, parents, platforms and files that are not there, and arguments without value. Without a
// registry in opt, images outside the list are not looked for. The error says that ctx ended.
func Verify(ctx context.Context, specs []imagelist.Spec, opt Options) (*Findings, error) {
	opt.defaults()
	out := &Findings{Problems: imagelist.Check(specs)}
	kept, doubles := imagelist.Doubles(specs, opt.Builder)
	out.Problems = append(out.Problems, doubles...)
	v := &verifier{
		builder: newBuilder(opt),
		tags:    map[registry.Name][]string{}, tagless: map[string]bool{}, arguable: map[*dockerfile.File]map[string]bool{},
	}
	v.verifies = true
	for i := range specs {
		v.tagless[specs[i].Name] = len(specs[i].Tags) == 0
	}
	for i := range kept {
		v.add(&kept[i])
	}
	v.reachAll(ctx)
	for _, i := range v.Images {
		for _, variant := range i.Variants {
			if variant.Reach == nil {
				variant.Reach = &dockerfile.Reach{}
			}
		}
	}
	v.link()
	v.sort()
	for tag := range v.builder.tags {
		if ref, err := registry.ParseReference(tag); err == nil {
			v.tags[ref.Name] = append(v.tags[ref.Name], ref.Tag)
		}
	}
	v.lookAll(ctx)
	v.arguments()
	if err := ctx.Err(); err != nil {
		return nil, diag.Wrap(diag.Interrupted, err, "verify the graph", "run again")
	}
	out.Problems = append(out.Problems, v.problems.list(most)...)
	out.Warnings, out.Unasked = v.warnings.list(most), v.unasked.list(most)
	return out, nil
}

// verifier is one Verify.
type verifier struct {
	*builder
	warnings, unasked problems
	arguable          map[*dockerfile.File]map[string]bool
	tags              map[registry.Name][]string // that the graph makes
	tagless           map[string]bool            // images to which the list gives no tag
}

// finding is something to be told of an image.
type finding struct {
	to    *problems
	where string
	err   error
}

// lookAll looks at all images, side by side, as registries are asked and files are read, and tells what it finds in the order of the list.
func (v *verifier) lookAll(ctx context.Context) {
	found := make([][]finding, len(v.Images))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(v.opt.Parallel, len(v.Images)) {
		wg.Go(func() {
			for k := range next {
				found[k] = v.look(ctx, v.Images[k])
			}
		})
	}
	for k := range v.Images {
		next <- k
	}
	close(next)
	wg.Wait()
	for k, list := range found {
		for _, f := range list {
			f.to.addAt(v.Images[k].Spec, f.where, f.err)
		}
	}
}

// look asks for the parents of an image and reads its files.
func (v *verifier) look(ctx context.Context, i *Image) (found []finding) {
	if v.tagless[i.Spec.Name] {
		found = append(found, v.doubt("", "it has no tag, so that nothing says whether it is there: it is always built", "give it a tag"))
	}
	for _, variant := range i.Variants {
		for k := range variant.Parents {
			if p := &variant.Parents[k]; p.Image == nil && variant.Reach.Images[k].Target == "" {
				found = append(found, v.outsideParent(ctx, i, p)...)
			}
		}
		for _, u := range variant.Reach.Unset {
			what := fmt.Sprintf("the argument %s has no value", u.Name)
			err := diag.New(diag.InvalidImage, what, "give it one in the list, or a default in the Dockerfile, which may be empty: ARG "+u.Name+"=")
			found = append(found, finding{&v.problems, i.where([]dockerfile.Use{u.Use}), err})
		}
		if ctx.Err() != nil || i.Spec.Remote() {
			continue
		}
		if _, err := v.folders.read(ctx, i.Spec, variant.Reach); err != nil && !noFolder(i.Spec) {
			found = append(found, finding{&v.problems, "", err})
		}
	}
	return found
}

// noFolder says that a folder which an image reads is none, which was told.
func noFolder(spec *imagelist.Spec) bool {
	for _, dir := range append(slices.Collect(spec.Folders()), spec.Context) {
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			return true
		}
	}
	return false
}

// outsideParent looks for a parent that the graph does not make. One in a repository of the graph is most likely a tag that was forgotten.
func (v *verifier) outsideParent(ctx context.Context, i *Image, p *Parent) []finding {
	where := i.where(p.Uses)
	ref, err := registry.ParseReference(p.Reference)
	if err != nil {
		return []finding{{&v.problems, where, diag.Wrap(diag.ParentMissing, err, p.Reference, "correct the name")}}
	}
	made := v.tags[ref.Name]
	if v.opt.Registry != nil {
		err = v.ask(ctx, p)
	}
	switch {
	case err == nil && len(made) > 0 && ref.Digest == "":
		what := p.Reference + " is in a repository of the list, and no image of the list has that tag: nothing here builds it again"
		return []finding{v.doubt(where, what, near(ref, made))}
	case err == nil:
		return nil
	case diag.CodeOf(err) == diag.ParentMissing && len(made) > 0:
		err = diag.Wrap(diag.ParentMissing, diag.Cause(err), p.Reference+" is not made by the graph", near(ref, made))
	case !isOurs(err):
		return []finding{{&v.unasked, where, err}}
	}
	return []finding{{&v.problems, where, err}}
}

// ask looks for a parent, and reads the configuration of one that a stage begins with, as a plan does.
func (v *verifier) ask(ctx context.Context, p *Parent) error {
	_, _, err := v.outside.parent(ctx, p.Reference, p.Platform)
	if err == nil && slices.ContainsFunc(p.Uses, func(u dockerfile.Use) bool { return u.Kind == dockerfile.From }) {
		_, err = v.outside.config(ctx, p.Reference, p.Platform)
	}
	return err
}

// isOurs tells what is wrong with images from what is wrong on the way to them.
func isOurs(err error) bool {
	code := diag.CodeOf(err)
	return code >= diag.InvalidDockerfile && code < diag.Internal
}

func (v *verifier) doubt(where, what, hint string) finding {
	return finding{&v.warnings, where, diag.New(diag.GraphDoubt, what, hint)}
}

// placed is an error that knows where it comes from.
type placed struct {
	where string
	error
}

func (p placed) Unwrap() error { return p.error }

// placeOf is where an error comes from, and the error.
func placeOf(err error) (string, error) {
	var p placed
	if errors.As(err, &p) {
		return p.where, p.error
	}
	return "", err
}
