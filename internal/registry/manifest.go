package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Media types of manifests (image-spec, media-types.md; distribution,
// manifest-v2-2.md).
const (
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	OCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex       = "application/vnd.oci.image.index.v1+json"
)

// acceptManifests lists all four: a registry that misses one in the list may
// answer 404, or with a child of the index.
const acceptManifests = OCIManifest + ", " + OCIIndex + ", " + DockerManifest + ", " + DockerIndex

const (
	// maxManifest is the largest manifest, in bytes; registries take no
	// larger one (distribution-spec, "pushing manifests").
	maxManifest = 4 << 20
	// maxManifestRead is how much of a larger one is read to say so.
	maxManifestRead = 8 << 20
)

// Manifest is a manifest or an index, byte for byte, verified.
type Manifest struct {
	MediaType string // one of the four
	Digest    cas.Digest
	Body      []byte
}

// Descriptor names a manifest without its content. Size is in bytes.
type Descriptor struct {
	MediaType string
	Digest    cas.Digest
	Size      int64
}

// Descriptor returns the manifest's descriptor.
func (m *Manifest) Descriptor() Descriptor {
	return Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Body))}
}

// readManifest is Manifest in this very repository.
func (r *Repository) readManifest(ctx context.Context, tagOrDigest string) (*Manifest, error) {
	if err := r.checkUse(tagOrDigest); err != nil {
		return nil, err
	}
	if err := r.host.asks.acquire(ctx); err != nil {
		return nil, interrupted(ctx, "get manifest "+r.refer(tagOrDigest))
	}
	defer r.host.asks.release()
	return r.manifest(ctx, tagOrDigest)
}

func (r *Repository) manifest(ctx context.Context, ref string) (*Manifest, error) {
	f := failure{code: diag.ManifestPullFailed, notFound: diag.RepositoryNotFound, what: "get manifest " + r.refer(ref)}
	if r.mode == ModePush {
		f = failure{code: diag.RegistryPushFailed, notFound: diag.RepositoryNotFound, what: f.what}
	}
	// Content that does not match may have been cut or cached on its way:
	// one more try, then it is what it is.
	for n := 0; ; n++ {
		m, err := r.getManifest(ctx, ref)
		if err == nil || n == 1 || diag.CodeOf(err) != diag.DigestMismatch {
			return m, r.coded(ctx, err, f)
		}
	}
}

func (r *Repository) getManifest(ctx context.Context, ref string) (*Manifest, error) {
	var body []byte
	res, err := r.client.repeat(ctx, func(ctx context.Context) (*http.Response, error) {
		res, err := r.session.send(ctx, r.manifestRequest(http.MethodGet, ref))
		if err != nil || res.StatusCode != http.StatusOK {
			return res, err
		}
		defer res.Body.Close()
		if body, err = io.ReadAll(io.LimitReader(res.Body, maxManifestRead+1)); err != nil {
			return nil, r.client.cleanError(http.MethodGet, res.Request.URL, err)
		}
		return res, nil
	})
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, r.client.statusError(res)
	}
	return r.checkManifest(ref, res.Header, body)
}

func (r *Repository) manifestRequest(method, ref string) *request {
	return &request{
		method: method, path: r.name.Repository + "/manifests/" + ref,
		header: http.Header{"Accept": {acceptManifests}},
	}
}

// checkManifest proves a body against its digest, and its kind against its
// media type.
func (r *Repository) checkManifest(ref string, h http.Header, body []byte) (*Manifest, error) {
	what := "manifest " + r.refer(ref)
	if len(body) > maxManifest {
		size := fmt.Sprint(len(body))
		if len(body) > maxManifestRead {
			size = fmt.Sprintf("more than %d", maxManifestRead)
		}
		return nil, diag.New(diag.ManifestPullFailed, fmt.Sprintf("%s has %s bytes, at most %d are allowed", what, size, maxManifest), "use another image")
	}
	if isHTML(h) {
		return nil, diag.New(diag.ManifestPullFailed, what+" is a web page", "a proxy or a login page stands between you and the registry: check HTTPS_PROXY and the network's login")
	}
	m := &Manifest{Digest: cas.DigestOf(body), Body: body}
	if want, err := cas.ParseDigest(ref); err == nil && want != m.Digest {
		return nil, mismatch(what, want, m.Digest)
	}
	if said := h.Get("Docker-Content-Digest"); strings.HasPrefix(said, "sha256:") && said != string(m.Digest) {
		return nil, mismatch(what, cas.Digest(shorten(said, 80)), m.Digest)
	}
	var err error
	if m.MediaType, err = manifestType(h.Get("Content-Type"), body); err != nil {
		return nil, diag.Wrap(diag.UnknownManifest, err, what, "use a Docker or OCI image, or an index of such images")
	}
	return m, nil
}

// askManifest is HeadManifest in this very repository.
func (r *Repository) askManifest(ctx context.Context, tagOrDigest string) (Descriptor, error) {
	if err := r.checkUse(tagOrDigest); err != nil {
		return Descriptor{}, err
	}
	if err := r.host.asks.acquire(ctx); err != nil {
		return Descriptor{}, interrupted(ctx, "head manifest "+r.refer(tagOrDigest))
	}
	defer r.host.asks.release()
	d, ok, err := r.headManifest(ctx, tagOrDigest)
	if err != nil {
		f := failure{code: diag.ManifestPullFailed, notFound: diag.RepositoryNotFound, what: "head manifest " + r.refer(tagOrDigest)}
		if r.mode == ModePush {
			f.code = diag.RegistryPushFailed
		}
		return Descriptor{}, r.coded(ctx, err, f)
	}
	if ok {
		return d, nil
	}
	m, err := r.manifest(ctx, tagOrDigest)
	if err != nil {
		return Descriptor{}, err
	}
	return m.Descriptor(), nil
}

