package doctor

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

const (
	smallChunk = 64 << 10
	largeChunk = 5 << 20 // more than GHCR takes, and the least that ECR does
)

func absentDigest(id string) string { return string(cas.DigestOf([]byte("absent " + id))) }

// uploads brings blobs into the repository in all ways there are, and reports whether the one that a publish uses works.
func (v *visit) uploads() bool {
	if saw, ok := v.putBlob(v.layer); !ok {
		v.add("upload (POST, PUT)", Failed, saw, "nothing can be published here: check that the repository exists and that the account may write")
		return false
	} else {
		v.add("upload (POST, PUT)", OK, saw, "")
	}
	v.headBlob()
	v.ranges()
	v.mount()
	v.monolithic()
	v.chunks("chunks of 64 KiB", smallChunk, 2*smallChunk+1)
	v.chunks("chunk of 5 MiB", largeChunk, largeChunk+1)
	v.cancel()
	saw, ok := v.putBlob(v.config)
	if !ok {
		v.add("second upload", Failed, saw, "nothing can be published here")
	}
	return ok
}

// open begins an upload.
func (v *visit) open(query string) (location *url.URL, answer *registry.Answer, saw string) {
	answer, saw = v.ask(registry.Ask{Method: http.MethodPost, Path: "blobs/uploads/" + query})
	if !is(answer, http.StatusAccepted) {
		return nil, answer, saw
	}
	location, err := answer.Location()
	if err != nil {
		saw += ": " + err.Error()
	}
	return location, answer, saw
}

func withDigest(u *url.URL, content []byte) *url.URL {
	out := *u
	q := "digest=" + url.QueryEscape(string(cas.DigestOf(content)))
	if out.RawQuery != "" {
		q = out.RawQuery + "&" + q
	}
	out.RawQuery = q
	return &out
}

var octets = http.Header{"Content-Type": {"application/octet-stream"}}

func (v *visit) putBlob(content []byte) (saw string, ok bool) {
	location, _, saw := v.open("")
	if location == nil {
		return saw, false
	}
	answer, put := v.ask(registry.Ask{Method: http.MethodPut, URL: withDigest(location, content), Header: octets, Body: content})
	if is(answer, http.StatusCreated) {
		v.blobs = append(v.blobs, cas.DigestOf(content))
	}
	return saw + ", " + put, is(answer, http.StatusCreated)
}

func (v *visit) headBlob() {
	d := string(cas.DigestOf(v.layer))
	answer, saw := v.ask(registry.Ask{Method: http.MethodHead, Path: "blobs/" + d})
	saw = strings.ReplaceAll(saw, d, "DIGEST")
	switch {
	case !is(answer, http.StatusOK):
		v.add("HEAD of a blob", No, saw, "blobs are asked for with GET, or sent again")
	case answer.Header.Get("Docker-Content-Digest") != d:
		v.add("HEAD of a blob", OK, saw+", without its digest", "")
	default:
		v.add("HEAD of a blob", OK, saw, "")
	}
}

func (v *visit) ranges() {
	d := string(cas.DigestOf(v.layer))
	answer, saw := v.ask(registry.Ask{Method: http.MethodGet, Path: "blobs/" + d, Header: http.Header{"Range": {"bytes=0-0"}}})
	saw = strings.ReplaceAll(saw, d, "DIGEST")
	switch {
	case is(answer, http.StatusPartialContent) && len(answer.Body) == 1:
		v.add("ranges", OK, saw, "")
	case is(answer, http.StatusOK) && bytes.Equal(answer.Body, v.layer):
		v.add("ranges", No, saw, "a download that breaks off begins anew, and --verify blobs reads more than it needs")
	default:
		v.add("ranges", Failed, saw, "blobs cannot be read back as they were written")
	}
}

