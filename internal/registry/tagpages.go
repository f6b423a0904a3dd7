package registry

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gantry-build/gantry/internal/diag"
)

// maxPagesOfTags bounds how far a list of tags is followed.
const maxPagesOfTags = 10_000

// TagPages lists the tags of the repository and calls each with a page, of a thousand where the registry gives so many, and whether there
// are more, until it returns false. A repository that does not exist has no tags. Errors are those of Manifest.
func (r *Repository) TagPages(ctx context.Context, each func(tags []string, more bool) bool) error {
	if r.invalid != nil {
		return r.invalid
	}
	what := "list the tags of " + r.name.String()
	if err := r.host.asks.acquire(ctx); err != nil {
		return interrupted(ctx, what)
	}
	defer r.host.asks.release()
	return r.coded(ctx, r.tagPages(ctx, each), failure{code: diag.ManifestPullFailed, what: what})
}

func (r *Repository) tagPages(ctx context.Context, each func(tags []string, more bool) bool) error {
	q := &request{method: http.MethodGet, path: r.name.Repository + "/tags/list?n=1000"}
	for range maxPagesOfTags {
		res, body, err := r.readAnswer(ctx, q)
		switch {
		case err != nil:
			return err
		case res.StatusCode == http.StatusNotFound:
			res.Body.Close()
			return nil
		case res.StatusCode != http.StatusOK:
			return r.client.statusError(res)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if json.Unmarshal(body, &page) != nil || isHTML(res.Header) {
			return refuse("the list of tags of %s cannot be read", r.name)
		}
		next, err := nextPage(res)
		if err != nil {
			return err
		}
		if !each(page.Tags, next != nil) || next == nil {
			return nil
		}
		if !r.host.owns(next) {
			return refuse("the list of tags of %s goes on at another server", r.name)
		}
		q = &request{method: http.MethodGet, url: next}
	}
	return refuse("the list of tags of %s has no end", r.name)
}
