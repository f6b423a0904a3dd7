package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// ask sends a request past the proxy and wants the answer 200.
func (r *registry) ask(ctx context.Context, method, path string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.direct+path, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range []string{basemaker.OCIManifest, basemaker.OCIIndex, basemaker.DockerImage, basemaker.DockerList} {
		req.Header.Add("Accept", m)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s %s: %s\n%s", method, path, res.Status, body)
	}
	return body, res.Header, nil
}
