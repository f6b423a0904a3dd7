package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// OCIEmpty is the media type of the two bytes {} that stand for a config or a
// layer where a manifest has none (image-spec 1.1, manifest.md, "guidance for
// an empty descriptor").
const OCIEmpty = "application/vnd.oci.empty.v1+json"

const (
	// maxReferrerPages bounds how far a list of referrers is followed.
	maxReferrerPages = 16
	// maxReferrerRounds bounds the tries to get an entry into the list that a
	// tag holds, which other writers may overwrite.
	maxReferrerRounds = 5
)

// Referrer is an entry of a list of manifests that have one subject
// (distribution-spec 1.1, "listing referrers"). Size is in bytes.
type Referrer struct {
	MediaType    string            `json:"mediaType"`
	Digest       cas.Digest        `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Referrers lists the manifests that name subject as their subject and have
// an artifact type. A registry without the list is asked for the tag that
// stands in for it. No referrers, and no such list, is an empty answer. The
// list is the registry's word and no proof: whoever may push may put anything
// into it. Mirrors are asked where the registry itself cannot be reached: they
// need not have what was attached since. Errors are those of Manifest.
func (r *Repository) Referrers(ctx context.Context, subject cas.Digest, artifactType string) ([]Referrer, error) {
	if err := r.checkUse(string(subject)); err != nil {
		return nil, err
	}
	mirrors, err := r.mirrors(string(subject))
	if err != nil {
		return nil, err
	}
	if len(mirrors) == 0 || !r.client.isDown(r) {
		out, err := r.referrers(impatient(ctx, len(mirrors) > 0), subject, artifactType)
		if len(mirrors) == 0 || ctx.Err() != nil || diag.CodeOf(err) != diag.RegistryUnreachable {
			return out, err
		}
		r.client.noteDown(r, err)
	}
	for i, at := range mirrors {
		out, err := at.referrers(impatient(ctx, i < len(mirrors)-1), subject, artifactType)
		if err == nil || ctx.Err() != nil || i == len(mirrors)-1 {
			return out, err
		}
	}
	return nil, nil
}

// referrers is Referrers of this place alone.
func (r *Repository) referrers(ctx context.Context, subject cas.Digest, artifactType string) ([]Referrer, error) {
	what := "list referrers of " + r.refer(string(subject))
	if err := r.host.asks.acquire(ctx); err != nil {
		return nil, interrupted(ctx, what)
	}
	defer r.host.asks.release()
	entries, known, err := r.askReferrers(ctx, subject, artifactType)
	if err != nil {
		return nil, r.coded(ctx, err, failure{code: diag.ManifestPullFailed, what: what})
	}
	if !known {
		list, err := r.referrerTag(ctx, subject)
		if err != nil {
			return nil, err
		}
		entries = list.entries
	}
	var out []Referrer
	for _, raw := range entries {
		var e Referrer
		// An entry that cannot be read, as one with another kind of digest, is
		// somebody else's.
		if json.Unmarshal(raw, &e) == nil && e.ArtifactType == artifactType {
			out = append(out, e)
		}
	}
	return out, nil
}

// askReferrers asks the registry's own list. known is false when it has none.
func (r *Repository) askReferrers(ctx context.Context, subject cas.Digest, artifactType string) (entries []json.RawMessage, known bool, err error) {
	header := http.Header{"Accept": {OCIIndex}}
	path := r.name.Repository + "/referrers/" + string(subject) + "?artifactType=" + url.QueryEscape(artifactType)
	q := &request{method: http.MethodGet, path: path, header: header}
	for range maxReferrerPages {
		res, body, err := r.readAnswer(ctx, q)
		switch {
		case err != nil:
			return nil, false, err
		case len(entries) == 0 && q.url == nil && noReferrers(res):
			return nil, false, nil
		case res.StatusCode != http.StatusOK:
			return nil, false, r.client.statusError(res)
		}
		list, err := parseReferrers(res.Header.Get("Content-Type"), body)
		if err != nil {
			return nil, false, refuse("the list of referrers of %s cannot be used: %v", r.refer(string(subject)), err)
		}
		entries = append(entries, list.entries...)
		next, err := nextPage(res)
		if err != nil || next == nil {
			return entries, true, err
		}
		if !r.host.owns(next) {
			return nil, false, refuse("the list of referrers of %s goes on at another server", r.refer(string(subject)))
		}
		q = &request{method: http.MethodGet, url: next, header: header}
	}
	return entries, true, nil
}

// noReferrers knows the answers of registries that have no such list: 404 by
// the specification, the others by habit of servers for paths that they do
// not know.
func noReferrers(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest:
		res.Body.Close()
		return true
	}
	return false
}

// readAnswer sends q and reads the body of a 200, at most a manifest's size.
func (r *Repository) readAnswer(ctx context.Context, q *request) (*http.Response, []byte, error) {
	var body []byte
	res, err := r.client.repeat(ctx, func(ctx context.Context) (*http.Response, error) {
		res, err := r.session.send(ctx, q)
		if err != nil || res.StatusCode != http.StatusOK {
			return res, err
		}
		defer res.Body.Close()
		if body, err = io.ReadAll(io.LimitReader(res.Body, maxManifest+1)); err != nil {
			return nil, r.client.cleanError(http.MethodGet, res.Request.URL, err)
		}
		return res, nil
	})
	return res, body, err
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextPage reads a Link header (RFC 8288); nil when there is no further page.
func nextPage(res *http.Response) (*url.URL, error) {
	m := nextLink.FindStringSubmatch(res.Header.Get("Link"))
	if m == nil {
		return nil, nil
	}
	next, err := res.Request.URL.Parse(m[1])
	if err != nil {
		return nil, refuse("the address of the next page cannot be read")
	}
	return next, nil
}

// referrerList is an index whose entries stay as they are, byte for byte.
type referrerList struct {
	top     map[string]json.RawMessage
	entries []json.RawMessage
}

func parseReferrers(contentType string, body []byte) (*referrerList, error) {
	if len(body) > maxManifest {
		return nil, fmt.Errorf("it has more than %d bytes", maxManifest)
	}
	kind, err := manifestType(contentType, body)
	if err != nil {
		return nil, err
	}
	if kind != OCIIndex {
		return nil, fmt.Errorf("it is a %s", kind)
	}
	l := &referrerList{}
	if err := json.Unmarshal(body, &l.top); err != nil {
		return nil, err
	}
	if l.top["manifests"] == nil {
		return nil, errors.New("it has no manifests by that name")
	}
	return l, json.Unmarshal(l.top["manifests"], &l.entries)
}

func (l *referrerList) has(d cas.Digest) bool {
	return slices.ContainsFunc(l.entries, func(raw json.RawMessage) bool { return digestOf(raw) == string(d) })
}

// digestOf is the digest of an entry; empty for one that cannot be read.
func digestOf(raw json.RawMessage) string {
	var e struct {
		Digest string `json:"digest"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return ""
	}
	return e.Digest
}

