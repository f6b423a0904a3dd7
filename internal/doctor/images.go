package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// put writes a manifest under a tag, a digest, or a digest with a query, and notes what has to be deleted.
func (v *visit) put(ref string, body []byte, tags ...string) (*registry.Answer, string) {
	answer, saw := v.ask(registry.Ask{
		Method: http.MethodPut, Path: "manifests/" + ref, Body: body, Header: http.Header{"Content-Type": {registry.OCIManifest}},
	})
	if answer != nil && answer.Status/100 == 2 {
		v.tags = append(v.tags, tags...)
		if d := cas.DigestOf(body); !slices.Contains(v.manifests, d) {
			v.manifests = append(v.manifests, d)
		}
	}
	return answer, v.short(saw)
}

func (v *visit) head(ref string, header http.Header) (*registry.Answer, string) {
	answer, saw := v.ask(registry.Ask{Method: http.MethodHead, Path: "manifests/" + ref, Header: header})
	return answer, v.short(saw)
}

// short writes digests and tags of this run in words.
func (v *visit) short(saw string) string {
	for _, body := range [][]byte{v.image, v.other, v.artifact} {
		saw = strings.ReplaceAll(saw, string(cas.DigestOf(body)), "DIGEST")
	}
	return strings.ReplaceAll(saw, v.tag(""), "TAG")
}

// images writes images and asks for them.
func (v *visit) images() {
	tag, digest := v.tag(""), string(cas.DigestOf(v.image))
	answer, saw := v.put(tag, v.image, tag)
	switch {
	case !is(answer, http.StatusCreated):
		v.add("manifest", Failed, saw, "nothing can be published here")
		return
	case answer.Header.Get("Docker-Content-Digest") != "" && answer.Header.Get("Docker-Content-Digest") != digest:
		v.add("manifest", Failed, saw+", stored as "+answer.Header.Get("Docker-Content-Digest"), "something changes content on its way, or in the registry")
		return
	case answer.Header.Get("Docker-Content-Digest") == "":
		v.add("manifest", OK, saw+", without its digest", "each write is proved by one more request")
	default:
		v.add("manifest", OK, saw, "")
	}
	v.headManifests(tag, digest)
	v.tagQuery(digest)
	v.again(tag)
	v.referrers(digest)
}

func (v *visit) headManifests(tag, digest string) {
	for _, ref := range []string{tag, digest} {
		probe := map[bool]string{true: "HEAD of a tag", false: "HEAD of a digest"}[ref == tag]
		answer, saw := v.head(ref, accept())
		switch {
		case !is(answer, http.StatusOK):
			v.add(probe, No, saw, "manifests are read with GET to know what is there: more bytes for every publish that changes nothing")
		case answer.Header.Get("Docker-Content-Digest") != digest:
			v.add(probe, No, saw+fmt.Sprintf(", digest %q", answer.Header.Get("Docker-Content-Digest")), "HEAD does not say what is there, so GET is used")
		case answer.Header.Get("Content-Type") != registry.OCIManifest:
			v.add(probe, No, saw+fmt.Sprintf(", type %q", answer.Header.Get("Content-Type")), "HEAD does not say what is there, so GET is used")
		default:
			v.add(probe, OK, saw, "")
		}
	}
}

// tagQuery writes a manifest by its digest with a tag in the query. Registries that do not know it answer 201 too.
func (v *visit) tagQuery(digest string) {
	tag := v.tag("-query")
	answer, saw := v.put(digest+"?tag="+tag, v.image, tag)
	if is(answer, http.StatusCreated) && slices.Contains(answer.Header.Values("OCI-Tag"), tag) {
		v.add("PUT with ?tag=", OK, saw+", OCI-Tag", "")
		return
	}
	after, _ := v.head(tag, accept())
	if is(after, http.StatusOK) {
		v.add("PUT with ?tag=", No, saw+", the tag is there but not said to be", "each tag is written by a request of its own")
		return
	}
	v.tags = slices.DeleteFunc(v.tags, func(t string) bool { return t == tag })
	v.add("PUT with ?tag=", No, saw+", and the tag is not there", "each tag is written by a request of its own")
}

// again writes the tag once more: with the same image, and with another.
func (v *visit) again(tag string) {
	same, saw := v.put(tag, v.image)
	if !is(same, http.StatusCreated) {
		v.add("tag written again", No, saw, "a publish that changes nothing looks at the tag first, so it works all the same")
	} else {
		v.add("tag written again", OK, saw, "")
	}
	moved, saw := v.put(tag, v.other)
	now, _ := v.head(tag, accept())
	switch {
	case is(moved, http.StatusCreated) && is(now, http.StatusOK) && now.Header.Get("Docker-Content-Digest") == string(cas.DigestOf(v.image)):
		v.add("tag moved", Failed, saw+", and the tag names what it named before", "the registry says that it wrote what it did not")
	case is(moved, http.StatusCreated):
		v.add("tag moved", OK, saw, "tags can be moved")
	default:
		v.add("tag moved", No, saw, "tags are immutable: each publish of another image needs a new tag, and latest cannot be kept current")
	}
}

// referrers writes an artifact whose subject is the image.
func (v *visit) referrers(digest string) {
	answer, saw := v.put(string(cas.DigestOf(v.artifact)), v.artifact)
	const means = "records beside an image (GANTRY_KEY_SECRET, the sources of an image) are listed by a tag sha256-..., which costs two requests more, and which two publishes at once may overwrite"
	if !is(answer, http.StatusCreated) {
		v.add("referrers", No, saw, "records beside an image cannot be written: no GANTRY_KEY_SECRET, and no sources of an image, with this registry")
		return
	}
	said := answer.Header.Get("OCI-Subject") == digest
	list, got := v.ask(registry.Ask{Method: http.MethodGet, Path: "referrers/" + digest, Header: http.Header{"Accept": {registry.OCIIndex}}})
	got = v.short(got)
	var index struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	listed := is(list, http.StatusOK) && json.Unmarshal(list.Body, &index) == nil && len(index.Manifests) == 1 &&
		index.Manifests[0].Digest == string(cas.DigestOf(v.artifact))
	switch {
	case said && listed:
		v.add("referrers", OK, saw+", OCI-Subject, "+got, "")
	case !said && is(list, http.StatusOK) && listed:
		v.add("referrers", No, saw+" without OCI-Subject, "+got, means)
	default:
		v.add("referrers", No, saw+", "+got, means)
	}
}