// headManifest reports ok when the answer says everything.
func (r *Repository) headManifest(ctx context.Context, ref string) (d Descriptor, ok bool, err error) {
	res, err := r.session.repeat(ctx, r.manifestRequest(http.MethodHead, ref))
	if err != nil {
		return d, false, err
	}
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
		return d, false, r.client.statusError(res)
	default:
		if transient(res.StatusCode) { // an outage, which GET would meet too
			return d, false, r.client.statusError(res)
		}
		res.Body.Close()
		return d, false, nil
	}
	res.Body.Close()
	d.MediaType, d.Size = mediaType(res.Header.Get("Content-Type")), res.ContentLength
	d.Digest, err = cas.ParseDigest(res.Header.Get("Docker-Content-Digest"))
	if err != nil || d.Size <= 0 || !isManifestType(d.MediaType) {
		return d, false, nil
	}
	if want, err := cas.ParseDigest(ref); err == nil && want != d.Digest {
		return d, false, mismatch("manifest "+r.refer(ref), want, d.Digest)
	}
	return d, true, nil
}

// PushManifest writes a manifest or index under a tag or its digest. The
// write is proved: by the registry's 201 with the right digest, else by
// asking. Fails with CONTAINER1005, with ErrBlobUnknown in the chain when the
// registry misses content; with GANTRY5003 when the tag is immutable and
// names something else; with GANTRY5002 when the registry stored something
// else.
func (r *Repository) PushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) error {
	_, err := r.pushManifest(ctx, tagOrDigest, mediaType, body)
	return err
}

// pushManifest is PushManifest, and returns the header of the registry's
// answer; nil when a refusal turned out to be none.
func (r *Repository) pushManifest(ctx context.Context, tagOrDigest, mediaType string, body []byte) (http.Header, error) {
	if err := r.checkUse(tagOrDigest); err != nil {
		return nil, err
	}
	what := "push manifest " + r.refer(tagOrDigest)
	if err := r.host.writes.acquire(ctx); err != nil {
		return nil, interrupted(ctx, what)
	}
	defer r.host.writes.release()
	want := cas.DigestOf(body)
	q := r.manifestRequest(http.MethodPut, tagOrDigest)
	q.header = http.Header{"Content-Type": {mediaType}}
	q.size = int64(len(body))
	q.body = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	res, err := r.session.repeat(ctx, q)
	if err != nil {
		return nil, r.coded(ctx, err, failure{code: diag.RegistryPushFailed, what: what})
	}
	if res.StatusCode/100 != 2 {
		return nil, r.refusedManifest(ctx, tagOrDigest, want, r.client.statusError(res))
	}
	buffered(res)
	said := res.Header.Get("Docker-Content-Digest")
	if res.StatusCode == http.StatusCreated && said == string(want) {
		return res.Header, nil
	}
	if strings.HasPrefix(said, "sha256:") && said != string(want) {
		return nil, otherContent(what, cas.Digest(shorten(said, 80)), want)
	}
	return res.Header, r.proveManifest(ctx, tagOrDigest, want, what)
}

func (r *Repository) proveManifest(ctx context.Context, ref string, want cas.Digest, what string) error {
	d, err := r.HeadManifest(ctx, ref)
	if err != nil {
		return fmt.Errorf("%s, which the registry did not confirm: %w", what, err)
	}
	if d.Digest != want {
		return otherContent(what, d.Digest, want)
	}
	return nil
}

func otherContent(what string, got, want cas.Digest) error {
	return diag.New(diag.DestinationDigest, fmt.Sprintf("%s: the registry has %s there, not %s", what, got, want),
		"run again: another publish may have written the tag meanwhile; else something between you and the registry changes content")
}

// refusedManifest looks at what the tag names when a write was refused: an
// immutable tag that already names this image is what was wanted.
func (r *Repository) refusedManifest(ctx context.Context, ref string, want cas.Digest, status *StatusError) error {
	f := failure{code: diag.RegistryPushFailed, what: "push manifest " + r.refer(ref)}
	missing := errors.Is(status, ErrBlobUnknown)
	if missing || status.StatusCode == http.StatusUnauthorized || transient(status.StatusCode) {
		return r.coded(ctx, status, f)
	}
	d, err := r.HeadManifest(ctx, ref)
	switch {
	case err != nil:
		return r.coded(ctx, status, f)
	case d.Digest == want:
		return nil
	}
	switch {
	case status.StatusCode == http.StatusConflict, status.StatusCode == http.StatusPreconditionFailed,
		status.StatusCode == http.StatusMethodNotAllowed, status.hasCode("TAG_INVALID", "TAG_IMMUTABLE"):
		return diag.Wrap(diag.TagRefused, status, fmt.Sprintf("tag %s names %s and the registry does not move it to %s", r.refer(ref), d.Digest, want),
			"the tag is immutable: use a new tag")
	}
	return r.coded(ctx, status, f)
}

// refer is a manifest of this repository in a message.
func (r *Repository) refer(ref string) string {
	if strings.Contains(ref, ":") {
		return r.name.String() + "@" + ref
	}
	return r.name.String() + ":" + ref
}

func (r *Repository) checkUse(ref string) error {
	if r.invalid != nil {
		return r.invalid
	}
	return checkReference(ref)
}