// missing are those of some entries that the list does not have.
func (l *referrerList) missing(entries []json.RawMessage) []json.RawMessage {
	var out []json.RawMessage
	for _, e := range entries {
		if d := digestOf(e); d != "" && !slices.ContainsFunc(l.entries, func(raw json.RawMessage) bool { return digestOf(raw) == d }) {
			out = append(out, e)
		}
	}
	return out
}

// with encodes the list with an entry, if it is not there.
func (l *referrerList) with(e Referrer) ([]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	top := maps.Clone(l.top)
	if top == nil {
		top = map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + OCIIndex + `"`)}
	}
	entries := slices.Clone(l.entries)
	if !l.has(e.Digest) {
		entries = append(entries, raw)
	}
	if top["manifests"], err = json.Marshal(entries); err != nil {
		return nil, err
	}
	return json.Marshal(top)
}

// referrersTag is the tag that stands in for the list (distribution-spec 1.1,
// "referrers tag schema").
func referrersTag(subject cas.Digest) string { return "sha256-" + subject.Hex() }

// referrerTag reads the list that the tag holds; it is empty when the tag
// does not exist.
func (r *Repository) referrerTag(ctx context.Context, subject cas.Digest) (*referrerList, error) {
	m, err := r.manifest(ctx, referrersTag(subject))
	if errors.Is(err, ErrNotFound) {
		return &referrerList{}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parseReferrers(m.MediaType, m.Body)
	if err != nil {
		return nil, diag.Wrap(diag.UnknownManifest, err, "the list of referrers "+r.refer(referrersTag(subject))+" cannot be used", "delete that tag")
	}
	return list, nil
}

// PushReferrer writes a manifest by its digest, whose subject is subject, and
// makes sure that the list of subject's referrers has it: as is. must be what
// the manifest says of itself. Whether the registry keeps that list is told by
// its answer (OCI-Subject); else the tag that stands in for it is read,
// extended, written, and read again, as another writer may do the same at that
// moment; entries of others that such a writer lost are put back. Its content,
// the blobs that it names, must be there already.
func (r *Repository) PushReferrer(ctx context.Context, subject cas.Digest, as Referrer, body []byte) error {
	as.Digest, as.Size = cas.DigestOf(body), int64(len(body))
	header, err := r.pushManifest(ctx, string(as.Digest), as.MediaType, body)
	if err != nil {
		return err
	}
	if header.Get("OCI-Subject") == string(subject) {
		return nil
	}
	var seen []json.RawMessage
	for round := range maxReferrerRounds {
		list, err := r.referrerTag(ctx, subject)
		if err != nil {
			return err
		}
		lost := list.missing(seen)
		if len(lost) == 0 && list.has(as.Digest) {
			return nil
		}
		list.entries = append(list.entries, lost...)
		seen = slices.Clone(list.entries)
		extended, err := list.with(as)
		if err != nil {
			return diag.Wrap(diag.Internal, err, "the list of referrers cannot be encoded", "please report it")
		}
		err = r.PushManifest(ctx, referrersTag(subject), OCIIndex, extended)
		switch again := round < maxReferrerRounds-1; {
		case err != nil && (!again || !crossed(err)):
			return err
		case err != nil:
			if err := r.client.policy.sleep(ctx, r.client.policy.pause(round+1)); err != nil {
				return interrupted(ctx, "write the list of referrers of "+r.refer(string(subject)))
			}
		}
	}
	return nil // it was written each time: the registry answers with what was there before
}

// crossed says whether a manifest may have been refused because of another
// writer: a registry on a file system (distribution 2.8) does not find what a
// manifest names while the same is written once more.
func crossed(err error) bool {
	s, ok := asStatus(err)
	return ok && s.StatusCode == http.StatusBadRequest && s.hasCode("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
}

// DropReferrers takes deleted manifests out of the list of subject's
// referrers, where that is a tag: registries with a list of their own do so
// themselves. The tag goes with its last entry, where tags can be deleted.
func (r *Repository) DropReferrers(ctx context.Context, subject cas.Digest, gone []cas.Digest) error {
	list, err := r.referrerTag(ctx, subject)
	if err != nil {
		return err
	}
	before := len(list.entries)
	list.entries = slices.DeleteFunc(list.entries, func(raw json.RawMessage) bool {
		var e struct {
			Digest cas.Digest `json:"digest"`
		}
		return json.Unmarshal(raw, &e) == nil && slices.Contains(gone, e.Digest)
	})
	if len(list.entries) == before {
		return nil
	}
	if len(list.entries) == 0 {
		if err := r.DeleteManifest(ctx, referrersTag(subject)); !errors.Is(err, ErrCannotDelete) {
			return err
		}
	}
	top := maps.Clone(list.top)
	if top["manifests"], err = json.Marshal(append([]json.RawMessage{}, list.entries...)); err != nil {
		return diag.Wrap(diag.Internal, err, "the list of referrers cannot be encoded", "please report it")
	}
	body, err := json.Marshal(top)
	if err != nil {
		return diag.Wrap(diag.Internal, err, "the list of referrers cannot be encoded", "please report it")
	}
	return r.PushManifest(ctx, referrersTag(subject), OCIIndex, body)
}
