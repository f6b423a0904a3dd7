package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// maxTagPages bounds how far a list of tags is followed: a thousand tags a
// page.
const maxTagPages = 1000

// Tags lists the tags of the repository, sorted. A repository that does not
// exist has none. Errors are those of Manifest.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	if r.invalid != nil {
		return nil, r.invalid
	}
	what := "list the tags of " + r.name.String()
	if err := r.host.asks.acquire(ctx); err != nil {
		return nil, interrupted(ctx, what)
	}
	defer r.host.asks.release()
	tags, err := r.tags(ctx)
	if err != nil {
		return nil, r.coded(ctx, err, failure{code: diag.ManifestPullFailed, what: what})
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

func (r *Repository) tags(ctx context.Context) (tags []string, err error) {
	q := &request{method: http.MethodGet, path: r.name.Repository + "/tags/list?n=1000"}
	for range maxTagPages {
		res, body, err := r.readAnswer(ctx, q)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusNotFound:
			res.Body.Close()
			return tags, nil
		case res.StatusCode != http.StatusOK:
			return nil, r.client.statusError(res)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if json.Unmarshal(body, &page) != nil || isHTML(res.Header) {
			return nil, refuse("the list of tags of %s cannot be read", r.name)
		}
		tags = append(tags, page.Tags...)
		next, err := nextPage(res)
		if err != nil || next == nil {
			return tags, err
		}
		if !r.host.owns(next) {
			return nil, refuse("the list of tags of %s goes on at another server", r.name)
		}
		q = &request{method: http.MethodGet, url: next}
	}
	return nil, refuse("the list of tags of %s has no end", r.name)
}

// ErrCannotDelete is in the chain of a DeleteManifest error when the registry
// deletes nothing of that kind, whatever is asked for: 400, 405 or 501, or 404
// with a code that says so.
var ErrCannotDelete = fmt.Errorf("the registry does not delete this")

// DeleteManifest deletes a tag, or a manifest with all its tags when it is
// named by its digest. What is not there is deleted. Fails with ErrCannotDelete
// in the chain, 1008 and 1016 without access, 1005 else.
func (r *Repository) DeleteManifest(ctx context.Context, tagOrDigest string) error {
	if err := r.checkUse(tagOrDigest); err != nil {
		return err
	}
	return r.delete(ctx, "manifests/"+tagOrDigest, "delete "+r.refer(tagOrDigest))
}

// DeleteBlob deletes a blob from the repository; errors are those of
// DeleteManifest.
func (r *Repository) DeleteBlob(ctx context.Context, digest cas.Digest) error {
	if err := r.checkBlob(digest, 0); err != nil {
		return err
	}
	return r.delete(ctx, "blobs/"+string(digest), fmt.Sprintf("delete blob %s of %s", digest, r.name))
}

func (r *Repository) delete(ctx context.Context, path, what string) error {
	if err := r.host.writes.acquire(ctx); err != nil {
		return interrupted(ctx, what)
	}
	defer r.host.writes.release()
	f := failure{code: diag.RegistryPushFailed, what: what}
	res, err := r.session.repeat(ctx, &request{
		method: http.MethodDelete, path: r.name.Repository + "/" + path,
		header: http.Header{"Accept": {acceptManifests}}, scopes: []string{r.session.scope(), r.session.deleteScope()},
	})
	if err != nil {
		return r.coded(ctx, err, f)
	}
	if res.StatusCode/100 == 2 {
		buffered(res)
		return nil
	}
	status := r.client.statusError(res)
	switch {
	case status.hasCode("UNSUPPORTED"), status.StatusCode == http.StatusBadRequest,
		status.StatusCode == http.StatusMethodNotAllowed, status.StatusCode == http.StatusNotImplemented:
		return diag.Wrap(diag.DeleteRefused, refusedDelete{status}, what, "allow deletes in the registry's configuration, or use its own retention rules")
	case status.StatusCode == http.StatusNotFound:
		return nil
	}
	return r.coded(ctx, status, f)
}

// refusedDelete is a status that is an ErrCannotDelete too.
type refusedDelete struct{ *StatusError }

func (e refusedDelete) Is(target error) bool {
	return target == ErrCannotDelete || e.StatusError.Is(target)
}
