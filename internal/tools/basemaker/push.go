package basemaker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Target is a registry to push to, in the plainest way there is: each blob is
// asked for, then uploaded with a POST and a PUT, one after the other.
type Target struct {
	// URL is scheme and host, such as "http://127.0.0.1:5000".
	URL string
	// Client sends the requests; nil is http.DefaultClient.
	Client *http.Client
	// Prepare adds credentials to a request; may be nil.
	Prepare func(*http.Request)
}

// PushImage pushes an image, by tag, or by digest when tag is empty.
func (t Target) PushImage(ctx context.Context, repository, tag string, image *Image) error {
	for _, b := range append([]Blob{image.Config}, image.Layers...) {
		if len(b.URLs) > 0 {
			continue // foreign: fetched from its URLs, never from a registry
		}
		if err := t.pushBlob(ctx, repository, b); err != nil {
			return err
		}
	}
	return t.PushManifest(ctx, repository, tag, image.Manifest)
}

// PushIndex pushes the images by digest and then the index by tag.
func (t Target) PushIndex(ctx context.Context, repository, tag string, index Blob, images []*Image) error {
	for _, m := range images {
		if err := t.PushImage(ctx, repository, "", m); err != nil {
			return err
		}
	}
	return t.PushManifest(ctx, repository, tag, index)
}

// PushManifest pushes a manifest or an index, by tag, or by digest when tag
// is empty. What it refers to must be there.
func (t Target) PushManifest(ctx context.Context, repository, tag string, m Blob) error {
	if tag == "" {
		tag = m.Digest
	}
	u := t.URL + "/v2/" + repository + "/manifests/" + tag
	_, err := t.do(ctx, http.MethodPut, u, m, m.MediaType, http.StatusCreated)
	return err
}

func (t Target) pushBlob(ctx context.Context, repository string, b Blob) error {
	u := t.URL + "/v2/" + repository + "/blobs/"
	if _, err := t.do(ctx, http.MethodHead, u+b.Digest, Blob{}, "", http.StatusOK); err == nil {
		return nil
	}
	location, err := t.do(ctx, http.MethodPost, u+"uploads/", Blob{}, "", http.StatusAccepted)
	if err != nil {
		return err
	}
	sep := "?"
	if strings.Contains(location, "?") {
		sep = "&"
	}
	_, err = t.do(ctx, http.MethodPut, location+sep+"digest="+url.QueryEscape(b.Digest), b, "application/octet-stream", http.StatusCreated)
	return err
}

// do sends a request, wants one status and returns the Location, absolute.
func (t Target) do(ctx context.Context, method, u string, b Blob, contentType string, want int) (string, error) {
	var body io.Reader
	if b.Digest != "" {
		r, err := b.Open()
		if err != nil {
			return "", err
		}
		defer r.Close()
		body = r
		if b.Data != nil {
			body = bytes.NewReader(b.Data)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return "", err
	}
	if b.Digest != "" {
		req.ContentLength = b.Size
		req.Header.Set("Content-Type", contentType)
	}
	if t.Prepare != nil {
		t.Prepare(req)
	}
	client := t.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return "", err
	}
	if res.StatusCode != want {
		return "", fmt.Errorf("%s %s: %s: %s", method, u, res.Status, bytes.TrimSpace(answer))
	}
	location, err := req.URL.Parse(res.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	return location.String(), nil
}
