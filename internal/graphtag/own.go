package graphtag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
)

// source is what an image's source tag names.
type source struct {
	*Image
	repo       content.Repository
	descriptor registry.Descriptor
	// absent says why there is nothing; empty when there is.
	absent string
	// document is the manifest or index, and entries what stands for it in the index of a shared tag: both are read once.
	document func() (deliver.Document, error)
	entries  func() ([]image.Descriptor, error)
}

// isTag says that the image has no source tag, and that its first tag stands for one.
func (s *source) isTag() bool { return slices.Contains(s.Tags, s.Source) }

// look asks what a source tag names now: it may have moved since it was planned or stamped, and what it says counts.
func (r *run) look(ctx context.Context, im *Image) (*source, error) {
	s := &source{Image: im}
	if im.Source.Registry == "" {
		s.absent = im.Name + " " + im.Why
		return s, nil
	}
	s.repo = r.Repository(im.Source.Name, registry.ModePush)
	s.document = sync.OnceValues(func() (deliver.Document, error) { return r.document(ctx, s) })
	s.entries = sync.OnceValues(func() ([]image.Descriptor, error) { return r.entries(ctx, s) })
	var err error
	s.descriptor, err = s.repo.HeadManifest(ctx, im.Source.TagOrDigest())
	if errors.Is(err, registry.ErrNotFound) {
		s.absent = im.Name + " is not built yet: " + im.Source.String() + " is not there"
		return s, nil
	}
	return s, err
}

// document reads the manifest or index, unless the store has it.
func (r *run) document(ctx context.Context, s *source) (deliver.Document, error) {
	m, err := pull.Manifest(ctx, r.Store, s.repo, s.descriptor.Digest, r.Log)
	if err != nil {
		return deliver.Document{}, err
	}
	return deliver.NewDocument(m.Body, m.MediaType), nil
}

// own brings the tags of one image to what its source tag names.
func (r *run) own(ctx context.Context, im *Image) []Result {
	results := make([]Result, len(im.Tags))
	for i, t := range im.Tags {
		results[i] = Result{Tag: t.String(), Images: []string{im.Name}}
	}
	s, err := r.sources[im.Name]()
	for _, group := range byRepository(im.Tags) {
		each := func(f func(res *Result)) {
			for _, i := range group {
				f(&results[i])
			}
		}
		switch {
		case err != nil:
			each(func(res *Result) { res.fail(err) })
		case s.absent != "":
			each(func(res *Result) { res.State, res.Reason = Left, s.absent })
		default:
			r.repository(ctx, s, im.Tags, group, results)
		}
	}
	return results
}

// byRepository are the indices of tags that are in one repository.
func byRepository(tags []registry.Reference) [][]int {
	var groups [][]int
	at := map[registry.Name]int{}
	for i, t := range tags {
		k, ok := at[t.Name]
		if !ok {
			k = len(groups)
			at[t.Name], groups = k, append(groups, nil)
		}
		groups[k] = append(groups[k], i)
	}
	return groups
}

// repository looks at those of an image's tags that are in one repository. The source itself is right whatever it names: to write what it named
// when it was looked at would take back what another machine pushed meanwhile. Beside it nothing is written either: whether the last build of the
// image failed, nobody can see.
func (r *run) repository(ctx context.Context, s *source, tags []registry.Reference, which []int, results []Result) {
	which = slices.DeleteFunc(which, func(i int) bool {
		is := tags[i] == s.Source
		if is {
			results[i].State, results[i].Digest = Current, s.descriptor.Digest
		}
		return is
	})
	if len(which) == 0 {
		return
	}
	name := tags[which[0]].Name
	repo := r.Repository(name, registry.PushMode(name.Registry, s.Source.Registry))
	words := make([]string, len(which))
	for k, i := range which {
		words[k] = tags[i].Tag
	}
	o := oracle.Oracle{Repository: repo, Name: name, Log: r.Log, Parallel: len(words)}
	found, err := o.Tags(ctx, words)
	if err != nil {
		for _, i := range which {
			results[i].fail(err)
		}
		return
	}
	write := r.once(ctx, s, name, repo)
	for k, i := range which {
		res := &results[i]
		if !res.found(found[k], s.descriptor.Digest, s.descriptor.MediaType) {
			continue
		}
		if s.isTag() {
			*res = Result{Tag: res.Tag, Images: res.Images, State: Left, Was: res.Was}
			res.Reason = s.Name + " cannot be known, and only a build of it makes this tag name what " + s.Source.String() + " names"
			continue
		}
		if r.DryRun {
			continue
		}
		w, err := write()
		if err == nil {
			_, err = w.Tags(ctx, words[k:k+1], found[k:k+1], false)
		}
		if err != nil {
			res.fail(err)
		}
	}
}

// found notes what a tag named before, and says whether it has to be written.
func (res *Result) found(t oracle.Tag, want cas.Digest, mediaType string) bool {
	res.State, res.Digest = Current, want
	if t.Digest == want && t.MediaType == mediaType {
		return false
	}
	res.State, res.Was = Tagged, t.Digest
	return true
}

// fail notes an error, which is told with the tag.
func (res *Result) fail(err error) {
	res.State, res.Digest, res.Reason, res.Err = Failed, "", err.Error(), err
	var coded *diag.Error
	if errors.As(err, &coded) {
		named := *coded
		named.What = res.Tag + ": " + coded.What
		res.Err = &named
	} else {
		res.Err = fmt.Errorf("%s: %w", res.Tag, err)
	}
}

// once gives a writer of an image's tags in a repository; the first time, the manifest is read, and the image brought to a repository that is
// not its own.
func (r *run) once(ctx context.Context, s *source, name registry.Name, repo content.Repository) func() (deliver.Writer, error) {
	var w deliver.Writer
	var err error
	ready := false
	return func() (deliver.Writer, error) {
		if ready {
			return w, err
		}
		ready = true
		var doc deliver.Document
		if doc, err = s.document(); err == nil && !name.Same(s.Source.Name) {
			err = r.bring(ctx, s, doc, name, repo)
		}
		w = deliver.Writer{Repository: repo, Name: name, Log: r.Log, Document: doc, Parallel: 1}
		return w, err
	}
}

// bring brings an image to another repository, where it is not there, by its digest: blobs are mounted within a registry, else sent.
func (r *run) bring(ctx context.Context, s *source, doc deliver.Document, name registry.Name, repo content.Repository) error {
	p := content.Pusher{
		Repository: repo, Name: name, Records: r.Records, Progress: r.Progress, Log: r.Log, Parallel: transfers, Top: doc,
		Image: func(ctx context.Context) (*content.Image, error) { return content.Load(ctx, s.repo, doc) },
	}
	if name.SameRegistry(s.Source.Name) {
		p.MountFrom = func(image.Descriptor) string { return s.Source.Repository }
	}
	_, err := p.Push(ctx, "tag", nil)
	return err
}

// transfers is the number of blobs of one image that are brought at once.
const transfers = 4
