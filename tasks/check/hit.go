package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cachekey"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// names are the tags that one document has to have.
type names struct {
	doc  *registry.Manifest
	tags []string
	now  []oracle.Tag
	tag  *oracle.Tag // one of tags that was asked already; may be nil
}

// moveTags writes the tags of one destination that do not name the image yet. The tags of an index come last: they are what people look
// at.
func (c *checker) moveTags(ctx context.Context, f *found, at at) ([]outcome.Tag, error) {
	if c.req.TagsOnHit == TagsNone {
		return nil, nil
	}
	var all []*names
	if f.index {
		for _, i := range f.images {
			n := &names{doc: i.doc, tags: c.req.platformTags(i.rid)}
			if at.name == c.req.destination() {
				n.tag = i.tag
			}
			all = append(all, n)
		}
	}
	all = append(all, &names{doc: f.top, tags: c.req.tags(), now: at.top})
	if err := c.askTags(ctx, at.repo, all); err != nil {
		return nil, err
	}
	var out []outcome.Tag
	for _, n := range all {
		w := deliver.Writer{
			Repository: at.repo, Name: at.name, Log: c.Log, Parallel: parallel,
			Document: deliver.NewDocument(n.doc.Body, n.doc.MediaType),
		}
		tags, err := w.Tags(ctx, n.tags, n.now, false)
		if isLoss(err) {
			return nil, missf("the registry has the manifest %s and misses content that it names", n.doc.Digest)
		}
		if err == nil && c.req.verifies(tasks.VerifyTags) {
			err = w.ReadBack(ctx, tags)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, tags...)
	}
	return out, nil
}

// isLoss says that a registry does not take a manifest that it has because of what that names. zot has no code of its own for it.
func isLoss(err error) bool {
	var status *registry.StatusError
	return errors.Is(err, registry.ErrBlobUnknown) ||
		diag.CodeOf(err) == diag.RegistryPushFailed && errors.As(err, &status) && status.StatusCode == http.StatusBadRequest
}

// askTags finds out what all the tags name, side by side.
func (c *checker) askTags(ctx context.Context, repo Repository, all []*names) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, n := range all {
		if n.now != nil {
			continue
		}
		n.now = make([]oracle.Tag, len(n.tags))
		for k, tag := range n.tags {
			if n.tag != nil && n.tag.Name == tag {
				n.now[k] = *n.tag
				continue
			}
			group.Go(func() (err error) {
				n.now[k], err = c.askTag(ctx, repo, tag)
				return err
			})
		}
	}
	return group.Wait()
}

// askTag finds out what a tag names. One that may not be seen, or that names no image, is written: the registry decides about that.
func (c *checker) askTag(ctx context.Context, repo Repository, tag string) (oracle.Tag, error) {
	d, err := repo.HeadManifest(ctx, tag)
	err = cachekey.AsMiss(err, "the tag "+tag)
	var miss *cachekey.Miss
	if errors.As(err, &miss) {
		if miss.Code != "" {
			c.Log.Info(diag.MessageLine(miss.Code, miss.Reason))
		}
		err = nil
	}
	return oracle.Tag{Name: tag, Digest: d.Digest}, err
}

// hit is the answer with an image, whose documents go to files.
func (c *checker) hit(f *found) (*Response, error) {
	resp := &Response{
		ResponseHeader: tasks.ResponseHeader{Inputs: c.inputs},
		Hit:            true, Reason: c.reason(), Tag: c.tag,
		Registry: c.req.Registry, Repository: c.req.Repository,
		Digest: f.top.Digest, MediaType: f.top.MediaType, Size: int64(len(f.top.Body)),
	}
	if c.req.TagsOnHit != TagsNone {
		resp.Tags = c.req.tags()
	}
	var err error
	write := func(path string, body []byte) string {
		if path == "" || body == nil || err != nil {
			return ""
		}
		path, err = c.file(resp, path, body)
		return path
	}
	for _, i := range f.images {
		p := Image{
			RuntimeIdentifier: i.rid, Platform: i.platform, Digest: i.doc.Digest, MediaType: i.doc.MediaType,
			Size: int64(len(i.doc.Body)), ConfigDigest: i.manifest.Config.Digest, BaseDigest: i.recorded(baseDigest),
		}
		if f.index {
			p.ManifestPath = write(withRID(c.req.ManifestPath, i.rid), i.doc.Body)
		}
		resp.Platforms = append(resp.Platforms, p)
	}
	if f.index {
		resp.IndexPath = write(c.req.IndexPath, f.top.Body)
	} else {
		resp.ManifestPath = write(c.req.ManifestPath, f.top.Body)
		resp.ConfigPath = write(c.req.ConfigPath, f.images[0].config)
	}
	return resp, err
}

// reason says on what the hit rests.
func (c *checker) reason() string {
	s := fmt.Sprintf("%s:%s names it", c.req.keys(), c.tag)
	if len(c.req.rids()) > 0 {
		s += ", its platforms are those asked for"
	}
	if c.req.includesBase() {
		return s + ", and its base is the base as it is now"
	}
	return s + ", and the base was not looked at"
}

// withRID puts a runtime identifier before a file's extension.
func withRID(path, rid string) string {
	if path == "" {
		return ""
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "." + rid + ext
}

// file writes a document beside the response and lists it among the outputs.
func (c *checker) file(resp *Response, path string, body []byte) (string, error) {
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(c.OutputDir, path)
	}
	if _, err := atomicfile.WriteIfDifferent(full, body); err != nil {
		return "", diag.Wrap(diag.ResponseUnwritable, err, path+" cannot be written", "check the folder's rights and the free space")
	}
	resp.Outputs = append(resp.Outputs, tasks.Output{Path: full, Digest: cas.DigestOf(body), Size: int64(len(body))})
	return full, nil
}