// mount asks the repository for its own blob, which is how a publish finds out what is there, and for one that is nowhere.
func (v *visit) mount() {
	self := "&from=" + url.QueryEscape(v.name.Repository)
	location, answer, saw := v.open("?mount=" + string(cas.DigestOf(v.layer)) + self)
	switch {
	case is(answer, http.StatusCreated):
		v.add("mount", OK, saw, "what is there, or in a repository beside it, is not sent")
	case location != nil:
		v.drop(location)
		v.add("mount", No, saw, "the registry takes no blobs over: each large one is asked for with HEAD, and layers of the base image are sent once for each repository")
	default:
		v.add("mount", No, saw, "an upload is opened without a mount, at the cost of a request")
	}
	location, answer, saw = v.open("?mount=" + absentDigest(v.id) + self)
	if location != nil {
		v.drop(location)
	}
	if is(answer, http.StatusCreated) {
		v.add("mount of nothing", Failed, saw, "the registry says that it took over what is nowhere: images would miss layers")
	}
}

func (v *visit) monolithic() {
	content := []byte("one POST " + v.id)
	answer, saw := v.ask(registry.Ask{Method: http.MethodPost, Path: "blobs/uploads/?digest=" + url.QueryEscape(string(cas.DigestOf(content))), Header: octets, Body: content})
	switch {
	case is(answer, http.StatusCreated):
		v.blobs = append(v.blobs, cas.DigestOf(content))
		v.add("one POST", OK, saw, "not used: a mount's answer opens the upload as well")
	case is(answer, http.StatusAccepted):
		if location, err := answer.Location(); err == nil {
			v.drop(location)
		}
		v.add("one POST", No, saw, "not used: a POST and a PUT are")
	default:
		v.add("one POST", No, saw, "not used: a POST and a PUT are")
	}
}

// chunks sends size bytes in parts. A publish does so where one PUT is too large for the registry.
func (v *visit) chunks(probe string, part, size int) {
	content := bytes.Repeat([]byte(v.id), size/len(v.id)+1)[:size]
	location, answer, saw := v.open("")
	if location == nil {
		v.add(probe, Skipped, saw, "")
		return
	}
	if least := answer.Header.Get("OCI-Chunk-Min-Length"); least != "" {
		saw += fmt.Sprintf(" (no chunk below %s bytes)", least)
	}
	for at := 0; at < size; at += part {
		chunk := content[at:min(at+part, size)]
		answer, patch := v.ask(registry.Ask{
			Method: http.MethodPatch, URL: location, Body: chunk,
			Header: http.Header{"Content-Type": octets["Content-Type"], "Content-Range": {fmt.Sprintf("%d-%d", at, at+len(chunk)-1)}},
		})
		if !is(answer, http.StatusAccepted) {
			v.drop(location)
			v.add(probe, No, saw+", "+patch, "matters only where one PUT is too large: set DOTNET_CONTAINER_REGISTRY_CHUNKED_UPLOAD_SIZE_BYTES to a size that works")
			return
		}
		if next, err := answer.Location(); err == nil {
			location = next
		}
	}
	answer, put := v.ask(registry.Ask{Method: http.MethodPut, URL: withDigest(location, content), Header: octets})
	if !is(answer, http.StatusCreated) {
		v.add(probe, No, saw+", PATCH: 202, "+put, "matters only where one PUT is too large")
		return
	}
	v.blobs = append(v.blobs, cas.DigestOf(content))
	v.add(probe, OK, saw+", PATCH: 202, "+put, "")
}

func (v *visit) cancel() {
	location, _, saw := v.open("")
	if location == nil {
		v.add("cancelling an upload", Skipped, saw, "")
		return
	}
	answer, saw := v.ask(registry.Ask{Method: http.MethodDelete, URL: location})
	if is(answer, http.StatusNoContent, http.StatusOK, http.StatusAccepted) {
		v.add("cancelling an upload", OK, saw, "")
		return
	}
	v.add("cancelling an upload", No, saw, "what a publish that was broken off has sent stays until the registry cleans up")
}

// drop ends an upload that is not needed. Registries forget them by themselves too.
func (v *visit) drop(location *url.URL) {
	v.ask(registry.Ask{Method: http.MethodDelete, URL: location})
}
